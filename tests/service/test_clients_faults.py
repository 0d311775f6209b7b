"""Players that misbehave, each beside a healthy one that must notice nothing.

The fault table of the transport reference, rows about clients, and where each is tried:

| row | fault | test |
|---|---|---|
| 1, 2, 4 | FIN, RST, half-close | here; also test_server_edge_players |
| 3 | vanished without a word | test_clients_vanished |
| 5 | slow reader | here: skipped forward, then let go |
| 6 | stalled reader | here, test_clients_vanished (real deadline), test_streaming |
| 7 | one byte a second | here (shortened window); the rule: tests/core/test_uptake |
| 8 | reconnects during teardown | here |
| 9 | probe and play | here |
| 10 | HEAD | here; tests/end_to_end/test_bytes |
| 11 | Range | here |
| 12 | silent, half a head | test_clients_vanished (real deadline), test_server_edge |
| 13 | flood of headers | here; also test_server_edge |
| 42 | out of file descriptors | test_clients_crowds |
| 44 | 1,000 connects a second | test_clients_crowds |
| - | HTTP/1.0 | here, test_server_edge |
| - | close after 2.6 kB | here, test_streaming |
| - | three overlapping connections a tune | here |
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from tests.service.healthy_player import healthy_player, on_air
from tests.service.relay_setup import until
from tests.service.station import PATIENT, Player, Station, station

KODI = "Kodi/20.1 (Linux)"


async def ended(bridge: Station, session: str, *, within_s: float = 10) -> tuple[str, str]:
    """Reason and detail of a session, once it has ended."""
    await until(lambda: bridge.end_of(session) is not None, within_s=within_s)
    end = bridge.end_of(session)
    assert end is not None
    return end["reason"], end["detail"]


def channels(bridge: Station, *numbers: int, bits_per_s: int = 4_000_000) -> None:
    """These channels are on the air."""
    for number in numbers:
        bridge.provider.on(f"/{number}", on_air(bits_per_s))


class LittleReader(Player):
    """A player with a small window that reads so much, so often, until it is cut off."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def begins(cls, bridge: Station, path: str, every_s: float, size: int) -> Self:
        """It watches `path`: `size` bytes every `every_s`."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", bridge.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=2_048)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: little\r\n\r\n".encode())
        player = cls(reader, writer)
        bridge.players.append(player)
        await player.watches()
        player._reading = asyncio.create_task(player._read_on(every_s, size))
        return player

    async def _read_on(self, every_s: float, size: int) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self.reader.readexactly(size)
                await asyncio.sleep(every_s)

    def leaves(self) -> None:
        """It closes its connection."""
        if self._reading is not None:
            self._reading.cancel()
        super().leaves()


def leave(player: Player, how: str) -> None:
    """By FIN, RST or FIN of one direction."""
    sock = player.writer.get_extra_info("socket")
    if how == "half-close":
        sock.shutdown(socket.SHUT_WR)
        return
    if how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    player.writer.transport.abort()


@pytest.mark.parametrize(
    ("how", "details"),
    [
        ("close", {"client_closed", "client_reset"}),  # a reset, when bytes were unread
        ("reset", {"client_reset"}),
        ("half-close", {"client_closed"}),
    ],
)
async def test_a_leaving_player_is_seen_at_once(how: str, details: set[str]) -> None:
    """Rows 1, 2, 4: its tuner is free, and nobody else noticed."""
    async with station() as bridge:
        channels(bridge, 1, 2)
        async with healthy_player(bridge.port):
            player = await (await Player.asks(bridge, "/auto/v2")).watches(18_800)
            leave(player, how)
            left_at = bridge.clock.monotonic()
            reason, detail = await ended(bridge, player.session)
            assert bridge.clock.monotonic() - left_at < 0.5
            assert reason == "client_disconnect"
            assert detail in details
            await until(lambda: len(bridge.door.world.leases) == 1)


async def test_a_slow_player_is_skipped_forward_and_then_let_go() -> None:
    """Row 5: half the rate. Nobody waits for it, and after the sixth skip it is told to go."""
    small_ring = replace(PATIENT, ring_bytes=768 * 1024)
    async with station(relay=small_ring, skips_allowed=2) as bridge:
        channels(bridge, 1, bits_per_s=8_000_000)
        async with healthy_player(bridge.port):
            slow = await LittleReader.begins(bridge, "/auto/v1", every_s=0.004, size=2_000)
            assert await ended(bridge, slow.session, within_s=25) == (
                "orphaned",
                "client_too_slow",
            )


async def test_a_stalled_player_is_reclaimed_and_holds_nobody_up() -> None:
    """Row 6: the deadline shortened; on the same channel."""
    async with station(active_idle_ms=2_000) as bridge:
        channels(bridge, 1)
        async with healthy_player(bridge.port):
            stalled = await LittleReader.begins(bridge, "/auto/v1", every_s=3_600, size=1)
            assert await ended(bridge, stalled.session) == ("orphaned", "client_stalled")


@pytest.mark.parametrize("alone", [False, True], ids=["beside others", "alone on its channel"])
async def test_a_trickling_player_is_let_go(alone: bool) -> None:
    """Row 7: bytes go on being taken, so no deadline ends it; its share does."""
    async with station(uptake_window_ms=3_000) as bridge:
        channels(bridge, 1, 2)
        async with healthy_player(bridge.port):
            path = "/auto/v2" if alone else "/auto/v1"
            trickling = await LittleReader.begins(bridge, path, every_s=1, size=1)
            began_at = bridge.clock.monotonic()
            assert await ended(bridge, trickling.session) == ("orphaned", "client_too_slow")
            assert bridge.clock.monotonic() - began_at < 3 + 5
            await until(lambda: bridge.provider.open == 1)


AT_ONCE_S = 3.0
"""Less than a relay lingers; who waits for a release in vain is refused."""


@pytest.mark.parametrize("linger_ms", [0, 5_000])
async def test_a_player_that_reconnects_during_teardown_is_served_at_once(linger_ms: int) -> None:
    """Row 8: a hundred times, without waiting for what is torn down; never two upstreams, never a
    second tuner."""
    async with station(linger_ms=linger_ms, tuners=2) as bridge:
        channels(bridge, 1, 2)
        async with healthy_player(bridge.port):
            for turn in range(100):
                asked_at = bridge.clock.monotonic()
                player = await (await Player.asks(bridge, "/auto/v2")).watches(188)
                assert bridge.clock.monotonic() - asked_at < AT_ONCE_S
                leave(player, ("reset", "close", "half-close")[turn % 3])
            assert bridge.provider.peak_open == 2
            if linger_ms:
                assert len(bridge.provider.at("/2")) == 1


async def test_probe_and_play_share_one_upstream() -> None:
    """Row 9: two requests within 50 ms, one tuner."""
    async with station(tuners=2) as bridge:
        channels(bridge, 1, 2)
        async with healthy_player(bridge.port):
            probe = await Player.asks(bridge, "/auto/v2")
            play = await Player.asks(bridge, "/auto/v2")
            await asyncio.gather(probe.watches(), play.watches())
            leave(probe, "reset")
            await play.watches_on(100_000)
            assert len(bridge.provider.at("/2")) == 1
            assert bridge.types().count("tuner_leased") == 2


async def test_head_costs_no_tuner() -> None:
    """Row 10: an answer, and no upstream was asked."""
    async with station() as bridge:
        channels(bridge, 1, 2)
        async with healthy_player(bridge.port):
            reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
            writer.write(b"HEAD /auto/v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = (await reader.read()).lower()
            writer.close()
            assert answer.startswith(b"http/1.1 200")
            assert b"content-type: video/mpeg" in answer
            assert answer.endswith(b"\r\n\r\n")
            assert bridge.provider.at("/2") == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_range_is_answered_with_the_whole_stream(version: str) -> None:
    """Row 11, and HTTP/1.0: 200, plain bytes from the first on, never 206 or 416."""
    async with station() as bridge:
        channels(bridge, 1, 2)
        async with healthy_player(bridge.port):
            reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
            ask = f"GET /auto/v2 HTTP/{version}\r\nHost: x\r\nRange: bytes=0-\r\n\r\n"
            writer.write(ask.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            packets = await reader.readexactly(1_880)
            writer.close()
            assert head.startswith(b"http/1.1 200")
            assert b"content-range" not in head
            assert b"transfer-encoding" not in head
            assert set(packets[::188]) == {0x47}


async def test_a_flood_of_headers_is_cut_off() -> None:
    """Row 13: 40 MB of them are to cost no memory and nobody's stream."""
    async with station() as bridge:
        channels(bridge, 1)
        async with healthy_player(bridge.port):
            before_kb = resident_kb()
            reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
            writer.write(b"GET /auto/v1 HTTP/1.1\r\n")

            async def flood() -> None:
                for number in range(400):
                    writer.write(f"X-{number}: {'a' * 100_000}\r\n".encode())
                    await writer.drain()
                await reader.readexactly(1)

            with pytest.raises(ConnectionError):
                await flood()
            writer.close()
            assert resident_kb() - before_kb < 10_000


