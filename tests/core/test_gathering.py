"""How much of an upstream the kernel gathers before it wakes us."""

import pytest

from plexbridge.relay.gathering import GATHER_BYTES_MAX, GATHER_S, MEASURE_S, Gathering


def low_water(*seconds_and_bytes: tuple[float, int]) -> list[int | None]:
    """What it answers to reads at these times."""
    gathering = Gathering(0.0)
    return [gathering.took(count, at) for at, count in seconds_and_bytes]


def test_the_first_second_is_never_held_back() -> None:
    """A join is to start at once."""
    assert low_water((0.1, 100_000), (0.9, 900_000)) == [None, None]


def test_a_tenth_of_a_second_is_gathered() -> None:
    """At 8 Mbit/s: 100 kB."""
    assert low_water((MEASURE_S, 1_000_000)) == [int(1_000_000 * GATHER_S)]


@pytest.mark.parametrize(
    ("bytes_per_s", "expected"),
    [(16_000, None), (100_000_000, GATHER_BYTES_MAX)],
    ids=["radio", "very-fast"],
)
def test_slow_upstreams_wake_us_at_once_and_fast_ones_are_bounded(
    bytes_per_s: int, expected: int | None
) -> None:
    """A radio channel would be held back for seconds; more than the bound would be bursts."""
    assert low_water((MEASURE_S, bytes_per_s)) == [expected]


def test_it_follows_the_rate_when_it_changes_by_more_than_a_quarter() -> None:
    """Down to no gathering at all when the channel becomes a slow one."""
    answers = low_water((1.0, 1_000_000), (2.0, 1_100_000), (3.0, 500_000), (4.0, 10_000))
    assert answers == [100_000, None, 50_000, 1]
