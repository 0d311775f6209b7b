"""A stream response over a real server: who comes, waits, stalls, comes back, and leaves."""

import asyncio
import random

import pytest

from events.ids import SessionId
from plexbridge.relay.policy import RelayPolicy
from plexbridge.tuner.viewer import PlayerViewer
from tests.service.provider_stub import (
    Behaviour,
    endless,
    ends_after,
    hangs_before_headers,
    looped,
    stalls_after,
    status,
)
from tests.service.relay_setup import until
from tests.service.station import SOURCE, Player, Station, station
from tests.service.ts_maker import TsMaker

BITS_PER_S = 4_000_000
VLC = "VLC/3.0.20 LibVLC/3.0.20"


async def ended(on_air: Station, session: str) -> tuple[str, str]:
    """Reason and detail of a session, once it has ended."""
    await until(lambda: on_air.end_of(session) is not None, within_s=10)
    end = on_air.end_of(session)
    assert end is not None
    return end["reason"], end["detail"]


async def test_a_player_that_leaves_ends_its_session_and_frees_its_tuner() -> None:
    """At once, and the log says what it took."""
    async with station() as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        player = await (await Player.asks(on_air, "/auto/v1")).watches(1_880)
        player.leaves()
        assert await ended(on_air, player.session) == ("client_disconnect", "client_closed")
        end = on_air.end_of(player.session)
        assert end is not None
        assert end["bytes"] >= 1_880
        await until(lambda: on_air.provider.open == 0)
        assert on_air.types()[-3:] == ["disconnect", "tuner_released", "upstream_closed"]


async def test_a_player_that_leaves_while_it_waits_for_a_tuner_leaves_nothing() -> None:
    """No event at all, and its place goes to the next."""
    async with station(tuners=1, admission_wait_ms=30_000) as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        on_air.provider.on("/2", endless(bits_per_s=BITS_PER_S))
        holder = await (await Player.asks(on_air, "/auto/v1")).watches()
        before = len(on_air.log.reader.read_stream("channel-c2"))
        waiting = await Player.asks(on_air, "/auto/v2")
        await until(lambda: len(on_air.door._waiters) == 1)
        waiting.leaves()
        await until(lambda: len(on_air.door._waiters) == 0)
        assert len(on_air.log.reader.read_stream("channel-c2")) == before
        behind = await Player.asks(on_air, "/auto/v2")
        await until(lambda: len(on_air.door._waiters) == 1)
        holder.leaves()
        await behind.watches()
        assert on_air.sessions() == [behind.session]
        behind.leaves()
        await until(lambda: not on_air.sessions())


async def test_a_player_that_leaves_before_its_first_byte_ends_its_session() -> None:
    """Its upstream, which had not answered, is closed."""
    async with station() as on_air:
        on_air.provider.on("/1", hangs_before_headers)
        player = await Player.asks(on_air, "/auto/v1")
        await until(lambda: on_air.provider.open == 1)
        [session] = on_air.sessions()
        player.leaves()
        assert await ended(on_air, session) == ("client_disconnect", "client_closed")
        await until(lambda: on_air.provider.open == 0)
        assert not on_air.door.world.leases


async def test_a_player_that_leaves_at_once_leaves_nothing() -> None:
    """Whenever it is: before, during or after its grant. Fifty of them at random moments."""
    chance = random.Random(7)
    async with station(tuners=2, admission_wait_ms=50) as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        for _ in range(50):
            player = await Player.asks(on_air, "/auto/v1")
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            player.leaves()
        await until(lambda: not on_air.sessions() and not on_air.effects.relays)
        assert not on_air.door.world.leases
        await until(lambda: on_air.provider.open == 0)
        connects = {row.stream for row in on_air.log.reader.read(0, -1) if row.type == "connect"}
        for stream in connects:
            assert on_air.end_of(stream.removeprefix("session-")) is not None


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (stalls_after(), "807 No Video Data"),
        (stalls_after(bytes(4_000)), "807 No Video Data"),
        (hangs_before_headers, "806 Tune Failed"),
    ],
)
async def test_a_silent_provider_is_given_up_in_time(behaviour: Behaviour, told: str) -> None:
    """`PLEXBRIDGE_FIRST_BYTE_TIMEOUT`: 503, and whose fault it was."""
    async with station(first_byte_ms=400) as on_air:
        on_air.provider.on("/1", behaviour)
        asked_at = on_air.clock.monotonic()
        player = await Player.asks(on_air, "/auto/v1")
        [session] = await sessions_of(on_air, 1)
        assert await player.answered() == 503
        assert 0.39 <= on_air.clock.monotonic() - asked_at < 3
        assert player.header("X-HDHomeRun-Error") == told
        assert await player.to_the_end() == 0
        assert (await ended(on_air, session))[0] == "timeout"
        await until(lambda: on_air.provider.open == 0)


