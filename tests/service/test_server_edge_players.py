"""How a player is lost, and one that does not read, over real sockets on both event loops."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from server_edge import (
    CHUNK,
    DEADLINE_S,
    LOOPS,
    TS,
    Edge,
    Stream,
    fill,
    on_both_loops,
    read_to_end,
    read_until,
    reset,
    send_all,
    until,
)

from plexbridge.server.config import EdgeLimits
from plexbridge.server.media import (
    MEDIA_EXTENSION,
    LostHow,
    MediaConnection,
    how_lost,
)

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
