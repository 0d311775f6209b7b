"""One attempt at one upstream, from asking to the last byte: in time, in sync, and let go of.

Knows deadlines and alignment; nothing of readers, of earlier attempts or of what comes next. Its
health is its own: the next attempt starts with a clean slate.
"""

import asyncio
from collections.abc import Callable

from plexbridge.clock import Clock
from plexbridge.relay.alignment import NotMpegTs
from plexbridge.relay.intake import Intake
from plexbridge.relay.mpegts import Block
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import Connector, OpenUpstream, Upstream, UpstreamFailed
from plexbridge.relay.ring import Ring

_TIMER_SLACK_S = 0.001
"""A timer may fire a hair before its time by the other clock; it is not set for less than this."""


class Attempt:
    """Receives what an upstream delivers, for as long as it is worth it."""

    def __init__(
        self,
        *,
        clock: Clock,
        policy: RelayPolicy,
        ring: Ring,
        opened: Callable[[], None],
        begun: Callable[[int], None],
        deliver: Callable[[Block, float], None],
        quiet: Callable[[], None],
    ) -> None:
        """`begun` is told the ms it took to the first good packets, before they are delivered;
        `deliver` is given whole packets, which hold during the call only, and the monotonic time
        in seconds; `quiet` is told when half the time has passed after which silence is a loss."""
        self.gave_bytes = False
        self._clock = clock
        self._policy = policy
        self._opened = opened
        self._begun = begun
        self._deliver = deliver
        self._quiet = quiet
        self._intake = Intake(ring, self._good)
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[UpstreamFailed | None] = self._loop.create_future()
        self._upstream: OpenUpstream | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked_at = clock.monotonic()
        self._first_at = self._asked_at
        self._progress_at = self._asked_at

    @property
    def steady(self) -> bool:
        """Whether it delivered for long enough to count as good."""
        lasted_s = self._progress_at - self._first_at
        return self.gave_bytes and lasted_s * 1_000 >= self._policy.steady_ms

    @property
    def socket_gone(self) -> "asyncio.Future[None] | None":
        """Resolves when the socket is gone; None when there is none to wait for."""
        return None if self._upstream is None else self._upstream.closed

    async def run(self, connector: Connector, upstream: Upstream) -> UpstreamFailed | None:
        """Try. Returns when the socket is gone: why it was lost, or None for a finite body read
        whole."""
        self._asked_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._policy.first_byte_ms / 1_000):
                self._upstream = await connector.open(upstream, self)
        except UpstreamFailed as failure:
            return failure
        except TimeoutError:
            return UpstreamFailed("timeout", "upstream_no_answer")
        try:
            self._opened()
            self._watch()
            return await self._over
        finally:
            self._stop_watching()
            self._upstream.close()
            # `wait` leaves the future alone when this task is cancelled.
            await asyncio.wait([self._upstream.closed])

    def abandon(self) -> None:
        """Close the socket at once and deliver nothing more."""
        self._over.cancel()
        self._stop_watching()
        if self._upstream is not None:
            self._upstream.close()

    def fail(self, failure: UpstreamFailed) -> None:
        """It delivers, and all the same is worth nothing."""
        self._finish(failure)

    def pause(self) -> None:
        """Read no further for now; silence is then not the upstream's fault."""
        assert self._upstream is not None, "only an open upstream is paused"
        self._stop_watching()
        self._upstream.pause()

    def resume(self) -> None:
        """Read on; the upstream has its full time to the next packet."""
        assert self._upstream is not None, "only an open upstream is resumed"
        self._progress_at = self._clock.monotonic()
        self._watch()
        self._upstream.resume()

    def room(self) -> memoryview:
        """See `UpstreamReceiver`."""
        return self._intake.room()

    def filled(self, count: int) -> None:
        """See `UpstreamReceiver`."""
        if not self._over.done():
            self._take(lambda: self._intake.filled(count))

    def received(self, chunk: bytes) -> None:
        """See `UpstreamReceiver`."""
        if not self._over.done():
            self._take(lambda: self._intake.received(chunk))

    def ended(self, failure: UpstreamFailed | None) -> None:
        """The body is over. What is left of a packet is of use only at the end of a whole body."""
        if self._over.done():
            return
        if failure is None:
            self._take(self._intake.flush)
            if not self.gave_bytes:
                failure = UpstreamFailed("stream_failed", "upstream_eof")
        self._finish(failure)

    def _take(self, step: Callable[[], None]) -> None:
        try:
            step()
        except NotMpegTs:
            self._finish(UpstreamFailed("response_invalid", "not_mpeg_ts"))

    def _good(self, block: Block) -> None:
        if self._over.done():
            return  # Of several blocks an earlier one was the last that was wanted.
        now = self._clock.monotonic()
        self._progress_at = now
        if not self.gave_bytes:
            assert self._upstream is not None, "a body flows after its upstream was opened"
            self.gave_bytes = True
            self._first_at = now
            self._stop_watching()
            self._watch()
            self._begun(round((now - self._asked_at) * 1_000))
            if self._over.done():
                return  # Whoever was told has closed us.
        self._deliver(block, now)

    def _finish(self, failure: UpstreamFailed | None) -> None:
        if not self._over.done():
            self._over.set_result(failure)
            self._stop_watching()

    def _watch(self) -> None:
        """One timer for the whole attempt: it looks when the last packet came and sets itself
        anew, so that a packet costs no timer."""
        if self._over.done():
            return
        now = self._clock.monotonic()
        if self.gave_bytes:
            assert self._upstream is not None, "bytes come from an open upstream"
            stall_s = max(self._policy.stall_ms, self._upstream.silence_ms) / 1_000
            left_s = self._progress_at + stall_s - now
            if left_s > stall_s / 2:
                left_s -= stall_s / 2
            elif left_s > 0:
                self._quiet()
        else:
            left_s = self._asked_at + self._policy.first_byte_ms / 1_000 - now
        if left_s <= 0:
            self._finish(UpstreamFailed("timeout", "upstream_no_data"))
            return
        self._timer = self._loop.call_later(max(left_s, _TIMER_SLACK_S), self._watch)

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
