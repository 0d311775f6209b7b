"""The door: one answer at a time, nothing given before it is durable, nothing lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from events.commands import Progress
from events.refusals import (
    AllTunersInUse,
    AlreadyEnded,
    SourceFull,
    UnknownSession,
)
from plexbridge.control.door import Door
from plexbridge.log.memory import MemoryLog
from plexbridge.log.port import EventLog
from plexbridge.log.sqlite import SqliteLog
from tests.service.door_rig import WITHIN_S, door_over
from tests.service.relay_setup import until


@pytest.fixture(params=["memory", "sqlite"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    """Both logs."""
    if request.param == "memory":
        yield MemoryLog()
    else:
        yield SqliteLog(tmp_path / "log.db", durability="relaxed")


class Slow:
    """A schedule that stores when it is told to."""

    def __init__(self) -> None:
        self._rounds: list[Callable[[], None]] = []

    def __call__(self, round_: Callable[[], None]) -> None:
        self._rounds.append(round_)

    def store(self) -> None:
        """Store everything that waits."""
        while self._rounds:
            self._rounds.pop(0)()


async def turns(count: int = 5) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def stop(door: Door, session: str, reason: str = "manual") -> None:
    """A person stops a session."""
    await door.stop(session, reason=reason, detail="asked", actor="admin")  # type: ignore[arg-type]


@pytest.mark.parametrize("tuners", [1, 2])
async def test_tunes_at_the_same_instant_never_get_one_tuner(log: EventLog, tuners: int) -> None:
    """Four players of four channels race: as many are served as there are tuners."""
    async with door_over(log, tuners=tuners) as rig:
        racing = [rig.tuning(str(channel)) for channel in range(4)]
        answers = await asyncio.gather(*racing, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, AllTunersInUse)]
        assert len(refused) == 4 - tuners
        assert sum(isinstance(answer, str) for answer in answers) == tuners
        assert sorted(lease.tuner for lease in rig.door.world.leases.values()) == [*range(tuners)]
        await rig.door.close()
        assert rig.is_what_the_log_says()


async def test_a_source_is_never_given_one_connection_too_many(log: EventLog) -> None:
    """Tuners are free, the account is not."""
    async with door_over(log, tuners=4) as rig:
        racing = [rig.tuning(str(channel), allowed=2) for channel in range(4)]
        answers = await asyncio.gather(*racing, return_exceptions=True)
        assert sum(isinstance(answer, SourceFull) for answer in answers) == 2
        assert len(rig.door.world.leases) == 2


async def test_a_tune_is_answered_only_when_it_is_durable() -> None:
    """Neither the answer nor any effect comes before the log has stored it."""
    disk = Slow()
    async with door_over(MemoryLog(schedule=disk)) as rig:
        tuning = rig.tuning()
        await turns()
        assert not tuning.done()
        assert not rig.applied, "nothing is given yet"
        assert rig.door.world.sessions, "and yet the next command sees it"
        disk.store()
        session = await tuning
        assert rig.kinds() == ["channel tuner_leased", "session connect"]
        assert [event.type for event in rig.applied] == ["tuner_leased", "connect"]
        rig.leaves(session)
        disk.store()


async def test_what_happened_takes_effect_at_once() -> None:
    """A fact does not wait for the disk: its tuner is free for the very next player."""
    disk = Slow()
    async with door_over(MemoryLog(schedule=disk), tuners=1) as rig:
        first = rig.tuning("1")
        await turns()
        disk.store()
        session = await first
        rig.applied.clear()
        stored = rig.leaves(session)
        assert [event.type for event in rig.applied] == ["disconnect", "tuner_released"]
        assert not rig.door.world.leases
        second = rig.tuning("2")
        await turns()
        assert stored is not None
        assert not stored.done()
        disk.store()
        assert rig.door.world.sessions.keys() == {await second}
        assert await stored


async def test_a_tune_cancelled_before_it_is_durable_leaves_nothing(log: EventLog) -> None:
    """The player left while its grant was on its way: it is taken back, and the log says so."""
    async with door_over(log, tuners=1) as rig:
        tuning = rig.tuning()
        await asyncio.sleep(0)
        assert rig.door.world.sessions
        tuning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tuning
        assert not rig.door.world.sessions
        assert not rig.door.world.leases
        await until(lambda: len(rig.durable) == 4)
        assert rig.kinds()[2:] == ["session disconnect", "channel tuner_released"]
        assert rig.is_what_the_log_says()


async def test_a_tune_cancelled_while_it_waits_leaves_nothing(log: EventLog) -> None:
    """Neither an event nor a place in the line."""
    async with door_over(log, tuners=1, admission_wait_ms=60_000) as rig:
        holder = await rig.watching("1")
        before = len(rig.durable)
        waiting, behind = rig.tuning("2"), rig.tuning("3")
        await turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(rig.durable) == before
        rig.leaves(holder)
        async with asyncio.timeout(WITHIN_S):
            assert rig.door.world.sessions.keys() == {await behind}


async def test_a_tune_cancelled_just_when_it_is_woken_leaves_nothing(log: EventLog) -> None:
    """The release goes to the next in the line."""
    async with door_over(log, tuners=1, admission_wait_ms=60_000) as rig:
        holder = await rig.watching("1")
        waiting, behind = rig.tuning("2"), rig.tuning("3")
        await turns()
        rig.leaves(holder)
        waiting.cancel()
        async with asyncio.timeout(WITHIN_S):
            session = await behind
            late = rig.tuning("3")
            await late
        assert waiting.cancelled()
        assert rig.door.world.sessions[session].channel == "3"
        assert rig.is_what_the_log_says()


@pytest.mark.parametrize("steps", range(8))
async def test_a_tune_cancelled_at_any_step_leaves_nothing(log: EventLog, steps: int) -> None:
    """Wherever it is: no session and no tuner remain, and the log agrees."""
    async with door_over(log, tuners=1) as rig:
        tuning = rig.tuning()
        await turns(steps)
        tuning.cancel()
        answered = (await asyncio.gather(tuning, return_exceptions=True))[0]
        if isinstance(answered, str):  # it was too late: the player has it, and leaves
            rig.leaves(answered)
        assert not rig.door.world.sessions
        assert not rig.door.world.leases
        await rig.door.close()
        assert rig.is_what_the_log_says()


async def test_who_waits_is_served_by_a_release_first_come_first(log: EventLog) -> None:
    """In the order in which they asked, each as soon as a tuner returns."""
    async with door_over(log, tuners=1, admission_wait_ms=60_000) as rig:
        holder = await rig.watching("0")
        served: list[str] = []

        async def ask(channel: str) -> None:
            session = await rig.door.tune(rig.asking(channel))
            served.append(channel)
            rig.leaves(session)

        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as players:
            for channel in ("1", "2", "3", "4"):
                players.create_task(ask(channel))
            await turns()
            assert not served
            rig.leaves(holder)
        assert served == ["1", "2", "3", "4"]


async def test_who_comes_with_the_release_does_not_overtake_who_waits(log: EventLog) -> None:
    """A tuner returns in the very moment in which another player asks."""
    async with door_over(log, tuners=1, admission_wait_ms=60_000) as rig:
        holder = await rig.watching("0")
        waiting = rig.tuning("1")
        await turns()
        newcomer = rig.tuning("2")  # begins to run with what the release wakes
        rig.leaves(holder)
        async with asyncio.timeout(WITHIN_S):
            first = await waiting
            await turns()
            assert not newcomer.done()
            rig.leaves(first)
            await newcomer


async def test_refused_after_the_wait_with_who_holds_what_was_missing(log: EventLog) -> None:
    """The refusal names the holders, says how long was waited, and is recorded once a minute."""
    async with door_over(log, tuners=1, admission_wait_ms=100) as rig:
        holder = await rig.watching("1")
        for _ in range(2):
            asked_at = rig.clock.monotonic()
            with pytest.raises(AllTunersInUse) as refused:
                await rig.door.tune(rig.asking("2", key="the same player"))
            assert rig.clock.monotonic() - asked_at >= 0.099
            assert [h.sessions for h in refused.value.holders] == [(holder,)]
        await until(lambda: "channel refused" in rig.kinds())
        assert rig.kinds().count("channel refused") == 1
        [told] = rig.log.reader.read_stream("channel-2")
        assert told.payload["holders"][0]["sessions"] == [holder]
        assert told.payload["waited_ms"] >= 100


async def test_a_second_stop_is_told_so_and_there_is_one_terminal_event(log: EventLog) -> None:
    """Whoever asks, however many at once."""
    async with door_over(log) as rig:
        session = await rig.watching()
        answers = await asyncio.gather(
            *(stop(rig.door, session) for _ in range(5)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [type(None), *[AlreadyEnded] * 4]
        with pytest.raises(AlreadyEnded):
            await stop(rig.door, session)
        assert rig.ends_of(session) == 1
        with pytest.raises(UnknownSession):
            await stop(rig.door, "nobody")


async def test_a_stop_and_a_leaving_player_at_once_end_a_session_once(log: EventLog) -> None:
    """The one that comes second finds it ended."""
    async with door_over(log) as rig:
        session = await rig.watching()
        stopping = asyncio.ensure_future(stop(rig.door, session))
        rig.leaves(session)
        with pytest.raises(AlreadyEnded):
            await stopping
        await rig.door.close()
        assert rig.ends_of(session) == 1


async def test_a_stop_carries_what_the_socket_accepted(log: EventLog) -> None:
    """Also when nothing of it was recorded before; and who asked."""
    async with door_over(log) as rig:
        session = await rig.watching()
        rig.upstream("opened")
        rig.upstream("first_byte")
        rig.seen[session] = progress = Progress(bytes=4_711, accepted_at=rig.clock.now())
        rows = await rig.door.stop(session, reason="forced", detail="asked", actor="admin")
        assert rows[0].payload["bytes"] == 4_711
        assert rows[0].payload["accepted_at"] == progress.accepted_at
        assert (rows[0].type, rows[0].actor) == ("reclaim", "admin")