async def sessions_of(on_air: Station, count: int) -> list[str]:
    """The open sessions, once there are so many."""
    await until(lambda: len(on_air.sessions()) == count)
    return on_air.sessions()


async def test_a_viewer_comes_back_to_its_session_while_its_upstream_is_in_trouble() -> None:
    """Same session, its bytes go on counting, and the old connection closes."""
    async with station() as on_air:
        maker = TsMaker()
        on_air.provider.on(
            "/1",
            ends_after(maker.packets(500)),
            hangs_before_headers,
        )
        first = await (await Player.asks(on_air, "/auto/v1", agent=VLC)).watches()
        await until(lambda: on_air.state(first.session) == "recovering")
        accepted = on_air.door.world.sessions[SessionId(first.session)].bytes
        assert accepted == 500 * 188
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S, maker=maker))
        second = await Player.asks(on_air, "/auto/v1", agent=VLC)
        filler = await first.to_the_end() - (accepted - 188)
        assert filler >= 0, "everything accepted came"
        assert filler % 188 == 0, "and only whole packets that count for nothing"
        assert on_air.sessions() == [first.session]
        for connection in on_air.provider.at("/1")[1:]:
            connection._writer.close()  # the hanging attempt fails, the next one flows
        await second.watches(1_880)
        assert second.session == first.session
        await until(lambda: on_air.state(second.session) == "active")
        viewer = on_air.viewers.get(SessionId(second.session))
        assert isinstance(viewer, PlayerViewer)
        assert viewer.progress().bytes == accepted + viewer.accepted()
        second.leaves()
        await ended(on_air, second.session)
        end = on_air.end_of(second.session)
        assert end is not None
        assert end["bytes"] >= accepted + 1_880
        connects = [row for row in on_air.story(second.session) if row.type == "connect"]
        assert [row.payload["resumed"] for row in connects] == [False, True]


async def test_a_media_server_that_asks_again_begins_another_session() -> None:
    """It may read for several viewers under one name: nobody's session is taken over."""
    async with station() as on_air:
        on_air.provider.on("/1", ends_after(TsMaker().packets(500)), hangs_before_headers)
        first = await (await Player.asks(on_air, "/auto/v1")).watches()
        await until(lambda: on_air.state(first.session) == "recovering")
        second = await Player.asks(on_air, "/auto/v1")
        assert len(await sessions_of(on_air, 2)) == 2
        first.leaves()
        second.leaves()
        await until(lambda: not on_air.sessions())


async def test_the_old_connection_of_a_resumed_session_ends_nothing() -> None:
    """Its loss comes after the session went on with another."""
    async with station() as on_air:
        on_air.provider.on("/1", ends_after(TsMaker().packets(500)), hangs_before_headers)
        first = await (await Player.asks(on_air, "/auto/v1", agent=VLC)).watches()
        await until(lambda: on_air.state(first.session) == "recovering")
        second = await Player.asks(on_air, "/auto/v1", agent=VLC)
        await until(lambda: on_air.state(first.session) == "connecting")
        first.leaves()
        await asyncio.sleep(0.05)  # nothing is to happen
        assert on_air.state(first.session) == "connecting"
        second.leaves()
        assert await ended(on_air, first.session) == ("client_disconnect", "client_closed")


async def test_a_player_that_stops_reading_is_reclaimed() -> None:
    """By its deadline, as stalled, for its host still answers; the others notice nothing."""
    # The kernel answers window probes at most twice a second: only later ones tell the truth.
    async with station(active_idle_ms=2_000) as on_air:
        on_air.provider.on("/1", looped(TsMaker().packets(7_000)))
        stalled = await (await Player.asks(on_air, "/auto/v1", small=True)).watches()
        reading = await (await Player.asks(on_air, "/auto/v1")).watches()
        going_on = asyncio.create_task(reading.to_the_end())
        stopped_at = on_air.clock.monotonic()
        assert await ended(on_air, stalled.session) == ("orphaned", "client_stalled")
        assert on_air.clock.monotonic() - stopped_at < 6
        assert on_air.sessions() == [reading.session]
        assert on_air.state(reading.session) == "active"
        assert len(on_air.door.world.leases) == 1
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)


