"""A position inside a decision stands for the state after the whole of it."""

import pytest

from events.ids import Position
from plexbridge.log.memory import MemoryReader
from plexbridge.log.whole import whole
from tests.core.stamped_history import chained, stamped_household


def ends_of(seed: int, *, steps: int = 200) -> tuple[MemoryReader, list[int]]:
    """A log, and for each of its positions the last one of its decision."""
    household = stamped_household(seed, steps)
    reader = MemoryReader()
    reader.add(chained(household.events))
    ends: list[int] = []
    for append in household.appends:
        ends += [len(ends) + len(append)] * len(append)
    return reader, ends


@pytest.mark.parametrize("seed", range(10))
def test_a_position_is_moved_to_the_end_of_its_decision(seed: int) -> None:
    """From each of its events, whatever else happened in the same microsecond."""
    reader, ends = ends_of(seed)
    assert [whole(reader, pos) for pos in range(1, len(ends) + 1)] == ends


def test_before_the_first_event_and_at_the_head_nothing_moves() -> None:
    """Nor where the log does not reach."""
    reader, ends = ends_of(1)
    head = Position(len(ends))
    assert [whole(reader, pos) for pos in (0, head, head + 7)] == [0, head, head + 7]
