"""One upstream for many players: what each of them gets, and that none hurts another."""

import asyncio
from typing import Any

import pytest

from events.ids import SessionId
from plexbridge.relay.relay import RelayState
from tests.service.provider_stub import ProviderStub, Tap, endless, finite
from tests.service.relay_setup import QUICK, relay_of, until
from tests.service.socket_player import SocketPlayer, SocketSink
from tests.service.ts_checker import TsChecker
from tests.service.ts_maker import GROUP, PACKET_BYTES, PMT_PID, VIDEO_PID, TsMaker

RING_BYTES = QUICK.ring_bytes


async def test_the_first_player_gets_the_upstream_byte_for_byte() -> None:
    """From the very first packet, whatever the pieces it came in."""
    async with ProviderStub() as stub:
        tap, maker = Tap(), TsMaker()
        async with relay_of(stub.on("/x", tap)) as setup:
            player, reader = await setup.player("a")
            player.play()
            stream = maker.packets(2_000)
            for at in range(0, len(stream), 10_007):
                await tap.send(stream[at : at + 10_007])
            assert await player.read(len(stream)) == stream
            await until(lambda: reader.accepted() == len(stream) and not reader.waiting)
            assert setup.told.facts == ["opened 1", "first_byte 1"]
            assert setup.relay.bytes_in == len(stream)


async def test_many_players_take_one_connection() -> None:
    """Five players of a channel see the same bytes; the provider sees one request."""
    async with ProviderStub() as stub:
        tap, stream = Tap(), TsMaker().packets(3_000)
        async with relay_of(stub.on("/x", tap)) as setup:
            players = [(await setup.player(f"p{n}"))[0].play() for n in range(5)]
            await tap.send(stream)
            for player in players:
                assert await player.read(len(stream)) == stream
            assert len(stub.connections) == stub.peak_open == 1


