"""What an ffmpeg child delivers, as a relay's open upstream: pushed, paused, ended, closed.

Knows one child and its standard output; nothing of what it reads, of packets or of attempts.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from plexbridge.relay.child.feeding import Feeding
from plexbridge.relay.child.pipes import ReadingEnd
from plexbridge.relay.child.process import Spawned
from plexbridge.relay.child.words import failure_of
from plexbridge.relay.ports import UpstreamFailed, UpstreamReceiver

_log = structlog.get_logger(__name__)

LINES_LOGGED: Final = 3
"""What ffmpeg said last is enough to see why, and little enough for a provider that is down."""


class ChildBody:
    """See `OpenUpstream`. Delivers nothing before `begin`."""

    def __init__(
        self,
        spawned: Spawned,
        receiver: UpstreamReceiver,
        *,
        shown: str,
        broke: Callable[[], None],
        silence_ms: int,
        feeding: Feeding | None = None,
    ) -> None:
        """`shown`: the redacted URL, for the log. `broke` is called when the child ends by itself
        and that is not the end of a finite body. `feeding` is stopped with the child."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolves when the child is reaped and its feeds are closed: all sockets are gone."""
        self.first: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Resolves with True when there is something to read, False when it ended before."""
        self.silence_ms = silence_ms
        """See `OpenUpstream`."""
        self._child = spawned.child
        self._receiver = receiver
        self._shown = shown
        self._broke = broke
        self._feeding = feeding
        self._begun = False
        self._paused = False
        self._closing = False
        self._ended = False
        self._failure: UpstreamFailed | None = None
        self._held = b""
        self._out = ReadingEnd(spawned.stdout, self._push, lambda: None)
        self._out.resume()
        self._child.gone.add_done_callback(self._gone)

    def begin(self) -> None:
        """Deliver from the next turn of the loop on."""
        self._begun = True
        asyncio.get_running_loop().call_soon(self._go_on)

    def pause(self) -> None:
        """Read no further; the child then waits for us when its pipe is full."""
        self._paused = True
        self._out.pause()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        asyncio.get_running_loop().call_soon(self._go_on)

    def close(self) -> None:
        """Deliver nothing more and end the child: SIGTERM at once, SIGKILL within 2 s."""
        if not self._closing:
            self._closing = True
            self._out.close()
            self._child.terminate()
            if self._feeding is not None:
                self._feeding.stop()

    def fail(self, failure: UpstreamFailed) -> None:
        """What feeds the child failed: it is ended, and that is why."""
        if self._failure is None:
            self._failure = failure
            self._child.terminate()

    def why(self) -> UpstreamFailed | None:
        """Why it is gone; None for a finite body that is whole."""
        if self._failure is not None:
            return self._failure
        code = self._child.gone.result()
        if code == 0 and self._feeding is not None and self._feeding.whole:
            return None
        return failure_of(code, self._child.said.lines)

    def _push(self, chunk: bytes) -> None:
        if self._begun:
            self._receiver.received(chunk)
            return
        # The first bytes show that it is open; they are kept until someone takes them.
        self._held = chunk
        self._out.pause()
        if not self.first.done():
            self.first.set_result(True)

    def _go_on(self) -> None:
        if self._paused or self._closing or self._ended:
            return
        self._out.resume()
        if self._held:
            held, self._held = self._held, b""
            self._receiver.received(held)
        if self._child.gone.done():
            self._finish()

    def _gone(self, _: "asyncio.Future[int]") -> None:
        if not self._closing:
            self._tell()
            if self._failure is None and self.why() is not None:
                self._broke()
        self._let_go()
        if not self.first.done():
            self._out.drain()
        if not self.first.done():
            self.first.set_result(False)
        if self._begun and not self._paused:
            self._finish()

    def _let_go(self) -> None:
        if self._feeding is None:
            self.closed.set_result(None)
            return
        self._feeding.stop()
        self._feeding.over.add_done_callback(lambda _: self.closed.set_result(None))

    def _finish(self) -> None:
        """It is gone; what it left in the pipe first, then its end."""
        if self._ended or self._closing or self._held:
            return
        self._out.drain()
        # Whoever takes the rest may have paused or closed us.
        if self._ended or self._closing or self._paused:
            return
        self._ended = True
        self._out.close()
        self._receiver.ended(self.why())

    def _tell(self) -> None:
        said = self._child.said.lines[-LINES_LOGGED:]
        code = self._child.gone.result()
        _log.info("ffmpeg ended", upstream=self._shown, status=code, said=list(said))
