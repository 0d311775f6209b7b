"""The log cannot store for a while: nothing is given, nothing that happened is lost or doubled."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from events.envelope import NewEvent
from events.refusals import AlreadyEnded, LogCannotStore
from plexbridge.control import door as door_module
from plexbridge.log import driver
from plexbridge.log.driver import Connection, Durability, Row
from plexbridge.log.errors import StorageFailed
from plexbridge.log.memory import MemoryLog, Outcome
from plexbridge.log.port import EventLog
from plexbridge.log.sqlite import SqliteLog
from tests.service.door_rig import RETRY_S, Rig, door_over
from tests.service.relay_setup import until


class Disk:
    """What becomes of commits: stored, lost, or stored with nobody told, until it is mended."""

    def __init__(self) -> None:
        self.outcome = Outcome.STORED
        self.refused = 0
        """Commits that were not acknowledged."""

    def take(self, events: Sequence[NewEvent] = ()) -> Outcome:
        """A memory log's fault policy."""
        self.refused += self.outcome is not Outcome.STORED
        return self.outcome


class FailingWriter:
    """SQLite as it is, but for its commits."""

    def __init__(self, real: Connection, disk: Disk) -> None:
        self._real = real
        self._disk = disk

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        if sql == "COMMIT":
            outcome = self._disk.take()
            if outcome is Outcome.UNKNOWN:
                self._real.execute(sql)
            if outcome is not Outcome.STORED:
                raise StorageFailed("SQLITE_IOERR", "disk I/O error")
        return self._real.execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._real.executemany(sql, rows)

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def close(self) -> None:
        self._real.close()


@pytest.fixture
def disk() -> Disk:
    """A healthy one."""
    return Disk()


@pytest.fixture(params=["memory", "sqlite"])
async def log(
    request: pytest.FixtureRequest, tmp_path: Path, disk: Disk
) -> AsyncIterator[EventLog]:
    """Both logs, on that disk."""
    if request.param == "memory":
        yield MemoryLog(fault=disk.take)
        return

    def open_writer(path: Path, durability: Durability) -> Connection:
        return FailingWriter(driver.open_writer(path, durability), disk)

    yield SqliteLog(tmp_path / "log.db", durability="relaxed", open_writer=open_writer)


async def broken(rig: Rig, disk: Disk, outcome: Outcome = Outcome.LOST) -> None:
    """The disk breaks, and the door learns of it by a note."""
    disk.outcome = outcome
    noted = asyncio.ensure_future(rig.door.note("lineup", "noted", {"number": 0}))
    await until(lambda: not rig.door.storing)
    assert not noted.done(), "the note waits"


async def mended(rig: Rig, disk: Disk) -> None:
    """The disk is whole again, and the door has stored what waited."""
    disk.outcome = Outcome.STORED
    await until(lambda: rig.door.storing)
    assert rig.door.waiting_facts == 0
    await rig.door.close()
    assert rig.is_what_the_log_says()


async def test_a_tune_that_cannot_be_stored_gives_nothing(log: EventLog, disk: Disk) -> None:
    """The player is refused, the state is folded anew, no effect was carried out."""
    async with door_over(log, tuners=1) as rig:
        disk.outcome = Outcome.LOST
        with pytest.raises(LogCannotStore):
            await rig.door.tune(rig.asking())
        assert not rig.door.storing
        assert not rig.door.world.sessions
        assert not rig.door.world.leases
        assert not rig.applied
        with pytest.raises(LogCannotStore):
            await rig.door.tune(rig.asking())
        assert disk.refused == 1, "the second one did not reach the log"
        await mended(rig, disk)
        assert rig.stored() == []
        await rig.watching()
        assert rig.kinds() == ["channel tuner_leased", "session connect"]


