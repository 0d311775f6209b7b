"""The steps of the setup: which of them really happened, and what to do for the next one. Pure.

Nothing is ticked because somebody clicked it. What a browser or curl asked is a person looking, and
ticks nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plexbridge.tuner.asked import Asked, Asker
from plexbridge.tuner.client import NAMES
from plexbridge.web.wording import lasted, plural, size

LOOKING: Final = frozenset({"a web browser", "curl"})
"""Names of what people look with."""

assert {name for _, name, _ in NAMES} >= LOOKING, "a name was changed"

FOUND: Final = ("/discover.json", "/device.xml", "/lineup.m3u")
"""What a media server asks first; a playlist's reader asks for nothing else."""

LISTED: Final = ("/lineup.json", "/lineup.xml", "/lineup.m3u")
GUIDE: Final = ("/xmltv.xml",)

Row = Mapping[str, Any]
Last = tuple[Asker, Asked] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of them."""

    key: str
    title: str
    done: bool
    words: str
    """What is known of it."""
    next_step: str = ""
    """What to do, while it is not done."""
    last: Last = None
    """Who asked, where the step is a request."""

    def document(self) -> dict[str, Any]:
        """For the API; times in Unix milliseconds."""
        asker, asked = self.last or (None, None)
        return {
            "key": self.key,
            "title": self.title,
            "done": self.done,
            "words": self.words,
            "next": None if self.done else self.next_step,
            "at": None if asked is None else asked.at // 1_000,
            "client": None
            if asker is None
            else {"address": asker.address, "name": asker.name, "user_agent": asker.user_agent},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What really happened."""

    channels: int
    sources: Sequence[Row]
    """As `/api/sources` has them."""
    guides: Sequence[Row]
    """As `/api/guides` has them."""
    found: Last
    listed: Last
    guide: Last
    looked: Last
    """A browser or curl, at any of these."""
    watched: Row | None
    """The session of a player that got video last, as `/api/sessions` has it."""


def steps(seen: Seen) -> list[Step]:
    """All of them, in order."""
    return [
        _source(seen),
        _guide(seen),
        _address(seen),
        _found(seen),
        _listed(seen),
        _guide_fetched(seen),
        _watched(seen),
    ]


def _source(seen: Seen) -> Step:
    told = plural(len(seen.sources), "source")
    words = f"{plural(seen.channels, 'channel')} from {told}."
    next_step = ""
    if not seen.sources:
        words = "No source is set yet."
        next_step = (
            "Give PLEXBRIDGE_PLAYLIST the address of your provider's playlist or account, on the "
            "page of settings or in the environment, and start the bridge anew."
        )
    elif not seen.channels:
        problems = [one["problem"] for one in seen.sources if one["problem"]]
        words = problems[0] if problems else f"{told}, and no channel yet."
        next_step = "The page of sources says how each stands, and has a button to read it again."
    return Step(
        key="source",
        title="A source gives channels",
        done=seen.channels > 0,
        words=words,
        next_step=next_step,
    )


def _guide(seen: Seen) -> Step:
    matched = sum(one["matched"] or 0 for one in seen.guides)
    programmes = sum(one["programmes"] or 0 for one in seen.guides)
    words, next_step = f"{plural(matched, 'channel')} matched, {programmes:,} programmes.", ""
    if not seen.guides:
        words = "No guide is set, and no source names one."
        next_step = (
            "You may go on without: channels then show no programmes. Or give PLEXBRIDGE_GUIDE the "
            "address of an XMLTV guide, on the page of settings, and start the bridge anew."
        )
    elif not programmes:
        problems = [one["problem"] for one in seen.guides if one["problem"]]
        words = problems[0] if problems else "It is being read."
        next_step = "The page of sources says how the guide stands, and reads it again."
    return Step(
        key="guide",
        title="A guide is there",
        done=programmes > 0,
        words=words,
        next_step=next_step,
    )


def _address(seen: Seen) -> Step:
    reached = seen.found or seen.listed
    return Step(
        key="address",
        title="Give your media server the tuner's address",
        done=reached is not None,
        words="A media server has come by it." if reached else "No media server has come yet.",
        next_step="Type the address below into your media server, without anything behind it.",
    )


def _found(seen: Seen) -> Step:
    next_step = "Plex: Settings, Live TV & DVR, Set Up Plex DVR; where the tuner is not listed, "
    next_step += "enter the address by hand. This ticks by itself when it asks."
    return _asked(
        seen,
        seen.found,
        key="discover",
        title="It asks what the tuner is",
        what="/discover.json",
        next_step=next_step,
    )


def _listed(seen: Seen) -> Step:
    return _asked(
        seen,
        seen.listed,
        key="lineup",
        title="It fetches the channels",
        what="/lineup.json",
        next_step="In Plex: choose the tuner that was found, and Continue. Channels are asked for "
        "then; with several hundred it takes a minute.",
    )


def _guide_fetched(seen: Seen) -> Step:
    return _asked(
        seen,
        seen.guide,
        key="guide_fetched",
        title="It fetches the programme guide",
        what="/xmltv.xml",
        next_step="In Plex: at the postal code, choose “Have an XMLTV guide on your server? Click "
        "here to use that instead” and paste the guide's address below. Any language will do.",
    )


def _asked(seen: Seen, last: Last, *, key: str, title: str, what: str, next_step: str) -> Step:
    if last is None:
        words = f"Nobody asked for {what} yet."
        if seen.looked is not None and what in seen.looked[0].routes:
            words = f"Only {seen.looked[0].name} asked for {what}: a person looking."
    else:
        asker, asked = last
        often = "" if asked.times == 1 else f", {asked.times:,} times by now"
        words = f"{asker.name} at {asker.address}{often}."
    return Step(
        key=key, title=title, done=last is not None, words=words, next_step=next_step, last=last
    )


def _watched(seen: Seen) -> Step:
    words = "Nobody has watched yet."
    if (session := seen.watched) is not None:
        channel, client = session["channel"], session["client"]
        first = session["first_byte_ms"]
        begun = "" if first is None else f", the first byte after {lasted(first)}"
        words = (
            f"{client['name']} at {client['address']}: {channel['guide_number']} "
            f"{channel['name']}, {size(session['bytes'])} so far{begun}."
        )
    return Step(
        key="stream",
        title="Somebody watches",
        done=seen.watched is not None,
        words=words,
        next_step="Open Live TV in your media server and start a channel; or try one here first, "
        "on the page of channels.",
    )
