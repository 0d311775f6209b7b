"""Which guide channel each lineup channel has, how it was found, and which others it could have.

Blocking: reads the guides' files. Refuses to know how a mapping is changed, which is an edit of the
channel's `tvg_id` as any other, and takes effect when the guides are read again.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rapidfuzz import fuzz, process

from events.ids import ChannelId
from plexbridge.lineup.guide.names import name_key
from plexbridge.lineup.guide.store import Found, Guide, GuideReader, Place, opened

CANDIDATES_MAX: Final = 30
"""Shown of those that there are: more than a person reads through."""

WORDS_MAX: Final = 12
"""Of what is looked for."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The guide channel of a lineup channel."""

    guide: int
    """Index of the guide, the most trusted first."""
    guide_id: str
    name: str
    how: str
    """As `matching.How` has it."""
    confidence: int
    """Of 100; a guess has less."""
    has_programmes: bool


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A guide channel that a lineup channel could have."""

    confidence: int
    """Of 100: how alike the two names are, without quality and country."""
    guide: int
    guide_id: str
    name: str


def mapped(guide: Guide, reader: GuideReader, channel: ChannelId) -> Mapped | None:
    """What a lineup channel has; None: nothing.

    Raises:
        StorageFailed: a file is gone or damaged.
    """
    place = guide.places.get(channel)
    if place is not None:
        return _mapped(reader, place, has_programmes=True)
    found = reader.without_programmes(channel)
    if found is None:
        return None
    index, (number, how, confidence) = found
    return _mapped(reader, Place(index, *Found(number, how, confidence)), has_programmes=False)


def candidates(guide: Guide, name: str, query: str) -> list[Candidate]:
    """Guide channels whose id and name hold every word of `query` (all, where it has none), those
    most alike to `name` first; at most `CANDIDATES_MAX`.

    Looks at every channel of every guide, some thousand at a time, so that others have their turn.

    Raises:
        GuideFault: a file is gone or damaged.
    """
    words = query.casefold().split()[:WORDS_MAX]
    with opened(guide) as reader:
        return heapq.nlargest(
            CANDIDATES_MAX,
            (
                candidate
                for index in range(len(guide.stored))
                for page in reader.guide_channels(index)
                for candidate in _alike(index, page, name_key(name), words)
            ),
            key=lambda one: (one.confidence, -one.guide),
        )


def _alike(
    guide: int, page: list[tuple[str, str]], key: str, words: list[str]
) -> Iterator[Candidate]:
    """The best of a page: more of it cannot be among the best of all."""
    meant = [row for row in page if _holds(row, words)]
    if not key:
        yield from (Candidate(0, guide, *row) for row in meant[:CANDIDATES_MAX])
        return
    keys = [name_key(name or guide_id) for guide_id, name in meant]
    for _, score, at in process.extract(key, keys, scorer=fuzz.ratio, limit=CANDIDATES_MAX):
        yield Candidate(int(score), guide, *meant[at])


def _holds(row: tuple[str, str], words: list[str]) -> bool:
    text = f"{row[0]} {row[1]}".casefold()
    return all(word in text for word in words)


def _mapped(reader: GuideReader, place: Place, *, has_programmes: bool) -> Mapped:
    guide_id, name = reader.guide_channel(place.guide, place.number)
    return Mapped(place.guide, guide_id, name, place.how, place.confidence, has_programmes)
