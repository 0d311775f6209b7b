"""How much of an upstream the kernel gathers before it wakes us."""

import pytest

from plexbridge.relay.gathering import GATHER_BYTES_MAX, GATHER_S, Gathering


def low_water(*seconds_and_bytes: tuple[float, int]) -> list[int | None]:
    """What it answers to looks at these times, with so many bytes read by then."""
    gathering = Gathering(0.0)
    return [gathering.look(total, at) for at, total in seconds_and_bytes]


def test_a_fifth_of_a_second_is_gathered() -> None:
    """At 4 Mbit/s: 100 kB."""
    assert low_water((1.0, 500_000)) == [int(500_000 * GATHER_S)]


@pytest.mark.parametrize(
    ("bytes_per_s", "expected"),
    [(16_000, None), (100_000_000, GATHER_BYTES_MAX)],
    ids=["radio", "very-fast"],
)
def test_slow_upstreams_wake_us_at_once_and_fast_ones_are_bounded(
    bytes_per_s: int, expected: int | None
) -> None:
    """A radio channel would be held back for seconds; more than the bound would be bursts."""
    assert low_water((1.0, bytes_per_s)) == [expected]


def test_it_follows_the_rate_when_it_changes_by_more_than_a_quarter() -> None:
    """Down to no gathering at all when nothing came: what is there is not held for a stall."""
    looks = ((1.0, 800_000), (2.0, 1_700_000), (3.0, 2_200_000), (4.0, 2_200_000))
    assert low_water(*looks) == [160_000, None, 100_000, 1]
