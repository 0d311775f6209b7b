"""A provider that misbehaves: what the relay makes of it, and what its players see of it."""

import asyncio
from dataclasses import replace

import pytest

from plexbridge.outbound import Outbound
from plexbridge.relay.connector import HttpConnector
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import UpstreamFailed
from plexbridge.relay.relay import RelayState
from tests.service.provider_stub import (
    Behaviour,
    ProviderStub,
    Tap,
    endless,
    ends_after,
    finite,
    hangs_before_headers,
    html,
    redirect,
    refused_url,
    resets_after,
    stalls_after,
    status,
    trickles,
)
from tests.service.relay_setup import LOOPBACK, QUICK, relay_of, until, upstream_at
from tests.service.ts_checker import TsChecker, media_of
from tests.service.ts_maker import PACKET_BYTES, TsMaker

HALF_A_PACKET = PACKET_BYTES // 2


def first_part(packets: int = 300, *, whole: bool = False) -> bytes:
    """Packets, and the beginning of one that never comes whole."""
    maker = TsMaker()
    return maker.packets(packets) + (b"" if whole else maker.packets(1)[:HALF_A_PACKET])


@pytest.mark.parametrize(
    ("loss", "detail"),
    [
        (ends_after(first_part()), "upstream_eof"),
        (resets_after(first_part()), "upstream_reset"),
        (finite(first_part(), declared=10**9), "upstream_wrong_length"),
    ],
)
async def test_a_loss_is_reconnected_on_the_players_own_connection(
    loss: Behaviour, detail: str
) -> None:
    """The broken packet is dropped, the next attempt follows from its first access point, still
    aligned, and marked as discontinuous: no counter jumps unannounced."""
    async with ProviderStub() as stub:
        tap, stream = Tap(), TsMaker(serial=10_000).packets(200)
        async with relay_of(stub.on("/x", loss, tap)) as setup:
            player, reader = await setup.player("a")
            await tap.send(stream)
            whole = first_part(whole=True)
            player.play()
            await until(lambda: media_of(player.got) == media_of(whole + stream))
            assert bytes(player.got).startswith(whole)
            assert TsChecker().feed(player.got).finish() == []
            told = setup.told
            assert told.facts == ["opened 1", "first_byte 1", "lost 1", "opened 2", "first_byte 2"]
            assert told.words() == [("stream_failed", detail)]
            assert told.gave == [True]
            assert (reader.skips, stub.peak_open) == (0, 1)


@pytest.mark.parametrize("times", [1, 5_000])
async def test_a_page_is_never_forwarded(times: int) -> None:
    """Not a byte of it, whether it is short or endless; then the stream, when it comes."""
    async with ProviderStub() as stub:
        tap, stream = Tap(), TsMaker().packets(50)
        async with relay_of(stub.on("/x", html(times), tap)) as setup:
            player, _ = await setup.player("a")
            await tap.send(stream)
            assert await player.play().read(len(stream)) == stream
            assert setup.told.words() == [("response_invalid", "not_mpeg_ts")]
            assert setup.told.facts[:3] == ["opened 1", "lost 1", "opened 2"]
            assert setup.told.gave == [False]


async def test_a_page_in_the_middle_of_a_stream_is_not_forwarded() -> None:
    """It is a stall of good packets, or the end of the sync: either way a loss."""
    async with ProviderStub() as stub:
        tap, maker = Tap(), TsMaker()
        async with relay_of(stub.on("/x", tap)) as setup:
            player, _ = await setup.player("a")
            player.play()
            first, second = maker.packets(100), maker.packets(100)
            await tap.send(first + b"<html>not now</html>" * 40 + second)
            assert await player.read(len(first + second)) == first + second
            await tap.send(b"<html>never again</html>" * 10_000)
            await until(lambda: bool(setup.told.failures))
            assert setup.told.words() == [("response_invalid", "not_mpeg_ts")]
            assert TsChecker().feed(media_of(player.got)).finish() == []


@pytest.mark.parametrize("code", [429, 500])
async def test_a_refusing_answer_is_named_and_tried_again(code: int) -> None:
    """The status is in the detail; players wait."""
    async with ProviderStub() as stub:
        tap, stream = Tap(), TsMaker().packets(50)
        async with relay_of(stub.on("/x", status(code, body=b"no"), tap)) as setup:
            player, _ = await setup.player("a")
            await tap.send(stream)
            assert await player.play().read(len(stream)) == stream
            assert setup.told.words() == [("stream_failed", f"upstream_http_{code}")]
            assert setup.told.facts == ["lost 1", "opened 2", "first_byte 2"]


