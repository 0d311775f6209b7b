"""What an outage of the log leaves between the decided state and the world outside is put right.

Each of these was found by the simulation at the door (`python -m tests.simulation door`).
"""

import asyncio
from collections.abc import Sequence

from events.commands import ChangeSource
from events.envelope import NewEvent
from events.ids import ChannelId, ConnectionId, SourceId
from plexbridge.control.outage import gone
from plexbridge.log.memory import MemoryLog, Outcome
from tests.service.door_rig import Rig, door_over
from tests.service.relay_setup import until


class Moods:
    """A disk that does with the next batches what it is told to, and stores afterwards."""

    def __init__(self) -> None:
        self.next: list[Outcome] = []

    def take(self, events: Sequence[NewEvent]) -> Outcome:
        """A memory log's fault policy."""
        return self.next.pop(0) if self.next else Outcome.STORED


async def mended(rig: Rig) -> None:
    """The door, which has heard of the failure, stores again."""
    await until(lambda: rig.door.storing)
    await rig.door.close()
    assert rig.is_what_the_log_says()


def relayed(rig: Rig) -> set[str]:
    """Channels whose relays were opened and not closed, by what was carried out."""
    channels: set[str] = set()
    for event in rig.applied:
        name = event.stream.removeprefix("channel-")
        if event.type == "tuner_leased":
            channels.add(name)
        elif event.type == "tuner_released":
            channels.discard(name)
    return channels


async def test_who_left_while_handed_over_is_not_a_ghost_when_the_hand_over_is_lost() -> None:
    """Seed 1704: its session is in force again, and its player is gone: it ends at once."""
    disk = Moods()
    async with door_over(MemoryLog(fault=disk.take), tuners=1) as rig:
        older = await rig.door.tune(rig.asking("1", key="id:tv", identified=True))
        disk.next = [Outcome.LOST]
        tuning = rig.tuning("2", key="id:tv", identified=True)
        await asyncio.sleep(0)
        assert older not in rig.door.world.sessions, "handed over, and not yet durable"
        rig.gone.add(older)  # what the player's leaving ends now is nothing
        await asyncio.gather(tuning, return_exceptions=True)
        await mended(rig)
        assert not rig.door.world.sessions
        assert rig.ends_of(older) == 1
        assert not relayed(rig)


async def test_a_lease_given_up_before_it_was_durable_is_not_left_without_a_relay() -> None:
    """Seed 7883: its relay was never opened; the tune that took its place is lost."""
    disk = Moods()
    rounds: list[object] = []
    log = MemoryLog(fault=disk.take, schedule=rounds.append)
    async with door_over(log, tuners=1, linger_ms=60_000) as rig:
        first = rig.tuning("1")
        await asyncio.sleep(0)
        first.cancel()  # leaves a lingering lease that is not durable
        await asyncio.gather(first, return_exceptions=True)
        stored = rounds.pop()
        second = rig.tuning("2")  # gives that lease up
        rounds.append(stored)
        await asyncio.sleep(0)
        assert set(rig.door.world.leases) == {"2"}
        disk.next = [Outcome.STORED, Outcome.LOST]

        async def storing() -> None:
            while True:
                while rounds:
                    rounds.pop(0)()  # type: ignore[operator]
                await asyncio.sleep(0.001)

        working = asyncio.create_task(storing())
        await asyncio.gather(second, return_exceptions=True)
        await until(lambda: rig.door.storing)
        await rig.door.close()
        assert set(rig.door.world.leases) == relayed(rig)
        working.cancel()
        await log.close()


async def test_a_relay_closed_for_want_of_a_joiner_that_was_stored_after_all_frees_its_tuner() -> (
    None
):
    """Seed 3237: without the joiner the stop was a release; with it the tuner stayed leased."""
    disk = Moods()
    async with door_over(MemoryLog(fault=disk.take), tuners=1, linger_ms=60_000) as rig:
        watching = await rig.watching("1")
        disk.next = [Outcome.UNKNOWN]
        joining = rig.tuning("1")
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(
            rig.door.stop(watching, reason="manual", detail="by_admin", actor="admin")
        )
        await asyncio.gather(joining, stopping, return_exceptions=True)
        await mended(rig)
        assert not rig.door.world.leases
        assert not relayed(rig)


async def test_a_release_that_rests_on_a_lost_tune_closes_no_relay() -> None:
    """Seed 2985: the last one on a relay is stopped, after another was handed over from it; the
    hand-over is lost, so that one watches on."""
    disk = Moods()
    async with door_over(MemoryLog(fault=disk.take), max_sessions=2) as rig:
        watching = await rig.door.tune(rig.asking("1", key="id:tv", identified=True))
        disk.next = [Outcome.LOST]
        tasks = [rig.tuning("1"), rig.tuning("2", key="id:tv", identified=True)]
        await asyncio.sleep(0)
        joined = next(s.id for s in rig.door.world.sessions.values() if s.channel == "1")
        assert watching not in rig.door.world.sessions, "handed over, and not yet durable"
        stop = rig.door.stop(joined, reason="manual", detail="by_admin", actor="admin")
        await asyncio.gather(*tasks, asyncio.ensure_future(stop), return_exceptions=True)
        await mended(rig)
        assert set(rig.door.world.sessions) == {watching}
        assert set(rig.door.world.leases) == relayed(rig) == {"1"}


async def test_a_change_of_source_that_was_stored_after_all_is_answered_with_it() -> None:
    """Seed 22432: without the tune beside it there was no room; it stands in the log all the
    same, and the relay that asked must learn which source it has."""
    disk = Moods()
    async with door_over(MemoryLog(fault=disk.take), tuners=4) as rig:
        await rig.watching("1")
        elsewhere = await rig.door.tune(rig.asking("2", key="id:tv", identified=True))
        disk.next = [Outcome.UNKNOWN]
        rig.door.report(
            ChangeSource(
                at=rig.clock.now(),
                channel=ChannelId("2"),
                lease=rig.door.world.leases[ChannelId("2")].ver,
                source=SourceId("q"),
                allowed=1,
                attempt=2,
            )
        )
        handing_over = rig.tuning("3", key="id:tv", identified=True)
        await asyncio.sleep(0)
        assert elsewhere not in rig.door.world.sessions or rig.door.world.leases
        changed = rig.door.report(
            ChangeSource(
                at=rig.clock.now(),
                channel=ChannelId("1"),
                lease=rig.door.world.leases[ChannelId("1")].ver,
                source=SourceId("q"),
                allowed=2,
                attempt=2,
            )
        )
        assert changed is not None
        await asyncio.gather(handing_over, return_exceptions=True)
        await mended(rig)
        assert [row.type for row in changed.result()] == ["source_changed"]
        assert rig.door.world.leases[ChannelId("1")].source == "q"


def test_the_word_for_a_player_that_is_gone_ends_its_own_connection_only() -> None:
    """A session that went on with another connection is left alone by it."""
    command = gone("s1", ConnectionId(7), 0)  # type: ignore[arg-type]
    assert (command.connection, command.reason) == (7, "client_disconnect")
