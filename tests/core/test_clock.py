"""The log's clock: steady while sessions are open, the system's when nobody watches."""

from datetime import UTC, datetime

from freezegun import freeze_time

from plexbridge.clock import ManualClock, SteadyClock

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ONE_PM = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)


def micros(when: datetime) -> int:
    """The same moment, as the log writes it."""
    return round(when.timestamp() * 1_000_000)


def test_it_begins_with_the_systems_wall_time() -> None:
    """Microseconds since 1970."""
    with freeze_time(NOON):
        assert abs(SteadyClock().now() - micros(NOON)) < 1_000


def test_a_step_of_the_system_clock_is_taken_over_only_when_asked() -> None:
    """Fault 41: an hour's step ends no session, for it moves no deadline."""
    with freeze_time(NOON) as frozen:
        clock = SteadyClock()
        # freezegun moves the monotonic clock too: take back what a real step would leave alone.
        before = clock.monotonic()
        frozen.move_to(ONE_PM)
        moved = clock.monotonic() - before
        assert abs(clock.now() - micros(NOON) - moved * 1_000_000) < 1_000
        clock.resync()
        assert abs(clock.now() - micros(ONE_PM)) < 1_000


def test_a_manual_clock_moves_when_told_to() -> None:
    """By exactly so much, both ways of telling it."""
    clock = ManualClock()
    now, monotonic = clock.now(), clock.monotonic()
    clock.advance(1.5)
    assert clock.now() - now == 1_500_000
    assert round(clock.monotonic() - monotonic, 6) == 1.5
