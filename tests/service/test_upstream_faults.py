"""Providers that misbehave, each beside a healthy channel whose player must notice nothing.

The fault table of the transport reference, rows about upstreams, and where each is tried:

| row | fault | test |
|---|---|---|
| 14 | refuses the connection | here; back-off: test_relay_upstreams; next: test_relay_failover |
| 15, 16 | 401, 403, 404, 410 | here; not asked again: test_relay_failover |
| 17 | 429, 5xx | here; `Retry-After`: test_relay_upstreams |
| 18 | hangs before or after its headers | here; shared with backups: test_relay_failover |
| 19 | stalls in mid-stream | here; filler and failover: test_relay_failover |
| 20 | a page instead of a stream | here; test_relay_upstreams |
| 21 | sync lost, counters jump | here; the aligner: tests/core/test_mpegts |
| 22 | ends, is reset, has another length than it said | here; test_relay_upstreams |
| 23, 24 | redirects in a loop, or to where nobody may go | here; test_playlist_fetch |
| 25 | slower than its programme | test_relay_failover, tests/core/test_failover |
| 26 | faster than real time | here; test_relay |
| 27, 28 | name not known, TLS not good | here; test_playlist_fetch |
| 29 | its account is full | test_streaming, test_failover_sources |
| 30 | HLS | test_hls_* |
| 31, 32, 33 | ffmpeg dies, hangs, is orphaned | test_child_* |
"""

import asyncio
from dataclasses import replace

import pytest

from plexbridge.relay.policy import RelayPolicy
from tests.service.healthy_player import healthy_player, on_air
from tests.service.provider_stub import (
    Behaviour,
    Connection,
    endless,
    ends_after,
    finite,
    hangs_before_headers,
    html,
    redirect,
    resets_after,
    stalls_after,
    status,
)
from tests.service.relay_setup import until
from tests.service.station import Player, Station, station
from tests.service.ts_checker import TsChecker
from tests.service.ts_maker import PACKET_BYTES, TsMaker

QUICK = RelayPolicy(
    first_byte_ms=500, stall_ms=400, backoff_first_ms=20, backoff_cap_ms=80, splice_ms=100
)
FIRST_BYTE_MS = 900
BOUND_S = 5.0
"""A tune is answered within this (HDHomeRun's own five seconds)."""


async def slams(connection: Connection) -> None:
    """Closes the connection without a word."""
    await asyncio.sleep(0)


UNHEARD = {
    "closes at once": (slams, "upstream_reset"),
    "401": (status(401), "upstream_http_401"),
    "403": (status(403), "upstream_http_403"),
    "404": (status(404), "upstream_http_404"),
    "429": (status(429, retry_after="2"), "upstream_http_429"),
    "500": (status(500), "upstream_http_500"),
    "hangs before headers": (hangs_before_headers, "upstream_no_answer"),
    "hangs after headers": (stalls_after(), "upstream_no_data"),
    "a page": (html(), "not_mpeg_ts"),
    "an endless page": (html(5_000), "not_mpeg_ts"),
    "a redirect loop": (redirect("/2"), "upstream_redirect_loop"),
    "a redirect to metadata": (
        redirect("http://169.254.169.254/latest"),
        "upstream_forbidden_address",
    ),
    "a redirect to a file": (redirect("file:///etc/passwd"), "upstream_bad_url"),
    "a redirect to bad TLS": (redirect("https://127.0.0.1:1/"), "upstream_refused"),
    "a redirect to nowhere": (redirect("http://nobody.invalid/"), "upstream_dns"),
    "ends before a byte": (ends_after(b""), "upstream_eof"),
}


@pytest.mark.parametrize("name", UNHEARD)
async def test_a_provider_that_brings_nothing_is_a_refusal_in_time(name: str) -> None:
    """503 within five seconds and not a byte of what came; the log says what it was."""
    behaviour, detail = UNHEARD[name]
    async with station(relay=QUICK, first_byte_ms=FIRST_BYTE_MS) as bridge:
        bridge.provider.on("/1", on_air())
        bridge.provider.on("/2", behaviour)
        async with healthy_player(bridge.port):
            player = await Player.asks(bridge, "/auto/v2")
            async with asyncio.timeout(BOUND_S):
                assert await player.answered() == 503
            assert player.header("X-HDHomeRun-Error").startswith(("806", "807"))
            assert await player.to_the_end() == 0
            losses = [
                row.payload["detail"]
                for row in bridge.log.reader.read_stream("channel-c2")
                if row.type == "upstream_lost"
            ]
            assert losses == [detail]
            await until(lambda: len(bridge.door.world.leases) == 1)
        await until(lambda: not bridge.sessions())


