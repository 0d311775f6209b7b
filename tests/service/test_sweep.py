"""The sweep finds what one side has and the other has not; in normal life it finds nothing."""

import asyncio
from typing import Any

import pytest

from events.ids import ChannelId, SessionId
from plexbridge.control import sweep as sweep_module
from plexbridge.control.sweep import interval_s
from tests.service.provider_stub import endless
from tests.service.relay_setup import until
from tests.service.station import Player, Station, station

BITS_PER_S = 2_000_000
QUICK_LOOK_S = 0.05


@pytest.fixture(autouse=True)
def quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory log stores in the loop's next round: the second look need not wait for a disk."""
    monkeypatch.setattr(sweep_module, "SECOND_LOOK_S", QUICK_LOOK_S)


async def one_watches(on_air: Station, number: str = "1", agent: str = "Lavf/60.3") -> Player:
    """A player that reads all it gets."""
    on_air.provider.on(f"/{number}", endless(bits_per_s=BITS_PER_S))
    player = await Player.asks(on_air, f"/auto/v{number}", agent=agent)
    return await player.watches()


def swept(on_air: Station) -> list[dict[str, Any]]:
    """What was recorded as found."""
    return [dict(row.payload) for row in on_air.log.reader.read(0, -1) if row.type == "swept"]


async def test_a_session_whose_connection_is_gone_is_found_and_ended() -> None:
    """Removed behind the door's back: found after two looks, recorded, counted, ended."""
    async with station() as on_air:
        player = await one_watches(on_air)
        taken = on_air.viewers.take(SessionId(player.session))
        assert taken is not None
        assert on_air.sweep.drift_now() == 1
        looking = asyncio.create_task(on_air.sweep.sweep())
        await asyncio.sleep(0)
        assert not swept(on_air), "one look is not enough"
        await looking
        assert on_air.sweep.found == 1
        assert swept(on_air) == [{"what": "session_without_connection", "of": player.session}]
        end = on_air.end_of(player.session)
        assert end is not None
        assert (end["reason"], end["detail"]) == ("orphaned", "swept")
        assert not on_air.door.world.leases
        assert on_air.sweep.drift_now() == 0
        player.leaves()


async def test_what_is_put_right_between_the_two_looks_is_no_finding() -> None:
    """It was on its way."""
    async with station() as on_air:
        player = await one_watches(on_air)
        session = SessionId(player.session)
        taken = on_air.viewers.take(session)
        assert taken is not None
        looking = asyncio.create_task(on_air.sweep.sweep())
        await asyncio.sleep(0)
        on_air.viewers.put(session, taken)
        await looking
        assert on_air.sweep.found == 0
        assert not swept(on_air)
        player.leaves()
        await until(lambda: not on_air.sessions())


async def test_a_connection_without_a_session_is_closed() -> None:
    """The world forgot it: nobody else would ever close it."""
    async with station(tick=False) as on_air:
        player = await one_watches(on_air)
        viewer = on_air.viewers.get(SessionId(player.session))
        assert viewer is not None
        other = SessionId("nobody's")
        on_air.viewers.put(other, viewer)
        await on_air.sweep.sweep()
        assert swept(on_air) == [{"what": "connection_without_session", "of": other}]
        assert other not in on_air.viewers
        assert await player.to_the_end() >= 0
        await until(lambda: not on_air.sessions())


async def test_a_relay_without_a_lease_is_closed_and_a_lease_without_a_relay_is_returned() -> None:
    """A relay that was moved to another channel's name: wrong in both directions."""
    async with station() as on_air:
        player = await one_watches(on_air)
        channel = ChannelId("c1")
        on_air.effects.relays[ChannelId("c9")] = on_air.effects.relays.pop(channel)
        await on_air.sweep.sweep()
        assert {(one["what"], one["of"]) for one in swept(on_air)} == {
            ("lease_without_relay", "c1"),
            ("relay_without_lease", "c9"),
        }
        assert not on_air.effects.relays
        await until(lambda: not on_air.provider.open)
        # Its client had a first byte: the session is kept for its grace, and its player with it.
        assert on_air.state(player.session) == "recovering"
        player.leaves()
        await until(lambda: not on_air.sessions())
        assert not on_air.door.world.leases


async def test_in_normal_life_nothing_is_found() -> None:
    """Players come, zap, share a channel, and leave, while it sweeps without a pause."""
    async with station(linger_ms=50) as on_air:
        sweeping = True

        async def sweep() -> None:
            while sweeping:
                await on_air.sweep.sweep()
                await asyncio.sleep(0.01)

        async def zap(name: int) -> None:
            for turn in range(6):
                player = await one_watches(on_air, str((name + turn) % 3 + 1))
                await asyncio.sleep(0.02)
                player.leaves()

        task = asyncio.create_task(sweep())
        await asyncio.gather(*(zap(name) for name in range(3)))
        await until(lambda: not on_air.sessions() and not on_air.effects.relays)
        sweeping = False
        await task
        assert on_air.sweep.found == 0


async def test_it_runs_by_itself_at_its_interval() -> None:
    """The interval counts, not who asks."""
    async with station() as on_air:
        player = await one_watches(on_air)
        on_air.viewers.take(SessionId(player.session))
        on_air.sweep._setting_ms = 20
        running = asyncio.create_task(on_air.sweep.run())
        await until(lambda: not on_air.sessions())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert on_air.sweep.found == 1
        player.leaves()


@pytest.mark.parametrize(
    ("sessions", "seconds"), [(0, 15), (10, 15), (11, 30), (50, 30), (51, 60), (1_000, 60)]
)
def test_the_seeds_adaptive_schedule(sessions: int, seconds: int) -> None:
    """Strictly more than 10, strictly more than 50."""
    assert interval_s("auto", sessions) == seconds


@pytest.mark.parametrize("sessions", [0, 11, 51])
def test_a_set_interval_holds_for_any_number_of_sessions(sessions: int) -> None:
    """`CLEANUP_INTERVAL` in milliseconds."""
    assert interval_s(2_500, sessions) == 2.5
