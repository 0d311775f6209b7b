"""The server's edge over real sockets: bounds, framing, how a player is lost, how a stream ends.

Also the gate for an upgrade of uvicorn, on whose internals the edge rests. Scenarios run on both
event loops; each is `async def scenario(edge)` with a server of its own.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from plexbridge.server.config import EdgeLimits
from plexbridge.server.head import InvalidHeader, response_head
from plexbridge.server.listener import (
    AddressNotHere,
    PortNotAllowed,
    PortTaken,
    open_listener,
)
from plexbridge.server.media import (
    ABORT_EXTENSION,
    MEDIA_EXTENSION,
    LostHow,
    MediaConnection,
    how_lost,
)
from plexbridge.server.protocol import plain_address
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
        test.__name__ = scenario.__name__  # type: ignore[attr-defined]
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


# The listening socket


def test_options_of_the_listener_are_inherited_by_accepted_connections() -> None:
    """Keepalive, user timeout and the bound of unsent bytes need no code per connection."""
    with open_listener("127.0.0.1", 0) as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            options = [accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
            options += [
                accepted.getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                    socket.TCP_USER_TIMEOUT,
                    socket.TCP_NOTSENT_LOWAT,
                )
            ]
    assert options == [1, 15, 5, 2, 20_000, 131_072]


def test_a_taken_port_is_one_line_that_names_it_and_what_to_do() -> None:
    """The commonest first failure of all."""
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken) as failure:
            open_listener("127.0.0.1", port)
    text = str(failure.value)
    assert f"port {port}" in text
    assert "PORT=" in text
    assert "\n" not in text


def test_a_reserved_port_and_a_foreign_address_are_one_line_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Said with what to give instead."""

    def refuse(sock: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(AddressNotHere, match=r"192\.0\.2\.1"):
        open_listener("192.0.2.1", 3000)
    with pytest.raises(AddressNotHere, match="numeric address"):
        open_listener("tuner.example", 3000)
    monkeypatch.setattr(socket.socket, "bind", refuse)  # whoever runs the tests may be root
    with pytest.raises(PortNotAllowed, match="PORT=3000"):
        open_listener("127.0.0.1", 80)


def test_the_unspecified_ipv6_address_takes_ipv4_as_well() -> None:
    """And an IPv4 peer is shown in its own form."""
    try:
        listener = open_listener("::", 0)
    except AddressNotHere:
        pytest.skip("this system has no IPv6")
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
        listener.setblocking(True)
        accepted, peer = listener.accept()
        accepted.close()
    assert peer[0] == "::ffff:127.0.0.1"
    assert plain_address(peer[0]) == "127.0.0.1"
    assert plain_address("fe80::1%eth0") == "fe80::1%eth0"


# Bounds of a connection


@on_both_loops(EdgeLimits(head_deadline_s=0.2))
async def test_a_head_that_is_not_finished_in_time_is_reset(edge: Edge) -> None:
    """Nothing at all, half a head; on a kept-alive connection half a head, a stray line end."""
    silent, half, second = await edge.connect(), await edge.connect(), await edge.ask("/hello")
    stray = await edge.ask("/hello")
    await read_until(stray, b"{}")
    await send_all(stray, b"\r\n")
    await send_all(half, b"GET /hello HTTP/1.1\r\nHost:")
    await read_until(second, b"{}")
    await send_all(second, b"GET /hello HTTP/1.1\r\nHo")
    for sock in (silent, half, second, stray):
        with sock, pytest.raises(ConnectionResetError):
            await read_to_end(sock)
    await until(lambda: edge.server_sockets() == 0, "no socket left")


@on_both_loops(EdgeLimits(body_deadline_s=0.2))
async def test_a_body_that_does_not_come_is_reset(edge: Edge) -> None:
    """Also when the request was answered already: nothing else would ever end it."""
    with await edge.connect() as sock:
        await send_all(sock, b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab")
        await read_until(sock, b"{}")
        await send_all(sock, b"c")
        with pytest.raises(ConnectionResetError):
            await read_to_end(sock)


@on_both_loops()
async def test_a_flood_of_headers_is_reset(edge: Edge) -> None:
    """uvicorn alone would take 40 MB of them."""
    with await edge.connect() as sock:
        await send_all(sock, b"GET /hello HTTP/1.1\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await send_all(sock, (b"X-Flood: " + b"x" * 8000 + b"\r\n") * 2000)


@on_both_loops()
async def test_a_flood_of_pipelined_requests_is_reset(edge: Edge) -> None:
    """One read holds thousands; none of them is served twice or kept."""
    stream = edge.apps["/stream"] = Stream()
    with await edge.connect() as sock:
        await send_all(sock, b"GET /stream HTTP/1.1\r\n\r\n" + b"GET /hello HTTP/1.1\r\n\r\n" * 50)
        with pytest.raises(ConnectionResetError):
            await read_to_end(sock)
    await until(lambda: stream.returned == 1, "the application heard of it")


@on_both_loops(EdgeLimits(keep_alive_idle_s=1))
async def test_ordinary_requests_keep_the_connection_until_it_is_idle(edge: Edge) -> None:
    """Two answers on one connection, ours in the name, then FIN and no reset."""
    with await edge.ask("/hello") as sock:
        await read_until(sock, b"{}")
        await send_all(sock, b"POST /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        second = await read_until(sock, b"{}")
        assert b"server: PlexBridge/1.2.3\r\n" in second
        assert await read_to_end(sock) == b""


# Framing


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_first_body_byte_of_a_stream_is_a_sync_byte(version: str) -> None:
    """A tuner never chunks; an HTTP/1.0 player would read the chunk's size as video."""

    async def scenario(edge: Edge) -> None:
        stream = edge.apps["/stream"] = Stream()
        with await edge.ask("/stream", version) as sock:
            media = await stream.begun()
            media.write(CHUNK)
            media.write(memoryview(CHUNK))
            media.finish()
            stream.over.set()
            head, _, body = (await read_to_end(sock)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert b"content-length" not in head.lower()
        assert b"X-HDHomeRun-Resource: tuner0\r\n" in head
        assert b"server: PlexBridge/1.2.3" in head
        assert head.endswith(b"Connection: close")
        assert body == CHUNK * 2
        assert media.accepted() == len(body)

    for loop in LOOPS:
        on_both_loops()(scenario)(loop)


@on_both_loops()
async def test_an_http_1_0_client_never_sees_chunks_on_any_route(edge: Edge) -> None:
    """A body without a length, as of server-sent events, ends with the connection there."""

    async def events(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for n in range(3):
            body = b"data: %d\n\n" % n
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    edge.apps["/events"] = events
    with await edge.ask("/events", "1.0") as old, await edge.ask("/events") as new:
        head, _, body = (await read_to_end(old)).partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert b"transfer-encoding: chunked" in await read_until(new, b"\r\n0\r\n\r\n")
    with await edge.ask("/hello", "1.0") as old:
        assert (await read_to_end(old)).endswith(b"\r\n\r\n{}")


@on_both_loops()
async def test_head_on_a_media_route_is_an_ordinary_answer(edge: Edge) -> None:
    """Without a body, and the connection stays."""

    async def media_route(scope: Any, receive: Any, send: Any) -> None:
        assert MEDIA_EXTENSION in scope["extensions"]
        headers = [(b"content-type", b"video/mpeg")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    edge.apps["/auto/v1"] = media_route
    with await edge.connect() as sock:
        await send_all(sock, b"HEAD /auto/v1 HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await read_until(sock, b"\r\n\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        await send_all(sock, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_until(sock, b"{}")


@on_both_loops()
async def test_a_refusal_has_the_form_of_a_tuner(edge: Edge) -> None:
    """Status, X-HDHomeRun-Error, an empty body, the connection closed."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        media: MediaConnection = scope["extensions"][MEDIA_EXTENSION]
        media.watch(lambda how: None)
        await asyncio.sleep(0)
        media.refuse(503, "805 All Tuners In Use", [("Server", "HDHomeRun/1.0")])

    edge.apps["/auto/v1"] = refuse
    with await edge.ask("/auto/v1") as sock:
        answer = await read_to_end(sock)
    lines = answer.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 503 Service Unavailable"
    assert b"X-HDHomeRun-Error: 805 All Tuners In Use" in lines
    assert {b"Content-Length: 0", b"Cache-Control: no-cache", b"Connection: close"} <= set(lines)
    assert [line for line in lines if line.lower().startswith(b"server")] == [
        b"Server: HDHomeRun/1.0"
    ]
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "header",
    [("X-A", "b\r\nX-C: d"), ("X-A", "b\x00"), ("X A", "b"), ("", "b"), ("X-A", "Ελλάδα")],
)
def test_a_header_that_would_break_the_head_is_not_sent(header: tuple[str, str]) -> None:
    """A channel's name must not smuggle in a line."""
    with pytest.raises(InvalidHeader):
        response_head(200, [header], [])


# How a player is lost


@pytest.mark.parametrize(
    ("leave", "how"),
    [
        (socket.socket.close, LostHow.CLIENT_CLOSED),
        (lambda sock: sock.shutdown(socket.SHUT_WR), LostHow.CLIENT_CLOSED),
        (reset, LostHow.CLIENT_RESET),
    ],
    ids=["FIN", "half-close", "RST"],
)
@pytest.mark.parametrize("stalled", [False, True], ids=["reading", "stalled"])
def test_a_leaving_player_is_reported_within_100_ms(
    leave: Callable[[socket.socket], None], how: LostHow, stalled: bool
) -> None:
    """By FIN, half-close or RST, while bytes flow or while its buffers are full; and its socket is
    gone at once."""

    async def scenario(edge: Edge) -> None:
        stream = edge.apps["/stream"] = Stream()
        sock = await edge.ask("/stream", rcvbuf=16384)
        media = await stream.begun()
        if stalled:
            await fill(media)
        else:
            await read_until(sock, b"\r\n\r\n")
        before = time.monotonic()
        leave(sock)
        await until(lambda: bool(stream.lost), "reported")
        took = time.monotonic() - before
        with sock:
            # Closing with unread bytes is a reset too, by the kernel's rule.
            closed_unread = stalled and leave is socket.socket.close
            assert stream.lost == [LostHow.CLIENT_RESET if closed_unread else how]
            assert took < 0.1
            assert media.lost
            assert not media.writable
            media.write(CHUNK)
            await until(lambda: edge.server_sockets() == 0, "the socket is gone")
        await until(lambda: stream.returned == 1, "the application returned")
        assert media.tcp_info() is None

    for loop in LOOPS:
        on_both_loops()(scenario)(loop)


async def fill(media: MediaConnection) -> None:
    """Write until the connection takes no more, and has taken none for a while."""
    quiet = 0
    while quiet < 5:
        while media.writable:
            media.write(CHUNK)
            quiet = 0
        quiet += 1
        await asyncio.sleep(0.01)


@on_both_loops()
async def test_who_watches_after_the_loss_is_told_at_once(edge: Edge) -> None:
    """So the order of watcher and loss leaves no gap."""
    told: list[LostHow] = []
    gone = asyncio.Event()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        media: MediaConnection = scope["extensions"][MEDIA_EXTENSION]
        media.watch(told.append)
        assert told == [LostHow.CLIENT_CLOSED]
        media.begin([])
        media.write(CHUNK)
        assert media.accepted() == 0
        media.finish()
        gone.set()

    edge.apps["/late"] = late
    sock = await edge.ask("/late")
    sock.close()
    await asyncio.wait_for(gone.wait(), DEADLINE_S)
    await asyncio.sleep(0)
    assert told == [LostHow.CLIENT_CLOSED]


@on_both_loops()
async def test_a_fin_in_the_same_segment_as_the_request_is_not_missed(edge: Edge) -> None:
    """The application's first step comes after both were read, or before; it hears of it once."""
    stream = edge.apps["/stream"] = Stream()
    sock = await edge.connect()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    await send_all(sock, b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    sock.shutdown(socket.SHUT_WR)
    with sock:
        await until(lambda: stream.returned == 1, "told")
    assert stream.lost == [LostHow.CLIENT_CLOSED]


@on_both_loops()
async def test_a_second_request_behind_a_stream_hides_nothing(edge: Edge) -> None:
    """It is dropped, never answered into the stream, and the player's end is still seen."""
    stream = edge.apps["/stream"] = Stream()
    request = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
    sock = await edge.connect()
    await send_all(sock, request + b"GET /hello HTTP/1.1\r\n\r\n")
    media = await stream.begun()
    await send_all(sock, b"\r\n\x00 nonsense \r\n\r\n" + b"GET /hello HTTP/1.1\r\n\r\n" * 50)
    media.write(TS)
    answer = await read_until(sock, TS)
    assert answer.endswith(b"\r\n\r\n" + TS)
    assert not stream.lost
    sock.close()
    await until(lambda: bool(stream.lost), "reported")


@pytest.mark.parametrize(
    ("exc", "how"),
    [
        (None, LostHow.CLIENT_CLOSED),
        (ConnectionResetError(104, "reset"), LostHow.CLIENT_RESET),
        (BrokenPipeError(32, "pipe"), LostHow.CLIENT_RESET),
        (TimeoutError(110, "timed out"), LostHow.PEER_VANISHED),
        (OSError(113, "no route to host"), LostHow.PEER_VANISHED),
    ],
)
def test_what_the_system_says_decides_how_it_was_lost(exc: OSError | None, how: LostHow) -> None:
    """The kernel's word, in the log's."""
    assert how_lost(exc) is how


# A player that does not read


@on_both_loops()
async def test_a_stalled_player_holds_one_chunk_and_goes_on_where_it_stopped(edge: Edge) -> None:
    """Unwritable, with bounded memory; `on_writable` when it reads again; not a byte missing."""
    stream = edge.apps["/stream"] = Stream()
    with await edge.ask("/stream", rcvbuf=16384) as sock:
        media = await stream.begun()
        await fill(media)
        assert not media.writable
        assert 0 < media.unsent() <= len(CHUNK)
        written = media.accepted() + media.unsent()
        assert written % len(CHUNK) == 0
        assert written < 1_500_000, "the kernel's share is bounded by TCP_NOTSENT_LOWAT"
        info = media.tcp_info()
        assert info is not None
        assert info.peer_answers
        assert info.state == 1
        again = asyncio.Event()
        media.on_writable = again.set
        reader = asyncio.ensure_future(read_to_end(sock))
        await asyncio.wait_for(again.wait(), DEADLINE_S)
        assert media.writable
        assert media.unsent() == 0
        media.finish()
        stream.over.set()
        body = (await reader).partition(b"\r\n\r\n")[2]
        assert len(body) == written == media.accepted()


@on_both_loops()
async def test_bytes_written_from_within_on_writable_keep_their_order(edge: Edge) -> None:
    """A relay pumps from there."""
    stream = edge.apps["/stream"] = Stream()
    parts = [bytes([n]) * 70_000 for n in range(200)]
    todo = iter(parts)

    def pump() -> None:
        media = stream.out
        while media.writable:
            part = next(todo, None)
            if part is None:
                media.finish()
                stream.over.set()
                return
            media.write(part)

    with await edge.ask("/stream", rcvbuf=32768) as sock:
        media = await stream.begun()
        media.on_writable = pump
        pump()
        body = (await read_to_end(sock)).partition(b"\r\n\r\n")[2]
    assert body == b"".join(parts)


@on_both_loops()
async def test_abort_frees_a_stalled_connection_at_once(edge: Edge) -> None:
    """Descriptor, our buffer and the kernel's queue; nobody is told of our own deed, nothing is
    logged, and what was accepted stays what it was."""
    stream = edge.apps["/stream"] = Stream()
    with await edge.ask("/stream", rcvbuf=16384):
        media = await stream.begun()
        await fill(media)
        accepted = media.accepted()
        assert edge.server_sockets() == 1
        media.abort()
        media.abort()
        stream.over.set()
        await until(lambda: stream.returned == 1, "returned")
        assert edge.server_sockets() == 0
        assert stream.lost == []
        assert not media.lost
        assert media.accepted() == accepted
        assert media.unsent() > 0


@on_both_loops(EdgeLimits(flush_deadline_s=0.2))
async def test_finish_waits_for_a_stalled_player_only_so_long(edge: Edge) -> None:
    """Then its socket is freed like any other."""
    stream = edge.apps["/stream"] = Stream()
    with await edge.ask("/stream", rcvbuf=16384):
        media = await stream.begun()
        await fill(media)
        waiting = media.unsent()
        media.finish()
        stream.over.set()
        assert edge.server_sockets() == 1
        await until(lambda: edge.server_sockets() == 0, "freed")
        assert media.unsent() == waiting
        assert stream.lost == []


@on_both_loops()
async def test_an_ordinary_response_can_be_aborted_too(edge: Edge) -> None:
    """The way out for server-sent events whose reader stalls; its `send` and `receive` return."""
    ended = asyncio.Event()

    async def events(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                while True:
                    body = {"type": "http.response.body", "body": CHUNK, "more_body": True}
                    await send(body)
        scope["extensions"][ABORT_EXTENSION]()
        assert (await receive())["type"] == "http.disconnect"
        ended.set()

    edge.apps["/events"] = events
    with await edge.ask("/events", rcvbuf=16384):
        await asyncio.wait_for(ended.wait(), DEADLINE_S)
        await until(lambda: edge.server_sockets() == 0, "freed")


@on_both_loops()
async def test_a_request_waiting_behind_an_ordinary_response_hides_no_reset(edge: Edge) -> None:
    """uvicorn alone tells only the request parsed last; the running one would send for ever."""
    ended = asyncio.Event()
    started = asyncio.Event()

    async def events(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        started.set()
        receiving = asyncio.ensure_future(receive())
        while not receiving.done():
            body = {"type": "http.response.body", "body": b": beat\n\n", "more_body": True}
            await send(body)
            await asyncio.sleep(0.01)
        assert receiving.result()["type"] == "http.disconnect"
        ended.set()

    edge.apps["/events"] = events
    sock = await edge.ask("/events")
    await asyncio.wait_for(started.wait(), DEADLINE_S)
    await send_all(sock, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.05)
    reset(sock)
    await asyncio.wait_for(ended.wait(), DEADLINE_S)


@on_both_loops()
async def test_nonsense_behind_a_running_response_is_not_answered_into_it(edge: Edge) -> None:
    """Alone it gets 400; there the connection is reset instead."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"1000000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await receive()
        assert (await receive())["type"] == "http.disconnect"

    edge.apps["/slow"] = slow
    with await edge.connect() as alone:
        await send_all(alone, b"\x16\x03\x01 nonsense\r\n\r\n")
        assert (await read_to_end(alone)).startswith(b"HTTP/1.1 400 ")
    with await edge.ask("/slow") as sock:
        await read_until(sock, b"\r\n\r\n")
        await send_all(sock, b"\x16\x03\x01 nonsense\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await read_to_end(sock)


@on_both_loops()
async def test_a_stalled_websocket_can_be_aborted(edge: Edge) -> None:
    """Its blocked `send` ends, its socket is gone."""
    ended = asyncio.Event()

    async def feed(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        sending = asyncio.ensure_future(flood(send))
        await asyncio.wait({sending}, timeout=0.1)
        assert not sending.done()
        scope["extensions"][ABORT_EXTENSION]()
        with pytest.raises(OSError):  # noqa: PT011 - uvicorn's ClientDisconnected has no text
            await sending
        ended.set()

    async def flood(send: Any) -> None:
        while True:
            await send({"type": "websocket.send", "bytes": CHUNK})

    edge.apps["/ws"] = feed
    with await edge.connect(rcvbuf=16384) as sock:
        lines = ["GET /ws HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
        await send_all(sock, "\r\n".join([*lines, "", ""]).encode())
        await asyncio.wait_for(ended.wait(), DEADLINE_S)
        await until(lambda: edge.server_sockets() == 0, "freed")


# The application


def test_a_stream_logs_nothing_however_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Finished, aborted, refused, lost before and after it began: uvicorn has nothing to say."""
    silent = "must not be reached"

    async def scenario(edge: Edge) -> None:
        streams = [Stream() for _ in range(4)]
        for n, stream in enumerate(streams):
            edge.apps[f"/{n}"] = stream
        socks = [await edge.ask(f"/{n}", rcvbuf=16384) for n in range(4)]
        for stream in streams:
            (await stream.begun()).write(TS)
        await fill(streams[0].out)  # so that it returns while its last bytes still wait
        streams[0].out.finish()
        streams[1].out.abort()
        socks[2].close()
        reset(socks[3])
        streams[0].over.set()
        streams[1].over.set()
        await until(lambda: all(stream.returned for stream in streams), silent)
        await until(lambda: not edge.server.server_state.tasks, "tasks done")
        for sock in socks:
            sock.close()

    with caplog.at_level(logging.DEBUG, logger="asyncio"):
        for loop in LOOPS:
            on_both_loops()(scenario)(loop)
    said = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert said == []


def test_a_failing_stream_is_logged_and_its_stalled_player_freed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug is no disconnect: it is seen, and leaves no socket behind."""

    async def scenario(edge: Edge) -> None:
        async def fail(scope: Any, receive: Any, send: Any) -> None:
            media: MediaConnection = scope["extensions"][MEDIA_EXTENSION]
            media.begin([])
            await fill(media)
            raise RuntimeError("a bug")

        edge.apps["/fail"] = fail
        with await edge.ask("/fail", rcvbuf=16384):
            await until(lambda: "a bug" in caplog.text, "logged")
            await until(lambda: edge.server_sockets() == 0, "freed")
        assert edge.server.quiet.dropped == 0

    for loop in LOOPS:
        caplog.clear()
        on_both_loops()(scenario)(loop)


# Draining


@pytest.mark.parametrize("loop", LOOPS)
def test_draining_is_told_before_anyone_is_waited_for(loop: str) -> None:
    """At the signal; the stream's owner ends it, its player gets every byte and a FIN."""

    async def main() -> None:
        edge = Edge(EdgeLimits())
        order: list[str] = []
        stream = edge.apps["/stream"] = Stream()

        def on_draining() -> None:
            order.append("draining")
            assert edge.server.server_state.connections, "nobody was cut"
            stream.out.write(CHUNK)
            stream.out.finish()
            stream.over.set()

        server = edge.server = Server(edge.server.config, on_draining=on_draining)  # type: ignore[arg-type]
        serving = asyncio.create_task(server.serve(sockets=[edge.listener]))
        await until(lambda: server.started, "started")
        with await edge.ask("/stream") as sock, await edge.ask("/hello") as idle:
            await stream.begun()
            await read_until(idle, b"{}")
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            body = (await read_to_end(sock)).partition(b"\r\n\r\n")[2]
            assert body == CHUNK
            assert await read_to_end(idle) == b""
            before = time.monotonic()
            await asyncio.wait_for(serving, DEADLINE_S)
            assert time.monotonic() - before < 1
        assert order == ["draining"]

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_does_not_end_is_cancelled_and_runs_its_finally(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Before `serve` returns: the log is closed after it. The traceback is counted, not shown."""
    seen: list[str] = []

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"][MEDIA_EXTENSION].begin([])
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            seen.append("released")

    async def main() -> None:
        edge = Edge(EdgeLimits())
        edge.server.config.timeout_graceful_shutdown = 1
        edge.apps["/stubborn"] = stubborn
        serving = asyncio.create_task(edge.server.serve(sockets=[edge.listener]))
        await until(lambda: edge.server.started, "started")
        with await edge.ask("/stubborn") as sock:
            await read_until(sock, b"\r\n\r\n")
            edge.server.stop()
            await asyncio.wait_for(serving, DEADLINE_S)
            seen.append("served")
            assert edge.drained == ["drain"]
        assert edge.server.quiet.dropped == 1

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    assert seen == ["released", "served"]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_signal_ends_the_process_with_status_0(loop: str, sig: signal.Signals) -> None:
    """An orderly end is no failure to systemd and container engines."""
    program = """
        import asyncio, uvloop
        from plexbridge.server.listener import open_listener
        from plexbridge.server.serve import Server, build_config

        async def app(scope, receive, send): pass

        async def main():
            listener = open_listener("127.0.0.1", 0)
            drained = lambda: print("draining", flush=True)
            server = Server(build_config(app, version="1"), on_draining=drained)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            print("started", flush=True)
            await task
            print("closed", flush=True)
    """
    program = (
        textwrap.dedent(program) + f"\nwith asyncio.Runner(loop_factory={loop}.new_event_loop)"
    )
    program += " as runner: runner.run(main())\n"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(sig)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "draining\nclosed\n", "")
