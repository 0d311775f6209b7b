"""A server in the test's own loop, raw sockets against it, and a stream that does as it is told."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from plexbridge.server.config import EdgeLimits
from plexbridge.server.listener import (
    open_listener,
)
from plexbridge.server.media import (
    MEDIA_EXTENSION,
    LostHow,
    MediaConnection,
)
from plexbridge.server.serve import Server, build_config

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
TS = b"\x47\x40\x00\x10" + bytes(184)
CHUNK = TS * 348
"""About 64 KiB, as a ring hands it over."""
DEADLINE_S = 5.0
App = Callable[[Any, Any, Any], Awaitable[None]]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


class Edge:
    """A server in this loop; a test sets the applications."""

    def __init__(self, limits: EdgeLimits) -> None:
        self.apps: dict[str, App] = {"/hello": hello}
        self.drained: list[str] = []
        self.listener = open_listener("127.0.0.1", 0)
        self.port: int = self.listener.getsockname()[1]
        config = build_config(self, version="1.2.3", limits=limits)
        self.server = Server(config, on_draining=lambda: self.drained.append("drain"))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.apps[scope["path"]](scope, receive, send)

    async def connect(self, *, rcvbuf: int | None = None) -> socket.socket:
        sock = socket.socket()
        if rcvbuf is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        return sock

    async def ask(self, path: str, version: str = "1.1", **options: Any) -> socket.socket:
        sock = await self.connect(**options)
        await send_all(sock, f"GET {path} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        return sock

    def server_sockets(self) -> int:
        """Sockets of the server's side that the kernel still has, listener apart, in any state."""
        local = f":{self.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening, time_wait = "0A", "06"
        return sum(r[1].endswith(local) and r[3] not in (listening, time_wait) for r in rows)


async def send_all(sock: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def read_to_end(sock: socket.socket) -> bytes:
    return b"".join([chunk async for chunk in reads(sock)])


async def reads(sock: socket.socket) -> AsyncIterator[bytes]:
    while chunk := await asyncio.get_running_loop().sock_recv(sock, 65536):
        yield chunk


async def read_until(sock: socket.socket, mark: bytes) -> bytes:
    data = b""
    async for chunk in reads(sock):
        data += chunk
        if mark in data:
            return data
    raise AssertionError(f"the connection closed before {mark!r}; it sent {data!r}")


async def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        await asyncio.sleep(0.005)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.asynccontextmanager
async def running(limits: EdgeLimits) -> AsyncIterator[Edge]:
    edge = Edge(limits)
    task = asyncio.create_task(edge.server.serve(sockets=[edge.listener]))
    await until(lambda: edge.server.started, "started")
    try:
        yield edge
    finally:
        edge.server.stop()
        await asyncio.wait_for(task, 10)


def on_both_loops(
    limits: EdgeLimits | None = None,
) -> Callable[[Callable[[Edge], Awaitable[None]]], Callable[[str], None]]:
    """Make a test of a scenario, once for each event loop, with a server of its own."""

    def decorate(scenario: Callable[[Edge], Awaitable[None]]) -> Callable[[str], None]:
        async def main() -> None:
            async with running(limits or EdgeLimits()) as edge, asyncio.timeout(20):
                await scenario(edge)

        @pytest.mark.parametrize("loop", LOOPS)
        def test(loop: str) -> None:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(main())

        test.__doc__ = scenario.__doc__
        test.__name__ = scenario.__name__
        return test

    return decorate


class Stream:
    """A stream application that does what a test tells it, and keeps what it was told."""

    def __init__(self) -> None:
        self.media: MediaConnection | None = None
        self.lost: list[LostHow] = []
        self.over = asyncio.Event()
        self.returned = 0

    @property
    def out(self) -> MediaConnection:
        assert self.media is not None
        return self.media

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        media: MediaConnection = scope["extensions"][MEDIA_EXTENSION]
        self.media = media
        media.watch(self.on_lost)
        media.begin([("Content-Type", "video/mpeg"), ("X-HDHomeRun-Resource", "tuner0")])
        await self.over.wait()
        self.returned += 1

    def on_lost(self, how: LostHow) -> None:
        self.lost.append(how)
        self.over.set()

    async def begun(self) -> MediaConnection:
        await until(lambda: self.media is not None, "the stream began")
        return self.out


async def fill(media: MediaConnection) -> None:
    """Write until the connection takes no more, and has taken none for a while."""
    quiet = 0
    while quiet < 5:
        while media.writable:
            media.write(CHUNK)
            quiet = 0
        quiet += 1
        await asyncio.sleep(0.01)