def half_packet(maker: TsMaker) -> bytes:
    return maker.packets(1)[: PACKET_BYTES // 2]


def broken(loss: str) -> Behaviour:
    """Two hundred packets, and then something happens."""
    maker = TsMaker()
    body = maker.packets(200)
    return {
        "ends": ends_after(body + half_packet(maker)),
        "is reset": resets_after(body + half_packet(maker)),
        "has another length": finite(body + half_packet(maker), declared=10**9),
        "stalls": stalls_after(body + half_packet(maker)),
        "turns into a page": ends_after(body + b"<html>gone</html>" * 10_000),
    }[loss]


@pytest.mark.parametrize(
    "loss", ["ends", "is reset", "has another length", "stalls", "turns into a page"]
)
async def test_a_provider_that_breaks_off_is_reconnected_under_its_player(loss: str) -> None:
    """Same connection, same session; whole packets, nothing unannounced; a gap of 3 s at most."""
    async with station(relay=QUICK) as bridge:
        bridge.provider.on("/1", on_air())
        bridge.provider.on("/2", broken(loss), on_air())
        async with healthy_player(bridge.port):
            player = await Player.asks(bridge, "/auto/v2")
            assert await player.answered() == 200
            session, got = player.session, bytearray()
            async with asyncio.timeout(BOUND_S):
                while len(got) < 800 * PACKET_BYTES:
                    got += await player.reader.read(2**16)
            assert TsChecker().feed(got).problems == []
            assert session in bridge.sessions()
            story = bridge.log.reader.read_stream("channel-c2")
            [gap] = [row.payload["gap_ms"] for row in story if "gap_ms" in row.payload]
            assert gap <= 3_000
            player.leaves()
            await until(lambda: len(bridge.sessions()) == 1)


async def test_a_provider_that_loses_its_sync_is_forwarded_in_whole_packets() -> None:
    """Junk between packets is dropped; the rest goes on, aligned (row 21)."""
    maker = TsMaker()
    first, second = maker.packets(300), maker.packets(700)

    async def stumbles(connection: Connection) -> None:
        await connection.answer()
        await connection.send(first + b"\x00junk" * 33 + second)
        await connection.hang()

    async with station(relay=QUICK) as bridge:
        bridge.provider.on("/1", on_air())
        bridge.provider.on("/2", stumbles)
        async with healthy_player(bridge.port):
            player = await Player.asks(bridge, "/auto/v2")
            assert await player.answered() == 200
            async with asyncio.timeout(BOUND_S):
                got = await player.reader.readexactly(len(first + second))
            assert got == first + second


async def test_a_provider_faster_than_real_time_fills_no_memory() -> None:
    """A player that reads slowly holds its upstream back; nobody else is held back (row 26)."""
    async with station(relay=replace(QUICK, ring_bytes=1024 * 1024)) as bridge:
        bridge.provider.on("/1", on_air())
        bridge.provider.on("/2", endless())
        async with healthy_player(bridge.port):
            player = await Player.asks(bridge, "/auto/v2", small=True)
            await player.watches()
            relay = next(r.relay for c, r in bridge.effects.relays.items() if c == "c2")
            await until(lambda: relay.readers[0].lag_bytes > 0)
            held = await settled(bridge, lambda: relay.bytes_in)
            await player.watches_on(held)
            assert relay.readers[0].skips == 0


async def settled(bridge: Station, figure: object) -> int:
    """A figure, once it does not grow any more."""
    assert callable(figure)
    before = -1
    while before != (now := figure()):
        before = now
        started = bridge.clock.monotonic()
        await until(lambda started=started: bridge.clock.monotonic() - started > 0.3)  # type: ignore[misc]
    assert isinstance(before, int)
    return before
