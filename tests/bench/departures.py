"""How soon a player's leaving is durable, and known to whoever watches the feed.

200 players on six demo channels leave one after another, half of them by FIN and half by RST; the
time is from the call that ends the connection to the arrival of the session's terminal event on an
open feed, which is sent only after it is durable.
"""

import asyncio
import json
import socket
import struct
import tempfile
from pathlib import Path

import aiohttp

from tests.bench.figures import Figure, milliseconds
from tests.end_to_end.running import RunningBridge

PLAYERS, QUICK_PLAYERS = 200, 20
LEAVE_EVERY_S = 0.02


async def joined(host: str, port: int, number: int) -> tuple[str, socket.socket]:
    """Connected and reading its first bytes: its session, and its socket."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, (host, port))
    request = f"GET /auto/v{number % 6 + 1} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench/{number}"
    await loop.sock_sendall(sock, f"{request}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += await loop.sock_recv(sock, 65_536)
    session = head.split(b"X-PlexBridge-Session: ")[1].split(b"\r\n")[0].decode()
    return session, sock


async def drained(sockets: list[socket.socket]) -> None:
    """Read on for everyone, so that nobody stalls."""
    while True:
        for sock in list(sockets):
            try:
                while sock.recv(1 << 20):
                    pass
            except BlockingIOError:
                continue
            except OSError:
                continue
        await asyncio.sleep(0.05)


async def _listen(
    base: str, left: dict[str, float], took_ms: list[float], wanted: int, everyone: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    async with (
        aiohttp.ClientSession(read_bufsize=1 << 20) as client,
        client.get(f"{base}/api/live", timeout=aiohttp.ClientTimeout(None)) as feed,
    ):
        async for line in feed.content:
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            session = str(event.get("stream", "")).removeprefix("session-")
            if event.get("dst") == "ended" and session in left:
                took_ms.append((loop.time() - left.pop(session)) * 1e3)
                if len(took_ms) == wanted:
                    everyone.set()


async def _leave(base: str, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    host, port = base.removeprefix("http://").split(":")
    left: dict[str, float] = {}
    took_ms: list[float] = []
    everyone = asyncio.Event()
    listening = asyncio.ensure_future(_listen(base, left, took_ms, count, everyone))
    players = [await joined(host, int(port), number) for number in range(count)]
    sockets = [sock for _, sock in players]
    draining = asyncio.ensure_future(drained(sockets))
    await asyncio.sleep(2)
    for number, (session, sock) in enumerate(players):
        if number % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sockets.remove(sock)
        left[session] = loop.time()
        sock.close()
        await asyncio.sleep(LEAVE_EVERY_S)
    async with asyncio.timeout(10):
        await everyone.wait()
    draining.cancel()
    listening.cancel()
    return took_ms


def measure(quick: bool) -> list[Figure]:
    """Of everyone who left."""
    count = QUICK_PLAYERS if quick else PLAYERS
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningBridge(Path(folder) / "data", "--demo", TUNER_COUNT="6") as bridge,
    ):
        took = asyncio.run(_leave(bridge.base, count))
    what = f"player gone → tuner free, durable and on the feed, {count} sessions"
    return [Figure(what, milliseconds(took, worst=True), "p99 100 ms")]