async def test_several_tunes_on_their_way_are_all_refused(log: EventLog, disk: Disk) -> None:
    """Later decisions rest on earlier ones: all go."""
    async with door_over(log) as rig:
        disk.outcome = Outcome.LOST
        answers = await asyncio.gather(
            *(rig.tuning(channel) for channel in ("1", "1", "2")), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [LogCannotStore] * 3
        assert not rig.door.world.sessions
        await mended(rig, disk)
        assert rig.stored() == []


async def test_what_happens_meanwhile_waits_in_order(log: EventLog, disk: Disk) -> None:
    """It takes effect at once, is counted, and is stored as it happened when the log can again."""
    async with door_over(log) as rig:
        one, two = await rig.watching("1"), await rig.watching("2")
        before = len(rig.stored())
        await broken(rig, disk)
        rig.applied.clear()
        rig.upstream("opened", "1")
        rig.upstream("lost", "1")
        left = rig.leaves(two)
        assert [event.type for event in rig.applied] == [
            *("upstream_opened", "upstream_lost", "error", "tuner_released"),
            *("disconnect", "tuner_released"),
        ]
        assert rig.door.waiting_facts == 7
        assert not rig.door.world.leases
        assert len(rig.stored()) == before
        await mended(rig, disk)
        assert left is not None
        assert [row.type for row in left.result()] == ["disconnect", "tuner_released"]
        assert rig.stored()[before:] == [
            "lineup noted",
            "channel-1 upstream_opened",
            "channel-1 upstream_lost",
            f"session-{one} error",
            "channel-1 tuner_released",
            f"session-{two} disconnect",
            "channel-2 tuner_released",
        ]


async def test_nothing_new_is_given_meanwhile_and_all_is_given_afterwards(
    log: EventLog, disk: Disk
) -> None:
    """Refused while facts wait; a tuner that returned meanwhile is free."""
    async with door_over(log, tuners=1) as rig:
        session = await rig.watching("1")
        await broken(rig, disk)
        rig.leaves(session)
        with pytest.raises(LogCannotStore) as refused:
            await rig.door.tune(rig.asking("2"))
        assert "3 facts wait" in str(refused.value)
        await mended(rig, disk)
        assert (await rig.watching("2")) in rig.door.world.sessions


async def test_who_waits_for_a_release_is_refused_when_the_log_breaks(
    log: EventLog, disk: Disk
) -> None:
    """The release comes, and cannot be given away."""
    async with door_over(log, tuners=1, admission_wait_ms=60_000) as rig:
        session = await rig.watching("1")
        waiting = rig.tuning("2")
        await asyncio.sleep(0)
        await broken(rig, disk)
        rig.leaves(session)
        with pytest.raises(LogCannotStore):
            await waiting
        await mended(rig, disk)


async def test_a_session_ends_once_also_when_its_end_has_to_wait(log: EventLog, disk: Disk) -> None:
    """The second one to ask is told so, though nothing is stored yet."""
    async with door_over(log) as rig:
        session = await rig.watching()
        await broken(rig, disk)
        how = {"reason": "manual", "detail": "asked", "actor": "admin"}
        first = asyncio.ensure_future(rig.door.stop(session, **how))
        await asyncio.sleep(0)
        with pytest.raises(AlreadyEnded):
            await rig.door.stop(session, **how)
        await mended(rig, disk)
        assert [row.type for row in await first] == ["reclaim", "tuner_released"]
        assert rig.ends_of(session) == 1


async def test_a_fact_on_its_way_when_the_log_breaks_is_kept(log: EventLog, disk: Disk) -> None:
    """It had taken effect; it is stored later, once."""
    async with door_over(log) as rig:
        session = await rig.watching()
        disk.outcome = Outcome.LOST
        left = rig.leaves(session)
        await until(lambda: not rig.door.storing)
        assert left is not None
        assert not left.done()
        assert not rig.door.world.sessions
        await mended(rig, disk)
        assert [row.type for row in left.result()] == ["disconnect", "tuner_released"]
        assert rig.ends_of(session) == 1


async def test_an_end_that_is_a_release_without_the_lost_tune_is_carried_out(
    log: EventLog, disk: Disk
) -> None:
    """A second viewer joins while the first leaves; only without the second is the tuner free."""
    async with door_over(log) as rig:
        first = await rig.watching("1")
        disk.outcome = Outcome.LOST
        joining = rig.tuning("1")
        await asyncio.sleep(0)
        rig.leaves(first)
        assert rig.door.world.leases, "the second one shares it"
        with pytest.raises(LogCannotStore):
            await joining
        assert not rig.door.world.leases
        assert [event.type for event in rig.applied][-1] == "tuner_released"
        await mended(rig, disk)


async def test_what_was_stored_unheard_is_not_stored_again(log: EventLog, disk: Disk) -> None:
    """Commits of unknown outcome: a note, an upstream's loss, an end. Each stands there once, and
    whoever waits for it learns where."""
    async with door_over(log) as rig:
        one, two = await rig.watching("1"), await rig.watching("2")
        before = len(rig.stored())
        disk.outcome = Outcome.UNKNOWN
        noted = asyncio.ensure_future(rig.door.note("lineup", "noted", {"number": 1}))
        await asyncio.sleep(0)
        rig.upstream("lost", "1")
        left = rig.leaves(two)
        await until(lambda: not rig.door.storing)
        await mended(rig, disk)
        assert sorted(rig.stored()[before:]) == sorted(
            [
                "lineup noted",
                "channel-1 upstream_lost",
                f"session-{one} error",
                "channel-1 tuner_released",
                f"session-{two} disconnect",
                "channel-2 tuner_released",
            ]
        )
        assert left is not None
        assert [row.type for row in left.result()] == ["disconnect", "tuner_released"]
        assert [row.payload["number"] for row in await noted] == [1]


async def test_a_refused_tune_that_was_stored_unheard_is_taken_back(
    log: EventLog, disk: Disk
) -> None:
    """Its player was sent away, so its tuner must not stay leased."""
    async with door_over(log, tuners=1) as rig:
        disk.outcome = Outcome.UNKNOWN
        with pytest.raises(LogCannotStore):
            await rig.door.tune(rig.asking())
        await mended(rig, disk)
        assert not rig.door.world.sessions
        assert not rig.door.world.leases
        assert rig.kinds() == [
            *("channel tuner_leased", "session connect"),
            *("session disconnect", "channel tuner_released"),
        ]
        await rig.watching("2")


async def test_a_hand_over_that_was_stored_unheard_is_carried_out(
    log: EventLog, disk: Disk
) -> None:
    """The older session has ended in the log: its connection must close, its upstream too."""
    async with door_over(log, tuners=1) as rig:
        older = await rig.door.tune(rig.asking("1", key="id:tv", identified=True))
        rig.applied.clear()
        disk.outcome = Outcome.UNKNOWN
        with pytest.raises(LogCannotStore):
            await rig.door.tune(rig.asking("2", key="id:tv", identified=True))
        assert not rig.applied
        await mended(rig, disk)
        carried_out = [f"{event.stream} {event.type}" for event in rig.applied]
        assert carried_out[:2] == [f"session-{older} disconnect", "channel-1 tuner_released"]
        assert carried_out[-1] == "channel-2 tuner_released"
        assert rig.ends_of(older) == 1


async def test_unknown_again_and_again_never_doubles(log: EventLog, disk: Disk) -> None:
    """Each attempt to store what waits has an unknown outcome, too."""
    async with door_over(log) as rig:
        session = await rig.watching()
        before = len(rig.stored())
        await broken(rig, disk, Outcome.UNKNOWN)
        rig.upstream("opened")
        rig.upstream("first_byte")
        rig.leaves(session)
        await asyncio.sleep(RETRY_S * 6)
        await mended(rig, disk)
        assert rig.stored()[before:] == [
            "lineup noted",
            "channel-1 upstream_opened",
            "channel-1 upstream_first_byte",
            f"session-{session} disconnect",
            "channel-1 tuner_released",
        ]


async def test_activity_and_notes_are_left_out_beyond_the_bound_and_ends_are_not(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for hours must not fill the memory."""
    monkeypatch.setattr(door_module, "FACTS_WAITING_MAX", 3)
    async with door_over(MemoryLog(fault=disk.take)) as rig:
        session = await rig.watching()
        await broken(rig, disk)
        notes = [
            asyncio.ensure_future(rig.door.note("lineup", "noted", {"number": number}))
            for number in range(1, 6)
        ]
        await asyncio.sleep(0)
        assert rig.door.waiting_facts == 3
        assert rig.leaves(session) is not None
        assert rig.door.waiting_facts == 5
        await mended(rig, disk)
        assert [bool(await note) for note in notes] == [True, True, False, False, False]
        assert rig.ends_of(session) == 1
