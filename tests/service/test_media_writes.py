"""A stream's bytes on their way to the socket: from memory that is used again after each write."""

import asyncio
import socket

import pytest
from server_edge import DEADLINE_S, LOOPS, Edge, Stream, on_both_loops, read_until, reset, until

from plexbridge.server.media import LostHow

WRITES = 200


def piece(number: int) -> bytes:
    """Bytes that are in no other piece."""
    return number.to_bytes(4, "big") * 16_000


async def write_all(stream: Stream) -> None:
    """Each piece when the connection takes it, from one buffer that the next one overwrites."""
    memory = bytearray(len(piece(0)))
    again = asyncio.Event()
    stream.out.on_writable = again.set
    for number in range(WRITES):
        memory[:] = piece(number)
        stream.out.write(memoryview(memory))
        memory[:] = b"\xff" * len(memory)
        while not stream.out.writable:
            again.clear()
            await asyncio.wait_for(again.wait(), DEADLINE_S)


@on_both_loops()
async def test_what_the_socket_does_not_take_at_once_arrives_unaltered(edge: Edge) -> None:
    """A slow player gets what was written, not what the memory held later; all of it counts."""
    stream = edge.apps["/stream"] = Stream()
    sock = await edge.ask("/stream", rcvbuf=16_384)
    await stream.begun()
    writing = asyncio.create_task(write_all(stream))
    with sock:
        got = (await read_until(sock, b"\r\n\r\n")).partition(b"\r\n\r\n")[2]
        expected = b"".join(piece(number) for number in range(WRITES))
        while len(got) < len(expected):
            got += await asyncio.get_running_loop().sock_recv(sock, 50_000)
            await asyncio.sleep(0)
        await writing
    assert got == expected
    assert stream.out.accepted() == len(expected)
    assert stream.out.unsent() == 0


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["closed-unread", "reset"])
def test_a_loss_met_while_writing_is_told_once(
    leave: object,
) -> None:
    """Before the loop heard of it: a write that fails ends the connection, and nothing counts."""

    async def scenario(edge: Edge) -> None:
        stream = edge.apps["/stream"] = Stream()
        sock = await edge.ask("/stream")
        media = await stream.begun()
        await read_until(sock, b"\r\n\r\n")
        media.write(piece(0))
        accepted = media.accepted()
        assert callable(leave)
        leave(sock)
        for number in range(20):  # without a turn of the loop between them
            media.write(piece(number))
        await until(lambda: bool(stream.lost), "told")
        await until(lambda: edge.server_sockets() == 0, "the socket is gone")
        assert stream.lost == [LostHow.CLIENT_RESET]
        assert accepted <= media.accepted() <= accepted + 20 * len(piece(0))
        assert not media.writable

    for loop in LOOPS:
        on_both_loops()(scenario)(loop)
