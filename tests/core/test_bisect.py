"""The first position at which something fails, or a total reaches a number."""

import orjson
import pytest

from events.codec import GENESIS, hash_of
from events.envelope import Recorded
from plexbridge.audit.bisect import (
    NoInvariant,
    first_failure,
    first_reached,
    invariants,
    total_of,
)
from plexbridge.log.memory import MemoryReader
from tests.core.stamped_history import chained, stamped_household


def reader_of(rows: list[Recorded], *, rehash: bool = True) -> MemoryReader:
    """A log of these rows, its chain made anew."""
    reader, previous, hashed = MemoryReader(), GENESIS, []
    for row in rows:
        previous = hash_of(previous, row) if rehash else row.hash
        hashed.append(row._replace(hash=previous))
    reader.add(hashed)
    return reader


def sound() -> list[Recorded]:
    """A log in which every promise was kept."""
    return chained(stamped_household(2, 200).events)


def test_a_sound_log_has_no_first_failure() -> None:
    """Of any invariant, or of one."""
    reader = reader_of(sound())
    assert first_failure(reader).finding is None
    assert first_failure(reader, ("leases",)).finding is None
    assert first_failure(reader, ("chain",)).finding is None


def test_the_first_failure_is_where_it_first_failed() -> None:
    """Though the same fails again later; nothing behind it is read."""
    rows = sound()
    leased = [n for n, row in enumerate(rows) if row.type == "tuner_leased"]
    for n in leased[4:9]:
        data = orjson.dumps({**rows[n].payload, "tuner": 77})
        rows[n] = rows[n]._replace(data=data)
    failed = first_failure(reader_of(rows), ("limits",))
    assert failed.finding is not None
    assert failed.finding.pos == failed.examined == rows[leased[4]].pos


def test_a_broken_chain_comes_before_everything() -> None:
    """What a broken log says proves nothing."""
    rows = sound()
    rows[9] = rows[9]._replace(at=rows[9].at + 1)
    failed = first_failure(reader_of(rows, rehash=False))
    assert failed.finding is not None
    assert (failed.finding.check, failed.finding.pos) == ("chain", 10)


def test_what_cannot_be_checked_is_told_where_nothing_fails() -> None:
    """It is never fine."""
    rows = sound()
    rows[9] = rows[9]._replace(data=b"{")
    failed = first_failure(reader_of(rows), ("steps",))
    assert failed.finding is not None
    assert (failed.finding.kind, failed.finding.pos) == ("unchecked", 10)


def test_an_invariant_that_is_none() -> None:
    """Is told with those that are."""
    assert "leases" in invariants()
    with pytest.raises(NoInvariant, match="leases"):
        first_failure(reader_of(sound()), ("leashes",))


@pytest.mark.parametrize("reached_at", [1, 2, 617, 1_000])
def test_a_total_is_found_by_halving(reached_at: int) -> None:
    """Wherever it is, in few looks."""
    looks = []

    def total(position: int) -> float:
        looks.append(position)
        return position >= reached_at

    assert first_reached(total, 1, 1, 1_000) == reached_at
    assert len(looks) <= 11
    assert first_reached(total, 2, 1, 1_000) is None
    assert first_reached(total, 1, 1, 0) is None


def test_which_totals_there_are() -> None:
    """One that is not there yet is 0; a part that is no number is told with those that are."""
    document = {"totals": {"sessions": 3, "ended": {"stale": 2}, "channels": [{"id": "c", "n": 1}]}}
    assert total_of(document, "sessions") == 3
    assert total_of(document, "ended.stale") == 2
    assert total_of(document, "ended.orphaned") == 0
    assert total_of(document, "channels.c.n") == 1
    with pytest.raises(NoInvariant, match="sessions"):
        total_of(document, "ended")
    with pytest.raises(NoInvariant, match=r"ended\.stale"):
        total_of(document, "sessions.x")
