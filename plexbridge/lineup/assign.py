"""From entries to channels: which entries are one channel, its id, and its guide number.

Pure. Entries are one channel (the later ones are its backups) when they have the same tvg-id and
name, or the same guide number and name, or, having neither, the same name and group. The same
tvg-id alone is not enough: providers give it to the SD, HD and 4K forms of a station.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import urlsplit

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.m3u import Entry
from plexbridge.lineup.numbering import FreeNumbers, guide_number
from plexbridge.lineup.redact import digest, redact
from plexbridge.relay.ports import Upstream

UPSTREAMS_MAX = 16
"""Per channel. A viewer has left before a sixteenth backup is tried; a list of one repeated name
must not make one channel of it all."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What one source lists, in its order."""

    source: SourceId
    entries: Sequence[Entry]


@dataclass(slots=True)
class _Draft:
    """A channel being put together. `base` is what it is known by, `twin` what tells it from others
    known by the same."""

    base: str
    twin: tuple[str, str, str]
    first: Entry
    wanted: str | None
    sources: list[tuple[SourceId, Entry]] = field(default_factory=list)
    number: str = ""


def assign(listings: Iterable[Listing], key: bytes) -> Lineup:
    """The lineup of all sources together; where they list the same channel, the earlier source is
    preferred. `key` (at most 64 bytes, secret, the same at every start) keys the URLs' digests.

    Numbers that playlists give are kept, the first to ask for one has it; every other channel gets
    the lowest free whole number, in the order of the lists.
    """
    drafts = _drafted(listings)
    _number(drafts)
    ids = _identified(drafts)
    return Lineup(
        Channel(
            id=ids[index],
            guide_number=draft.number,
            guide_name=draft.first.name or f"Channel {draft.number}",
            group=draft.first.group,
            tvg_id=draft.first.tvg_id,
            logo=draft.first.logo,
            upstreams=tuple(_upstream(source, entry, key) for source, entry in draft.sources),
        )
        for index, draft in enumerate(drafts)
    )


def _drafted(listings: Iterable[Listing]) -> list[_Draft]:
    drafts: list[_Draft] = []
    known: dict[tuple[str, ...], _Draft] = {}
    for listing in listings:
        for entry in listing.entries:
            number = guide_number(entry.number)
            marks = _marks(entry, number)
            draft = next((known[mark] for mark in marks if mark in known), None)
            if draft is None or len(draft.sources) == UPSTREAMS_MAX:
                draft = _Draft(
                    base=f"{listing.source}\0{_base(entry)}",
                    twin=(entry.name, number or "", entry.group),
                    first=entry,
                    wanted=number,
                )
                drafts.append(draft)
            if all(entry.url != other.url for _, other in draft.sources):
                draft.sources.append((listing.source, entry))
            for mark in marks:
                known[mark] = draft
    return drafts


def _marks(entry: Entry, number: str | None) -> list[tuple[str, ...]]:
    """What another entry must share with this one to be a further upstream of its channel."""
    marks: list[tuple[str, ...]] = []
    if entry.tvg_id:
        marks.append(("id", entry.tvg_id, entry.name))
    if number is not None and entry.name:
        marks.append(("number", number, entry.name))
    if not marks and entry.name:
        marks.append(("name", entry.name, entry.group))
    return marks


def _base(entry: Entry) -> str:
    """What a channel is known by from one refresh to the next, kind first. Never a URL's login:
    of the URL only the end of the path, and only where the list says nothing else."""
    if entry.tvg_id:
        return f"id\0{entry.tvg_id}"
    if entry.name:
        return f"name\0{entry.name}"
    try:
        path = urlsplit(entry.url).path
    except ValueError:
        path = ""
    return f"path\0{path.rpartition('/')[2]}"


def _number(drafts: list[_Draft]) -> None:
    numbers = FreeNumbers()
    for draft in drafts:
        if draft.wanted is not None and numbers.take(draft.wanted):
            draft.number = draft.wanted
    for draft in drafts:
        if not draft.number:
            draft.number = numbers.next()


def _identified(drafts: list[_Draft]) -> list[ChannelId]:
    """An id for each draft. Of several known by the same, the first by name keeps the plain id and
    the others are told apart by name, number and group: the order of the list has no say, until
    even these are the same and only counting is left."""
    same: dict[str, list[int]] = {}
    for index, draft in enumerate(drafts):
        same.setdefault(draft.base, []).append(index)
    ids: dict[int, ChannelId] = {}
    taken: set[ChannelId] = set()
    times: dict[str, int] = {}
    for base, indices in same.items():
        indices.sort(key=lambda index: drafts[index].twin)
        for place, index in enumerate(indices):
            text = base if place == 0 else "\0".join((base, *drafts[index].twin))
            made = _id(text)
            while made in taken:
                times[text] = times.get(text, 1) + 1
                made = _id(f"{text}\0{times[text]}")
            taken.add(made)
            ids[index] = made
    return [ids[index] for index in range(len(drafts))]


def _id(text: str) -> ChannelId:
    return ChannelId(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest())


def _upstream(source: SourceId, entry: Entry, key: bytes) -> Upstream:
    return Upstream(
        source=source,
        url=entry.url,
        headers=entry.headers,
        redacted=redact(entry.url),
        digest=digest(entry.url, key),
    )
