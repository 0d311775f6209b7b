"""A part of the programme guide: some channels, and what is on there in some hours.

Blocking: looks at every channel of the lineup, and into the guides' files for those on the page
alone. Bounded by the page and the window, whatever there is beside them.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edits import Edits
from plexbridge.lineup.finding import Filter, matching
from plexbridge.lineup.guide.details import Brief, Details, brief, details
from plexbridge.lineup.guide.job import SURE
from plexbridge.lineup.guide.mapping import Mapped, mapped
from plexbridge.lineup.guide.store import Guide, GuideReader, opened
from plexbridge.lineup.numbering import rank

UNMAPPED_FIRST: Final = "unmapped_first"
UNMAPPED: Final = "unmapped"
GUESSED: Final = "guessed"
SHOWS: Final = (UNMAPPED_FIRST, UNMAPPED, GUESSED)
"""Ways to ask for channels by their mapping; else all of them come, by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted. Times in seconds since 1970."""

    begin: int
    until: int
    limit: int
    """Channels."""
    after: str | None = None
    """The guide number that the page before ended with."""
    query: str = ""
    group: str | None = None
    show: str = ""
    """One of `SHOWS`, or nothing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A channel and what is on there."""

    channel: Channel
    mapped: Mapped | None
    programmes: tuple[Brief, ...]
    """Those that are on within the window, if only for a part of it."""
    following: Brief | None
    """The one that begins behind the window."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of channels."""

    channels: tuple[Listed, ...]
    first: int
    """How many that match stand before this page."""
    matches: int
    next_after: str | None


def listing(guide: Guide, lineup: Lineup, edits: Edits, asked: Asked) -> Listing:
    """The enabled channels that are asked for, with their programmes.

    Raises:
        GuideFault: a file is gone or damaged.
    """
    chosen = _chosen(guide, lineup, edits, asked)
    first = 0
    if asked.after is not None:
        key = _key(guide, asked.show)
        had = lineup.by_number(asked.after, disabled=True)
        last = (0, rank(asked.after)) if had is None else key(had)
        first = bisect_right(chosen, last, key=key)
    page = chosen[first : first + asked.limit]
    more = first + asked.limit < len(chosen)
    with opened(guide) as reader:
        rows = tuple(_listed(guide, reader, channel, asked) for channel in page)
    return Listing(
        rows,
        first,
        len(chosen),
        page[-1].guide_number if page and more else None,
    )


def without_guide(guide: Guide, lineup: Lineup) -> int:
    """How many of all enabled channels have none. Linear in the lineup."""
    return sum(channel.id not in guide.places for channel in lineup.channels)


@dataclass(frozen=True, slots=True)
class Told:
    """One programme, and when those beside it begin."""

    details: Details
    before: int | None
    after: int | None


def programme(guide: Guide, channel: Channel, at: int) -> Told | None:
    """What is on at a time, in seconds since 1970; None: nothing that is known of.

    Raises:
        GuideFault: a file is gone or damaged.
    """
    with opened(guide) as reader:
        rows = reader.within(channel.id, at, at + 1)
        if not rows or not rows[0][0] <= at < rows[0][1]:
            return None
        before = reader.start_before(channel.id, rows[0][0])
    return Told(details(rows[0]), before, rows[1][0] if len(rows) > 1 else None)


def schedule(guide: Guide, channel: Channel, begin: int, until: int) -> list[Details]:
    """Everything that a channel shows between two times, in seconds since 1970.

    Raises:
        GuideFault: a file is gone or damaged.
    """
    with opened(guide) as reader:
        return [
            details(row)
            for page in reader.programmes(channel.id)
            for row in page
            if row[1] > begin and row[0] < until
        ]


def mapping_of(guide: Guide, channel: Channel) -> Mapped | None:
    """What one channel is mapped to.

    Raises:
        GuideFault: a file is gone or damaged.
    """
    with opened(guide) as reader:
        return mapped(guide, reader, channel.id)


def _listed(guide: Guide, reader: GuideReader, channel: Channel, asked: Asked) -> Listed:
    rows = reader.within(channel.id, asked.begin, asked.until)
    inside = [row for row in rows if row[1] > asked.begin and row[0] < asked.until]
    behind = next((row for row in rows if row[0] >= asked.until), None)
    return Listed(
        channel,
        mapped(guide, reader, channel.id),
        tuple(map(brief, inside)),
        None if behind is None else brief(behind),
    )


def _chosen(guide: Guide, lineup: Lineup, edits: Edits, asked: Asked) -> list[Channel]:
    wanted = Filter(query=asked.query, group=asked.group, enabled=True)
    found = list(matching(lineup, wanted, edits))
    if asked.show == UNMAPPED:
        return [channel for channel in found if channel.id not in guide.places]
    if asked.show == GUESSED:
        guesses = {id_ for id_, place in guide.places.items() if place.confidence < SURE}
        return [channel for channel in found if channel.id in guesses]
    return sorted(found, key=_key(guide, asked.show)) if asked.show else found


def _key(guide: Guide, show: str) -> Callable[[Channel], tuple[int, tuple[int, int]]]:
    """What channels are sorted by; guide numbers are unique, so it is as well."""
    places = guide.places if show == UNMAPPED_FIRST else {}
    return lambda channel: (int(channel.id in places), rank(channel.guide_number))
