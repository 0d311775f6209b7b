"""`/xmltv.xml` and what is on now: the guide in force under the lineup's own ids. Blocking.

Ids are `{guide number}.plexbridge`: dotted, as XMLTV's validator wants them; unique, where two
channels have one guide channel; and those of `/lineup.m3u`. Plex and Jellyfin match by display
names: the name, the number, and both.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from html import unescape
from typing import Final

from events.ids import ChannelId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.guide.store import Guide, Row, opened
from plexbridge.lineup.guide.text import escape
from plexbridge.lineup.guide.times import format_time

FORM: Final = "2"
"""Changes with the document's form, so that what players keep is not taken for it."""

HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<tv generator-info-name="PlexBridge">\n'
"""Without a document type: some readers would fetch it from us, others refuse it."""

PIECE_CHARS: Final = 64 * 1024
"""What is sent at once."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TITLE: Final = re.compile(r"<title[^>]*>([^<]*)</title>")
_SUB_TITLE: Final = re.compile(r"<sub-title[^>]*>([^<]*)</sub-title>")


def xmltv_id(channel: Channel) -> str:
    """The id of a channel in our guide and in our playlist."""
    return f"{channel.guide_number}.plexbridge"


def no_icon(channel: Channel) -> str:
    """Of a document that names no logos."""
    return ""


def etag(guide: Guide, lineup: Lineup, *, everything: bool, base_url: str = "") -> str:
    """Differs, in the 42 characters inside its quotes, whenever the document does: also with the
    address that its logos are asked for at."""
    base = blake2b(base_url.encode(), digest_size=4).hexdigest()
    return f'"{FORM}{"a" if everything else "m"}{guide.digest}{lineup.digest}{base}"'


def document(
    guide: Guide,
    lineup: Lineup,
    *,
    everything: bool,
    icon: Callable[[Channel], str] = no_icon,
) -> Generator[bytes, None, None]:
    """The XMLTV document, in pieces; between two of them it may be left at any time. `icon`: the
    URL of a channel's logo, or nothing.

    Without `everything`, channels that have programmes; all of the lineup while no guide was read,
    so that a player that is set up before finds what it can be set up with.

    Raises:
        GuideFault: a file is gone or damaged.
    """
    everything = everything or not guide.stored
    channels = [one for one in lineup.channels if everything or one.id in guide.places]
    with opened(guide) as reader:
        parts = [HEAD]
        size = 0
        for part in _parts(channels, reader.programmes, icon):
            parts.append(part)
            size += len(part)
            if size >= PIECE_CHARS:
                yield "".join(parts).encode()
                parts, size = [], 0
        yield "".join([*parts, "</tv>\n"]).encode()


def _parts(
    channels: list[Channel],
    programmes: Callable[[str], Iterator[list[Row]]],
    icon: Callable[[Channel], str],
) -> Iterator[str]:
    for channel in channels:
        yield _channel(channel, icon(channel))
    for channel in channels:
        guide_id = xmltv_id(channel)
        for page in programmes(channel.id):
            for start, stop, xml in page:
                yield (
                    f'<programme start="{format_time(start)}" stop="{format_time(stop)}" '
                    f'channel="{guide_id}">{xml}</programme>\n'
                )


def _channel(channel: Channel, icon: str) -> str:
    number = channel.guide_number
    name = escape(_CONTROL.sub("", channel.guide_name).strip()) or number
    names = dict.fromkeys((name, number, f"{number} {name}"))
    shown = "".join(f"<display-name>{one}</display-name>" for one in names)
    logo = f'<icon src="{escape(icon)}"/>' if icon else ""
    return f'<channel id="{xmltv_id(channel)}">{shown}{logo}</channel>\n'


@dataclass(frozen=True, slots=True)
class Showing:
    """A programme, as a lineup or a page shows it. Times in seconds since 1970."""

    start: int
    stop: int
    title: str
    sub_title: str


@dataclass(frozen=True, slots=True)
class NowNext:
    """What is on, and what is on after that."""

    now: Showing | None
    next: Showing | None


def now_next(guide: Guide, channels: Iterable[ChannelId], at: int) -> dict[ChannelId, NowNext]:
    """By channel, at `at` (seconds since 1970); channels without a guide are left out.

    Raises:
        GuideFault: a file is gone or damaged.
    """
    found: dict[ChannelId, NowNext] = {}
    with opened(guide) as reader:
        for channel in channels:
            if channel not in guide.places:
                continue
            now = following = None
            for row in reader.from_now(channel, at):
                if row[0] <= at < row[1]:
                    now = _showing(row)
                elif row[0] > at and following is None:
                    following = _showing(row)
            found[channel] = NowNext(now, following)
    return found


def _showing(row: Row) -> Showing:
    start, stop, xml = row
    title, sub_title = _TITLE.search(xml), _SUB_TITLE.search(xml)
    return Showing(
        start,
        stop,
        unescape(title[1]) if title else "",
        unescape(sub_title[1]) if sub_title else "",
    )