def resident_kb() -> int:
    """Memory of this process, which is the bridge's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def test_players_that_look_at_two_kilobytes_leave_nothing() -> None:
    """As Kodi's probes do: fifty resets after 2.6 kB; sessions and tuners are all back."""
    async with station() as bridge:
        channels(bridge, 1, 2)
        async with healthy_player(bridge.port):
            for _ in range(50):
                player = await (await Player.asks(bridge, "/auto/v2")).watches(2_600)
                leave(player, "reset")
            await until(lambda: len(bridge.sessions()) == 1)
            await until(lambda: bridge.provider.open == 1)


async def test_kodi_tunes_with_three_connections_and_one_tuner() -> None:
    """Probe, reset, probe, the real one beside it, reset: one tuner, and it plays on."""
    async with station(tuners=2) as bridge:
        channels(bridge, 1, 2)
        async with healthy_player(bridge.port):
            first = await (await Player.asks(bridge, "/auto/v2", agent=KODI)).watches(2_600)
            leave(first, "reset")
            second = await Player.asks(bridge, "/auto/v2", agent=KODI)
            real = await Player.asks(bridge, "/auto/v2", agent=KODI)
            await asyncio.gather(second.watches(), real.watches())
            leave(second, "reset")
            await real.watches_on(200_000)
            assert len(bridge.sessions()) == 2


async def test_kodi_changes_the_channel_on_the_last_tuner() -> None:
    """It asks for the new one before it leaves the old one; both probes are in the way."""
    async with station(tuners=2) as bridge:
        channels(bridge, 1, 2, 3)
        async with healthy_player(bridge.port):
            old = await (await Player.asks(bridge, "/auto/v2", agent=KODI)).watches()
            probe = await Player.asks(bridge, "/auto/v3", agent=KODI)
            await asyncio.sleep(0.048)  # the times are Kodi's own
            leave(probe, "reset")
            await asyncio.sleep(0.334)
            second = await Player.asks(bridge, "/auto/v3", agent=KODI)
            await asyncio.sleep(0.022)
            leave(old, "reset")
            real = await Player.asks(bridge, "/auto/v3", agent=KODI)
            await asyncio.gather(second.watches(), real.watches())
            leave(second, "reset")
            await real.watches_on(200_000)
            assert len(bridge.door.world.leases) == 2
