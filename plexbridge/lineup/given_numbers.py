"""Guide numbers that were given stay given: to whom each was, and whose each is now. Pure.

Players know a channel by its number, and keep their own guide mapping by it: a number that moves
shows the wrong programme. So a channel keeps its number when others appear or vanish around it, and
one that comes back finds its own free. All numbers here are codes (`numbering`), ids whole numbers;
a million channels are some tens of bytes each.
"""

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from plexbridge.lineup.numbering import WHOLE_STEP
from plexbridge.lineup.packing import sorted_places

VANISHED_DAYS_MAX: Final = 30
"""How long a vanished channel's number waits for it. Outages and contracts last days; lists of
events (one channel for each match) lose dozens a day, and their numbers must come free again."""

VANISHED_MAX: Final = 10_000
"""Vanished channels that are remembered, the last ones first: a provider that renames everything
at each refresh must not fill the numbers up. More than most lists have."""


def _numbers() -> "array[int]":
    return array("Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenNumbers:
    """Who has which number, and who had one. Four rows of the same length, rising by id; no number
    stands there twice."""

    ids: "array[int]" = field(default_factory=_numbers)
    numbers: "array[int]" = field(default_factory=_numbers)
    said: "array[int]" = field(default_factory=_numbers)
    """What the list said of it; 0: nothing."""
    days: "array[int]" = field(default_factory=_numbers)
    """When it was listed last, days since 1970."""

    def place(self, channel: int) -> int | None:
        """Where a channel stands."""
        at = bisect_left(self.ids, channel)
        return at if at < len(self.ids) and self.ids[at] == channel else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Channels that are to have numbers, in the order of the lists."""

    ids: "array[int]"
    said: "array[int]"
    """What their lists say; 0: nothing."""
    counted: bytearray
    """1 where a list only counts its lines: what it says changes when another line goes."""


def numbers_for(wishes: Wishes, given: GivenNumbers, edited: Mapping[int, int]) -> "array[int]":
    """A number for each, all different. `edited`: numbers that people chose, and for which channel:
    nobody else is given them.

    Who has a number keeps it, unless the list says another one than before. Then who is new or says
    another gets what the list says, if it is free; then who had one gets that back; the rest get
    the lowest free whole number that nobody had, in the order of the lists.
    """
    numbers = array("Q", bytes(8 * len(wishes.ids)))
    taken: set[int] = set()

    def take(place: int, number: int) -> bool:
        if not number or number in taken:
            return False
        if edited and edited.get(number, wishes.ids[place]) != wishes.ids[place]:
            return False
        taken.add(number)
        numbers[place] = number
        return True

    back: list[tuple[int, int]] = []
    asking: list[int] = []
    if given.ids:
        for place, (channel, said) in enumerate(zip(wishes.ids, wishes.said, strict=True)):
            at = given.place(channel)
            if at is None:
                asking.append(place)
            elif said in (0, given.said[at]) or wishes.counted[place]:
                take(place, given.numbers[at])
            else:
                asking.append(place)
                back.append((place, given.numbers[at]))
    for place in asking if given.ids else range(len(numbers)):
        take(place, wishes.said[place])
    for place, number in back:
        if not numbers[place]:
            take(place, number)
    had = set(given.numbers)
    free = WHOLE_STEP
    for place, number in enumerate(numbers):
        if number:
            continue
        while free in had or not take(place, free):
            free += WHOLE_STEP
    return numbers


def remember(
    wishes: Wishes, numbers: "array[int]", given: GivenNumbers, today: int
) -> GivenNumbers:
    """What is to be known at the next refresh: the channels of now, and for some time those that
    vanished, unless their numbers are others' now. `today`: days since 1970."""
    vanished = _vanished(wishes, numbers, given, today)
    ids = wishes.ids + array("Q", (given.ids[at] for at in vanished))
    order = array("I", sorted_places(ids))
    rows = (
        ids,
        numbers + array("Q", (given.numbers[at] for at in vanished)),
        wishes.said + array("Q", (given.said[at] for at in vanished)),
        array("Q", [today]) * len(numbers) + array("Q", (given.days[at] for at in vanished)),
    )
    ids, numbers, said, days = (array("Q", map(row.__getitem__, order)) for row in rows)
    return GivenNumbers(ids=ids, numbers=numbers, said=said, days=days)


def _vanished(wishes: Wishes, numbers: "array[int]", given: GivenNumbers, today: int) -> list[int]:
    """Places of those that are remembered."""
    listed, taken = set(wishes.ids), set(numbers)
    gone = [
        at
        for at, channel in enumerate(given.ids)
        if channel not in listed
        and given.numbers[at] not in taken
        and given.days[at] + VANISHED_DAYS_MAX >= today
    ]
    gone.sort(key=given.days.__getitem__, reverse=True)
    return gone[:VANISHED_MAX]
