"""Our ends of a child's pipes, on real ones."""

import asyncio
import os

import pytest

from plexbridge.relay.child.pipes import ReadingEnd, WritingEnd, make_pipe
from tests.service.child_rig import until

SMALL_BYTES = 4_096


@pytest.fixture
def ends() -> tuple[int, int]:
    """A pipe that holds very little."""
    return make_pipe(size_bytes=SMALL_BYTES)


async def test_memory_that_is_used_again_is_copied(ends: tuple[int, int]) -> None:
    """A relay reuses what it handed over; what waited for the pipe is as it was."""
    got = bytearray()
    reading, writing = ReadingEnd(ends[0], got.extend, lambda: None), WritingEnd(ends[1])
    memory = bytearray(b"a" * 3 * SMALL_BYTES)
    writing.write(memoryview(memory))
    assert not writing.writable
    memory[:] = b"b" * len(memory)
    writing.write(memoryview(memory))
    memory[:] = b"c" * len(memory)
    writing.finish()
    reading.resume()
    await until(lambda: reading.closed)
    assert got == b"a" * len(memory) + b"b" * len(memory)
    assert writing.closed


async def test_the_last_byte_is_told_after_the_others(ends: tuple[int, int]) -> None:
    """`over` comes once, when everything was pushed."""
    told: list[bytes] = []
    reading = ReadingEnd(ends[0], told.append, lambda: told.append(b"over"))
    os.write(ends[1], b"x")
    reading.resume()
    await until(lambda: told == [b"x"])
    os.close(ends[1])
    await until(lambda: reading.closed)
    assert told == [b"x", b"over"]


async def test_writing_to_nobody_closes(ends: tuple[int, int]) -> None:
    """At once when it is written to, and when something waits; whoever waits for room is told."""
    writing = WritingEnd(ends[1])
    room = asyncio.Event()
    writing.on_writable = room.set
    writing.write(b"x" * 2 * SMALL_BYTES)
    os.close(ends[0])
    async with asyncio.timeout(2):
        await room.wait()
    assert writing.closed
    assert not writing.writable
    writing.write(b"dropped")
    writing.close()


async def test_a_pipe_may_be_closed_by_whom_it_pushes_to(ends: tuple[int, int]) -> None:
    """In the middle of a push, or of emptying it."""
    reading = ReadingEnd(ends[0], lambda chunk: reading.close(), lambda: None)
    os.write(ends[1], b"x")
    reading.resume()
    assert not reading.drain()
    assert reading.closed
    reading.resume()
    reading.pause()
    os.close(ends[1])