async def test_retry_after_is_honoured_up_to_its_cap() -> None:
    """A provider that asks for a second gets it, one that asks for an hour the cap."""
    policy = RelayPolicy(backoff_first_ms=20, backoff_cap_ms=80, retry_after_cap_ms=300)
    async with ProviderStub() as stub:
        url = stub.on("/x", status(429, retry_after="3600"), endless(bits_per_s=1e6))
        async with relay_of(url, policy=policy) as setup:
            await until(lambda: "first_byte 2" in setup.told.facts)
            first, second = stub.connections
            assert second.opened_at - setup.told.times[0] >= 0.29
            assert second.opened_at - first.opened_at < 3


async def test_attempts_back_off_while_nothing_listens() -> None:
    """Each pause at least half its step: 20, 40, 80, 80 ms."""
    async with relay_of(refused_url()) as setup:
        await until(lambda: len(setup.told.failures) >= 5)
        assert set(setup.told.words()) == {("stream_failed", "upstream_refused")}
        pauses = [b - a for a, b in zip(setup.told.times, setup.told.times[1:], strict=False)]
        for pause, least_s in zip(pauses, (0.010, 0.020, 0.040, 0.040), strict=False):
            assert pause >= least_s - 0.001


@pytest.mark.parametrize(
    ("behaviour", "detail"),
    [
        (hangs_before_headers, "upstream_no_answer"),
        (stalls_after(), "upstream_no_data"),
        (stalls_after(TsMaker().packets(1)), "upstream_no_data"),
    ],
)
async def test_an_upstream_that_hangs_is_given_up_at_the_first_byte_deadline(
    behaviour: Behaviour, detail: str
) -> None:
    """Before or after its headers; its socket is gone before the next one opens."""
    async with ProviderStub() as stub:
        url = stub.on("/x", behaviour, endless(bits_per_s=1e6))
        async with relay_of(url, policy=QUICK) as setup:
            await until(lambda: "first_byte 2" in setup.told.facts)
            assert setup.told.words() == [("timeout", detail)]
            assert setup.told.gave == [False]
            first, second = stub.connections
            assert second.opened_at - first.opened_at >= QUICK.first_byte_ms / 1_000 - 0.05
            assert stub.peak_open == 1


async def test_a_stall_in_mid_stream_is_seen_and_reconnected() -> None:
    """After `stall_ms` without a good packet, not before, and soon after; however long the first
    packets may have taken."""
    policy = replace(QUICK, first_byte_ms=20_000)
    async with ProviderStub() as stub:
        body = first_part()
        url = stub.on("/x", stalls_after(body), endless(bits_per_s=1e6))
        async with relay_of(url, policy=policy) as setup:
            await setup.player("a")
            await until(lambda: "first_byte 2" in setup.told.facts)
            assert setup.told.words() == [("timeout", "upstream_no_data")]
            begun, lost = setup.told.times[1:3]
            assert QUICK.stall_ms / 1_000 - 0.005 <= lost - begun < 3 * QUICK.stall_ms / 1_000
            assert stub.peak_open == 1


async def test_a_trickle_that_never_stops_is_no_stall() -> None:
    """Pieces of a packet count once they make one; the bytes are exact."""
    async with ProviderStub() as stub:
        body = TsMaker().packets(24)
        url = stub.on("/x", trickles(body, step_bytes=94, every_s=0.03))
        async with relay_of(url, policy=QUICK) as setup:
            player, _ = await setup.player("a")
            assert await player.play().read(len(body)) == body
            assert setup.told.facts == ["opened 1", "first_byte 1"]


async def test_redirects_are_followed() -> None:
    """As providers do: to a token server, on to an edge."""
    async with ProviderStub() as stub:
        tap, stream = Tap(), TsMaker().packets(50)
        stub.on("/edge", tap)
        stub.on("/token", redirect("/edge"))
        async with relay_of(stub.on("/x", redirect(stub.url("/token")))) as setup:
            player, _ = await setup.player("a")
            await tap.send(stream)
            assert await player.play().read(len(stream)) == stream
            assert stub.peak_open == 1


async def test_whoever_joins_between_attempts_waits_for_the_next() -> None:
    """It gets that attempt's first packet, and nothing older."""
    policy = RelayPolicy(backoff_first_ms=300)
    async with ProviderStub() as stub:
        tap, stream = Tap(), TsMaker(serial=5_000).packets(100)
        async with relay_of(stub.on("/x", ends_after(first_part()), tap), policy=policy) as setup:
            early, _ = await setup.player("early")
            await until(lambda: setup.relay.state is RelayState.WAITING)
            late, reader = await setup.player("late")
            assert not reader.waiting
            await tap.send(stream)
            late.play(), early.play()
            await until(lambda: media_of(late.got) == media_of(stream))
            await until(lambda: media_of(early.got) == media_of(first_part(whole=True) + stream))
            assert TsChecker().feed(late.got).finish() == []


