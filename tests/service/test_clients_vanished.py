"""Players that vanish or fall silent, at the real deadlines, in a real process and all at once.

Rows 3, 6 and 12 of the fault table. A player that vanished is on a machine of its own, whose
packets stop: on loopback the kernel would answer for it.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.end_to_end.running import RunningBridge
from tests.service.healthy_player import healthy_player, on_air
from tests.service.network_namespaces import Machine, machine
from tests.service.provider_stub import ProviderStub

__all__ = ["machine"]

WITHIN_S = 25.0
"""What is promised for a player that vanishes without a word, or stops reading."""

HEAD_WITHIN_S = 12.0
"""The head's deadline is 10 s."""


async def watching(there: Machine, port: int, path: str) -> tuple[socket.socket, str]:
    """A player on that machine has read some of a stream; its session."""
    loop = asyncio.get_running_loop()
    sock = await there.connect(port, rcvbuf=65_536)
    await loop.sock_sendall(sock, f"GET {path} HTTP/1.1\r\nHost: {there.bridge}\r\n\r\n".encode())
    data = b""
    async with asyncio.timeout(10):
        while len(data) < 100_000:
            data += await loop.sock_recv(sock, 65_536)
    head = data.partition(b"\r\n\r\n")[0].decode()
    lines = (line.partition(": ") for line in head.split("\r\n"))
    return sock, next(text for name, _, text in lines if name == "X-PlexBridge-Session")


async def the_end_of(bridge: RunningBridge, session: str) -> tuple[str, str, float]:
    """Reason and detail of a session's end, and how long it took from now."""
    began_at = time.monotonic()
    async with asyncio.timeout(WITHIN_S + 10):
        while True:
            path = f"/api/sessions/{session}/events"
            story: list[dict[str, Any]] = await asyncio.to_thread(bridge.get, path)
            last = story[-1]
            if last["dst"] == "ended":
                return last["reason"], last["detail"], time.monotonic() - began_at
            await asyncio.sleep(0.2)


async def reads_on(sock: socket.socket) -> None:
    """The player itself still runs, and would read whatever came."""
    with contextlib.suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(sock, 65_536):
            pass


async def cut_off_after(port: int, sent: bytes) -> float:
    """Seconds until a connection that sends no more than this is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    began_at = time.monotonic()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    return time.monotonic() - began_at


async def test_whoever_falls_silent_is_gone_in_time_and_told_apart(
    machine: Callable[[], Machine], tmp_path: Path
) -> None:
    """Vanished: `peer_vanished`. No longer reading: `client_stalled`. Half a head: reset."""
    async with ProviderStub() as provider:
        playlist = tmp_path / "list.m3u"
        entries = []
        for number in (1, 2, 3):
            url = provider.on(f"/{number}", on_air())
            entries.append(f'#EXTINF:-1 tvg-chno="{number}",Channel {number}\n{url}\n')
        playlist.write_text("#EXTM3U\n" + "".join(entries))
        bridge = RunningBridge(
            tmp_path / "data",
            "--playlist",
            str(playlist),
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
        )
        vanishing, silent = machine(), machine()
        await asyncio.to_thread(bridge.start)
        try:
            port = int(bridge.base.rpartition(":")[2])
            async with healthy_player(port):
                vanished, its_session = await watching(vanishing, port, "/auto/v2")
                stalled, other_session = await watching(silent, port, "/auto/v3")
                living_on = asyncio.create_task(reads_on(vanished))
                vanishing.vanish()
                gone, stopped, *cut = await asyncio.gather(
                    the_end_of(bridge, its_session),
                    the_end_of(bridge, other_session),
                    cut_off_after(port, b""),
                    cut_off_after(port, b"GET /auto/v1 HTTP/1.1\r\nHost: x\r\n"),
                )
            assert gone[1] == "peer_vanished"
            assert stopped[:2] == ("orphaned", "client_stalled")
            assert max(gone[2], stopped[2]) < WITHIN_S
            assert all(9 < seconds < HEAD_WITHIN_S for seconds in cut)
            living_on.cancel()
            vanished.close()
            stalled.close()
        finally:
            await asyncio.to_thread(bridge.stop)
