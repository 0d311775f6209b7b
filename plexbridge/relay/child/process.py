"""One ffmpeg child on the event loop: told when it is gone, ended in time, always reaped.

Knows processes and signals; nothing of what the child reads or writes but its standard error.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from plexbridge.relay.child.pipes import PIPE_BYTES, ReadingEnd, make_pipe
from plexbridge.relay.child.said import Said
from plexbridge.relay.child.spawning import Launcher, Start

SECOND_TERM_S: Final = 0.5
"""ffmpeg answers the first SIGTERM between two packets; the second interrupts what it waits for."""

KILL_S: Final = 2.0
"""From the first SIGTERM to SIGKILL of the whole group (`reference/transport.md`, fault 32)."""

LOOK_EVERY_S: Final = 0.1
"""Where the kernel has no pidfd (before 5.3)."""


class Child:
    """A running process and what it says. Its group is killed when its leader is gone."""

    def __init__(self, process: "subprocess.Popen[bytes]", said: Said, stderr: int) -> None:
        """Takes over `stderr`, the reading end of its standard error."""
        self.pid = process.pid
        self.said = said
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[int] = self._loop.create_future()
        """Resolves when it is reaped, with its exit status; negative for a signal."""
        self._process = process
        self._timers: list[asyncio.TimerHandle] = []
        self._stderr = ReadingEnd(stderr, said.feed, lambda: None)
        self._stderr.resume()
        self._pidfd = -1
        with suppress(OSError):
            self._pidfd = os.pidfd_open(self.pid)
        if self._pidfd < 0:
            self._look()
        else:
            self._loop.add_reader(self._pidfd, self._look)

    @property
    def ending(self) -> bool:
        """Whether it was told to end, or has."""
        return bool(self._timers) or self.gone.done()

    def terminate(self) -> None:
        """Ask it to end, and see to it that it does within `KILL_S`. May be called again."""
        if self.gone.done() or self._timers:
            return
        self._signal(signal.SIGTERM)
        self._timers = [
            self._loop.call_later(SECOND_TERM_S, self._signal, signal.SIGTERM),
            self._loop.call_later(KILL_S, self._signal, signal.SIGKILL),
        ]

    def _signal(self, number: signal.Signals) -> None:
        # Its number cannot be another's: it is ours until it is reaped, and then no timer is left.
        if not self.gone.done():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _look(self) -> None:
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if self._pidfd < 0:
                self._loop.call_later(LOOK_EVERY_S, self._look)
            return
        # Before it is reaped, while the group's number is still taken by it.
        self._signal(signal.SIGKILL)
        code = self._process.poll()
        assert code is not None, "it has exited"
        for timer in self._timers:
            timer.cancel()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self._stderr.drain()
        self._stderr.close()
        self.gone.set_result(code)


@dataclass(frozen=True, slots=True)
class Spawned:
    """A new child, and the reading end of its standard output, which is the caller's."""

    child: Child
    stdout: int


class Spawner:
    """Starts children, and knows which are alive. One for the process."""

    def __init__(self, program: str, environment: Mapping[str, str]) -> None:
        """`program`: ffmpeg's path, or its name on the `PATH` of `environment`."""
        self._launcher = Launcher(program, environment)
        # One thread, never replaced: see `spawning`.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="children")
        self._alive: set[Child] = set()
        self._closed = False

    @property
    def children(self) -> int:
        """How many are alive. A gauge."""
        return len(self._alive)

    @property
    def running(self) -> int:
        """How many are alive and were not told to end."""
        return sum(not child.ending for child in self._alive)

    @property
    def pids(self) -> tuple[int, ...]:
        """Their numbers, for a sweep that looks for what should not be there."""
        return tuple(child.pid for child in self._alive)

    async def spawn(
        self,
        arguments: Sequence[str],
        said: Said,
        *,
        stdin: int = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
    ) -> Spawned:
        """Start ffmpeg with these arguments. `stdin` and `pass_fds` stay the caller's to close.

        Raises:
            FfmpegMissing: there is none.
            OSError: no descriptors are left.
        """
        assert not self._closed, "nothing starts after the end"
        opened: list[int] = []
        try:
            opened += make_pipe(size_bytes=PIPE_BYTES)
            opened += make_pipe()
            stdout, theirs, stderr, their_stderr = opened
            what = Start(
                arguments=arguments,
                stdin=stdin,
                stdout=theirs,
                stderr=their_stderr,
                pass_fds=pass_fds,
            )
            starting = asyncio.get_running_loop().run_in_executor(
                self._thread, self._launcher.start, what
            )
            unwanted = await _finished(starting) or self._closed
            if unwanted and starting.exception() is not None:
                raise asyncio.CancelledError
            child = Child(starting.result(), said, stderr)
            opened.remove(stderr)
            self._alive.add(child)
            child.gone.add_done_callback(lambda _: self._alive.discard(child))
            if unwanted:
                child.terminate()
                await asyncio.wait([child.gone])
                raise asyncio.CancelledError
            opened.remove(stdout)
            return Spawned(child, stdout)
        finally:
            for fd in opened:
                os.close(fd)

    async def close(self) -> None:
        """End every child and wait until all are reaped. Nothing may be started afterwards."""
        self._closed = True
        alive = list(self._alive)
        for child in alive:
            child.terminate()
        if alive:
            await asyncio.wait([child.gone for child in alive])
        self._thread.shutdown(wait=False)


async def _finished(starting: "asyncio.Future[subprocess.Popen[bytes]]") -> bool:
    """Wait for a start, which takes milliseconds and cannot be taken back. Whether we were
    cancelled meanwhile: then the child that came of it is to be ended."""
    cancelled = False
    while not starting.done():
        try:
            await asyncio.wait([starting])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
