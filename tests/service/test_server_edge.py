"""The server's edge over real sockets: the listener, a connection's bounds, framing.

With its two neighbours also the gate for an upgrade of uvicorn, on whose internals the edge rests.
Scenarios run on both event loops; each is `async def scenario(edge)` with a server of its own.
"""

import asyncio
import socket
from typing import Any

import pytest
from server_edge import (
    CHUNK,
    LOOPS,
    Edge,
    Stream,
    on_both_loops,
    read_to_end,
    read_until,
    send_all,
    until,
)

from plexbridge.server.addresses import plain_address
from plexbridge.server.config import EdgeLimits
from plexbridge.server.head import InvalidHeader, response_head
from plexbridge.server.listener import (
    AddressNotHere,
    PortNotAllowed,
    PortTaken,
    open_listener,
)
from plexbridge.server.media import (
    MEDIA_EXTENSION,
    MediaConnection,
)

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
    assert options == [1, 15, 5, 2, 22_000, 262_144]


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


def has_ipv6() -> bool:
    """Whether this system's kernel has it."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def test_the_unspecified_ipv6_address_takes_ipv4_as_well() -> None:
    """And an IPv4 peer is shown in its own form."""
    try:
        listener = open_listener("::", 0)
    except AddressNotHere:
        assert not has_ipv6(), "refused where there is IPv6"
        return
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