async def test_nothing_is_lost_before_the_first_player_comes() -> None:
    """Opened ahead of its first player, a relay keeps the beginning for it."""
    async with ProviderStub() as stub:
        body = TsMaker().packets(4 * RING_BYTES // PACKET_BYTES)
        async with relay_of(stub.on("/x", finite(body))) as setup:
            await until(lambda: setup.relay.bytes_in > RING_BYTES // 2)
            player, _ = await setup.player("a")
            assert await player.play().read(len(body)) == body


async def test_a_joiner_begins_with_tables_and_an_access_point() -> None:
    """PAT, PMT, the newest random access point, then everything: a contiguous part of the
    stream on a packet boundary, without a jump of any counter."""
    async with ProviderStub() as stub:
        tap, maker = Tap(), TsMaker(descriptor_bytes=300)
        async with relay_of(stub.on("/x", tap)) as setup:
            first, _ = await setup.player("a")
            early = maker.packets(4 * GROUP + 30)
            await tap.send(early)
            await first.play().read(len(early))
            joiner, _ = await setup.player("b")
            late = maker.packets(500)
            await tap.send(late)
            stream = early + late
            entry = (4 * GROUP + 3) * PACKET_BYTES
            tables = 3 * PACKET_BYTES
            got = await joiner.play().read(tables + len(stream) - entry)
            assert got[tables:] == stream[entry:]
            seen = TsChecker().feed(got)
            assert seen.pids[:4] == [0, PMT_PID, PMT_PID, VIDEO_PID]
            assert seen.finish() == []
            assert await first.read(len(stream)) == stream


async def test_a_player_that_does_not_read_skips_and_delays_nobody() -> None:
    """The other sees no gap; this one, when it reads again, goes on from a clean join point,
    and what it missed is counted."""
    async with ProviderStub() as stub:
        tap, maker, total = Tap(), TsMaker(), 0
        async with relay_of(stub.on("/x", tap)) as setup:
            healthy, fine = await setup.player("healthy")
            stuck, slow = await setup.player("stuck", small=True)
            healthy.play()
            while total < 4 * RING_BYTES:
                chunk = maker.chunk(20_000)
                total += len(chunk)
                await tap.send(chunk)
                await healthy.read(total)
            assert TsChecker().feed(healthy.got).finish() == []
            assert (fine.skips, fine.waiting) == (0, False)
            assert slow.waiting
            stuck.play()
            await until(lambda: slow.lag_bytes == 0)
            await until(lambda: not slow.waiting)
            await stuck.read(slow.handed_bytes)
            assert slow.skips == 1
            tables = 2 * PACKET_BYTES
            assert len(stuck.got) + slow.skipped_bytes - tables == total
            (entry,) = TsChecker().feed(stuck.got).jumps
            begun_anew = stuck.got[(entry - 2) * PACKET_BYTES :]
            assert bytes(healthy.got).startswith(stuck.got[: (entry - 2) * PACKET_BYTES])
            assert bytes(healthy.got).endswith(begun_anew[tables:])
            seen = TsChecker().feed(begun_anew)
            assert seen.pids[:3] == [0, PMT_PID, VIDEO_PID]
            assert seen.finish() == []


async def test_an_upstream_faster_than_its_only_player_is_paced() -> None:
    """The ring bounds what is held; nothing is skipped, and waiting is not taken for a stall."""
    async with ProviderStub() as stub, relay_of(stub.on("/x", endless()), policy=QUICK) as setup:
        player, reader = await setup.player("a", small=True)
        await until(lambda: reader.lag_bytes > RING_BYTES // 2)
        held = setup.relay.bytes_in
        await asyncio.sleep(2 * QUICK.stall_ms / 1_000)
        assert setup.relay.bytes_in == held <= RING_BYTES
        player.play()
        await player.read(6 * RING_BYTES)
        assert reader.skips == 0
        assert TsChecker().feed(player.got).problems == []
        assert bytes(stub.connections[0].sent).startswith(player.got)
        assert setup.told.facts == ["opened 1", "first_byte 1"]


async def test_a_second_player_frees_an_upstream_that_waits_for_the_first() -> None:
    """One that does not read holds nobody up, however it began."""
    async with ProviderStub() as stub, relay_of(stub.on("/x", endless())) as setup:
        _, stuck = await setup.player("stuck", small=True)
        await until(lambda: stuck.lag_bytes > RING_BYTES // 2)
        healthy, _ = await setup.player("healthy")
        await healthy.play().read(4 * RING_BYTES)
        assert TsChecker().feed(healthy.got).problems == []


async def test_a_finite_upstream_completes_when_everyone_has_all_of_it() -> None:
    """Byte for byte, a remainder of a packet included, at the pace of the reader; once."""
    async with ProviderStub() as stub:
        body = TsMaker().packets(3 * RING_BYTES // PACKET_BYTES) + b"\x47 and a rest"
        async with relay_of(stub.on("/x", finite(body))) as setup:
            player, reader = await setup.player("a", small=True)
            for upto in range(0, len(body), 100_000):
                assert await player.read(upto) == body[:upto]
                assert reader.handed_bytes >= len(body) or "completed 1" not in setup.told.facts
            assert await player.play().read(len(body)) == body
            await until(lambda: setup.relay.state is RelayState.COMPLETED)
            assert setup.told.facts == ["opened 1", "first_byte 1", "completed 1"]
            await until(lambda: stub.open == 0)
            assert len(stub.connections) == 1


@pytest.mark.parametrize("body", [TsMaker().packets(1), TsMaker().packets(2), TsMaker().packets(3)])
async def test_a_finite_upstream_of_few_packets_completes(body: bytes) -> None:
    """Too short to see three sync bytes in a row, and still a stream."""
    async with ProviderStub() as stub, relay_of(stub.on("/x", finite(body))) as setup:
        player, _ = await setup.player("a")
        assert await player.play().read(len(body)) == body
        await until(lambda: setup.told.facts == ["opened 1", "first_byte 1", "completed 1"])


async def test_a_player_that_leaves_gets_nothing_more() -> None:
    """And its session's name is free again; a waiting upstream goes on for the others."""
    async with ProviderStub() as stub:
        tap, maker = Tap(), TsMaker()
        async with relay_of(stub.on("/x", tap)) as setup:
            leaver, _ = await setup.player("a")
            stayer, _ = await setup.player("b")
            stream = maker.packets(100)
            await tap.send(stream)
            await leaver.read(len(stream))
            setup.relay.leave(SessionId("a"))
            setup.relay.leave(SessionId("a"))
            stream += (more := maker.packets(100))
            await tap.send(more)
            assert await stayer.read(len(stream)) == stream
            assert leaver.sink.written_bytes == len(leaver.got)
            assert [reader.key for reader in setup.relay.readers] == ["b"]
            await setup.player("a")


async def test_a_sink_that_raises_is_detached_and_reported() -> None:
    """It is our own fault, and the others do not notice."""

    class Broken(SocketSink):
        def write(self, chunk: bytes | memoryview) -> None:
            raise RuntimeError("a sink that breaks its promise")

    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    async with ProviderStub() as stub:
        tap, stream = Tap(), TsMaker().packets(500)
        async with relay_of(stub.on("/x", tap)) as setup:
            healthy, _ = await setup.player("healthy")
            broken = setup.relay.join(SessionId("broken"), Broken())
            later = (await SocketPlayer.open()).play()
            setup.players.append(later)
            setup.relay.join(SessionId("later"), later.sink)
            await tap.send(stream)
            assert await healthy.play().read(len(stream)) == stream
            assert await later.read(len(stream)) == stream
            assert [reader.key for reader in setup.relay.readers] == ["healthy", "later"]
            assert broken.lag_bytes == len(stream)
    assert [str(report["exception"]) for report in reports] == ["a sink that breaks its promise"]
    assert "broken" in reports[0]["message"]