async def test_a_joiner_after_a_reconnect_gets_nothing_of_the_attempt_before() -> None:
    """The tables and access points of another connection may be those of another stream."""
    async with ProviderStub() as stub:
        tap, maker = Tap(), TsMaker(serial=5_000, access_points=False)
        async with relay_of(stub.on("/x", ends_after(first_part()), tap)) as setup:
            early, _ = await setup.player("early")
            early.play()
            before = first_part(whole=True)
            async with asyncio.timeout(5):
                while media_of(early.got) != media_of(before):
                    before += (chunk := maker.packets(10))
                    await tap.send(chunk)
                    await asyncio.sleep(0.01)
            after = maker.packets(150)
            joiner, _ = await setup.player("joiner")
            await tap.send(after)
            tables = 2 * PACKET_BYTES
            assert (await joiner.play().read(tables + len(after)))[tables:] == after
            assert TsChecker().feed(joiner.got).finish() == []


async def test_a_closed_upstream_tells_its_receiver_nothing_more() -> None:
    """Not even that it ended; the end of its socket is told by `closed`."""
    heard: list[object] = []

    class Heard:
        def room(self) -> memoryview:
            return memoryview(bytearray(5_000))

        def filled(self, count: int) -> None:
            heard.append(count)

        def received(self, chunk: bytes) -> None:
            heard.append(len(chunk))

        def ended(self, failure: UpstreamFailed | None) -> None:
            heard.append(failure)

    outbound = Outbound(LOOPBACK)
    async with ProviderStub() as stub:
        tap = Tap()
        upstream = upstream_at(stub.on("/x", tap))
        body = await HttpConnector(outbound).open(upstream, Heard())
        await tap.send(b"x" * 1_000)
        await until(lambda: heard == [1_000])
        body.close()
        body.close()
        await asyncio.wait_for(asyncio.shield(body.closed), 1)
        await until(lambda: stub.open == 0)
        assert heard == [1_000]
    await outbound.close()


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        (hangs_before_headers, RelayState.CONNECTING),
        (stalls_after(), RelayState.CONNECTING),
        (endless(), RelayState.FLOWING),
        (status(500), RelayState.WAITING),
    ],
)
async def test_closing_is_immediate_and_final(behaviour: Behaviour, state: RelayState) -> None:
    """Whatever it is at: the socket goes, no attempt follows, nothing is told any more."""
    policy = RelayPolicy(backoff_first_ms=1_000, ring_bytes=QUICK.ring_bytes)
    async with ProviderStub() as stub, relay_of(stub.on("/x", behaviour), policy=policy) as setup:
        await setup.player("a")
        await until(lambda: setup.relay.state is state and bool(stub.connections))
        before = list(setup.told.facts)
        setup.relay.close()
        setup.relay.close()
        async with asyncio.timeout(0.5):
            await setup.relay.closed
            await stub.connections[0].gone.wait()
        await asyncio.sleep(0.1)
        assert (len(stub.connections), stub.open) == (1, 0)
        assert setup.told.facts == before
        assert setup.relay.readers == ()


@pytest.mark.parametrize("moment", ["opened 1", "first_byte 1", "lost 1", "completed 1"])
async def test_a_listener_may_close_the_relay_the_moment_it_is_told(moment: str) -> None:
    """Nothing is delivered, told or tried after that."""
    async with ProviderStub() as stub:
        behaviour = status(500) if moment == "lost 1" else finite(TsMaker().packets(100))
        async with relay_of(stub.on("/x", behaviour)) as setup:
            setup.told.react = lambda fact: setup.relay.close() if fact == moment else None
            player, _ = await setup.player("a")
            async with asyncio.timeout(5):
                await setup.relay.closed
            assert setup.told.facts[-1] == moment
            if moment != "completed 1":
                assert setup.relay.bytes_in == player.sink.written_bytes == 0
            await until(lambda: stub.open == 0)
            assert len(stub.connections) == 1


async def test_a_relay_closed_before_it_started_is_closed() -> None:
    """There is nothing to wait for."""
    async with relay_of(refused_url()) as setup:
        setup.relay.close()
        await asyncio.wait_for(setup.relay.closed, 1)
        assert setup.told.facts == []