async def test_a_paused_upstream_is_not_held_against_its_players() -> None:
    """There is nothing that they could accept: no deadline of theirs runs."""
    quiet = RelayPolicy(stall_ms=30_000)
    async with station(active_idle_ms=300, relay=quiet) as on_air:
        on_air.provider.on("/1", stalls_after(TsMaker().packets(500)))
        player = await (await Player.asks(on_air, "/auto/v1")).watches(500 * 188)
        await asyncio.sleep(1)  # three times the deadline: nothing is to happen
        assert on_air.state(player.session) == "active"
        player.leaves()
        await ended(on_air, player.session)


async def test_an_upstream_that_does_not_come_back_ends_its_session_after_the_grace() -> None:
    """`stale`, and the player's connection closes."""
    async with station(grace_ms=500, recovery_attempts=1_000) as on_air:
        on_air.provider.on("/1", ends_after(TsMaker().packets(500)), status(404))
        player = await (await Player.asks(on_air, "/auto/v1")).watches()
        began = on_air.clock.monotonic()
        await player.to_the_end()
        assert on_air.clock.monotonic() - began < 3
        assert await ended(on_air, player.session) == ("stale", "recovery_exhausted")
        assert not on_air.door.world.leases


async def test_an_upstream_that_spends_its_attempts_ends_its_session_before_the_grace() -> None:
    """In the same append as the error that spent the last one."""
    async with station(recovery_attempts=2) as on_air:
        on_air.provider.on("/1", ends_after(TsMaker().packets(500)), status(404))
        player = await (await Player.asks(on_air, "/auto/v1")).watches()
        await player.to_the_end()
        assert await ended(on_air, player.session) == ("stale", "recovery_exhausted")
        assert [row.type for row in on_air.story(player.session)][-3:] == [
            *("error", "error", "reclaim"),
        ]


async def test_a_source_never_sees_more_connections_than_it_allows() -> None:
    """Thirty zaps of a media server, which opens the new channel before it closes the old one;
    counted by the provider itself."""
    async with station(limits={SOURCE: 1}, tuners=4) as on_air:
        for number in ("1", "2"):
            on_air.provider.on(f"/{number}", endless(bits_per_s=BITS_PER_S))
        watching = await (await Player.asks(on_air, "/auto/v1")).watches()
        for turn in range(30):
            coming = await Player.asks(on_air, f"/auto/v{(turn + 1) % 2 + 1}")
            await asyncio.sleep(0.05)
            watching.leaves()
            watching = await coming.watches()
        assert on_air.provider.peak_open == 1
        assert len(on_air.provider.connections) == 31
        watching.leaves()
        await until(lambda: not on_air.sessions())


async def test_two_viewers_of_one_channel_share_its_connection() -> None:
    """Also where the source allows one only; the second one to come begins with the tables."""
    async with station(limits={SOURCE: 1}) as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        first = await (await Player.asks(on_air, "/auto/v1")).watches()
        second = await (await Player.asks(on_air, "/auto/v1")).watches()
        assert first.session != second.session
        assert on_air.provider.peak_open == 1
        first.leaves()
        await ended(on_air, first.session)
        await second.watches_on(1_880)
        second.leaves()
        await until(lambda: on_air.provider.open == 0)


async def test_a_session_that_is_stopped_before_its_first_byte_is_refused_in_words() -> None:
    """A person stops it: 806; and the connection closes."""
    async with station() as on_air:
        on_air.provider.on("/1", hangs_before_headers)
        player = await Player.asks(on_air, "/auto/v1")
        [session] = await sessions_of(on_air, 1)
        await on_air.door.stop(SessionId(session), reason="manual", detail="asked", actor="admin")
        assert await player.answered() == 503
        assert player.header("X-HDHomeRun-Error") == "806 Tune Failed"
        assert await ended(on_air, session) == ("manual", "asked")


async def test_a_viewer_that_changes_channel_hands_its_tuner_over() -> None:
    """A single-viewer player on the only tuner: its older session ends as superseded."""
    async with station(tuners=1) as on_air:
        for number in ("1", "2"):
            on_air.provider.on(f"/{number}", endless(bits_per_s=BITS_PER_S))
        older = await (await Player.asks(on_air, "/auto/v1", agent=VLC)).watches()
        newer = await (await Player.asks(on_air, "/auto/v2", agent=VLC)).watches()
        assert await ended(on_air, older.session) == ("client_disconnect", "superseded")
        await older.to_the_end()
        assert on_air.sessions() == [newer.session]
        assert on_air.provider.peak_open == 1, "the old upstream is closed before the new one"
        newer.leaves()
        await until(lambda: not on_air.sessions())
