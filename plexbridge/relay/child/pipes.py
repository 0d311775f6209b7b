"""Our ends of a child's pipes: one that is read, one that is written, neither ever waited for.

Knows descriptors and readiness; nothing of processes or MPEG-TS. Used on the event loop only.
"""

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PIPE_BYTES: Final = 1024 * 1024
"""A second at 8 Mbit/s: what a child can be ahead of us, or we of it. The kernel grants it to the
first 64 pipes of a user without privileges; further ones are smaller and work all the same."""

READ_BYTES_MAX: Final = 262_144
"""What one push carries at most: see `relay.policy`, `ring_bytes`."""


def make_pipe(*, size_bytes: int | None = None) -> tuple[int, int]:
    """A pipe that children do not inherit unasked: read end, write end.

    Raises:
        OSError: no descriptors are left.
    """
    reading, writing = os.pipe()
    if size_bytes is not None:
        with suppress(OSError):
            # What the user's share does not allow is no fault: see `PIPE_BYTES`.
            fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, size_bytes)
    return reading, writing


class ReadingEnd:
    """Pushes what comes, until it is paused, over or closed. Begins paused."""

    def __init__(self, fd: int, push: Callable[[bytes], None], over: Callable[[], None]) -> None:
        """Takes the descriptor over. `over` is called at the end of the pipe."""
        os.set_blocking(fd, False)
        self._fd = fd
        self._push = push
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._reading = False

    @property
    def closed(self) -> bool:
        """Whether nothing more will be read."""
        return self._fd < 0

    def resume(self) -> None:
        """Read on, from the next turn of the loop."""
        if not self.closed and not self._reading:
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def pause(self) -> None:
        """Read no further."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def close(self) -> None:
        """Let go of the descriptor; whoever writes learns of it."""
        self.pause()
        if not self.closed:
            os.close(self._fd)
            self._fd = -1

    def drain(self) -> bool:
        """Push what is in the pipe now. Whether it was emptied: False when it was paused or closed
        by whom it pushed to."""
        while self._reading:
            chunk = self._read()
            if not chunk:
                return True
            self._push(chunk)
        return False

    def _readable(self) -> None:
        chunk = self._read()
        if chunk is None:
            return
        if chunk:
            self._push(chunk)
            return
        self.close()
        self._over()

    def _read(self) -> bytes | None:
        """Bytes; none at the end; None when there are none now."""
        try:
            return os.read(self._fd, READ_BYTES_MAX)
        except (BlockingIOError, InterruptedError):
            return None


class WritingEnd:
    """Takes everything, writes what fits, and says whether more is wanted."""

    def __init__(self, fd: int) -> None:
        """Takes the descriptor over."""
        os.set_blocking(fd, False)
        self.on_writable: Callable[[], None] | None = None
        """Called when everything was written after something was not."""
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[memoryview] = deque()

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken: closed by us, or nobody reads any more."""
        return self._fd < 0

    @property
    def writable(self) -> bool:
        """False while bytes wait in this process, and once it is closed."""
        return not self._waiting and not self.closed

    def write(self, chunk: bytes | memoryview) -> None:
        """Hand over bytes; dropped once it is closed. Memory that may change after the call is
        copied, as far as it does not fit into the pipe."""
        if self.closed or not len(chunk):
            return
        idle = not self._waiting
        self._waiting.append(memoryview(chunk))
        if idle:
            self._write_on()
        if not self._waiting:
            return
        if not isinstance(chunk, bytes):
            self._waiting[-1] = memoryview(bytes(self._waiting[-1]))
        if idle:
            self._loop.add_writer(self._fd, self._ready)

    def finish(self) -> None:
        """The end of the pipe, once everything was written."""
        if self.writable:
            self.close()
        else:
            self.on_writable = self.close

    def close(self) -> None:
        """The end of the pipe at once; what waits is dropped."""
        if self.closed:
            return
        if self._waiting:
            self._waiting.clear()
            self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._fd = -1
        if self.on_writable is not None:
            self.on_writable()

    def _ready(self) -> None:
        self._write_on()
        if self.closed or self._waiting:
            return
        self._loop.remove_writer(self._fd)
        if self.on_writable is not None:
            self.on_writable()

    def _write_on(self) -> None:
        while self._waiting:
            view = self._waiting[0]
            try:
                count = os.write(self._fd, view)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # Nobody reads any more. Its process is told of by its exit.
                self.close()
                return
            if count < len(view):
                self._waiting[0] = view[count:]
            else:
                self._waiting.popleft()
