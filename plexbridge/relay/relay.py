"""A relay: one channel read once for every session on it, from one upstream after another.

Knows attempts, the pause between them, the order of its upstreams, and the fan-out. Decides nothing
about sessions, tuners or when to stop: it tells its listener what becomes of the upstream and goes
on until `close`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from events.ids import ChannelId, SessionId
from plexbridge.clock import Clock
from plexbridge.relay.attempt import Attempt
from plexbridge.relay.fanout import Fanout, Reader
from plexbridge.relay.health import UpstreamHealth
from plexbridge.relay.look import Look
from plexbridge.relay.mpegts import Block
from plexbridge.relay.order import Choice, Order
from plexbridge.relay.outage import Outage
from plexbridge.relay.pace import PACE_MIN
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import Connector, RelayListener, Sink, Upstream, UpstreamFailed
from plexbridge.relay.splice import Splice

_SHARED_BY_MAX = 3
"""A player waits for all upstreams of a channel together: each of several gets its part of that
time, but never less than a third, in which a provider that is well has answered."""


class RelayState(StrEnum):
    """What the relay is at. Gauge words, not states of the log."""

    IDLE = "idle"
    CONNECTING = "connecting"
    FLOWING = "flowing"
    WAITING = "waiting"
    """Between two attempts."""
    DRAINING = "draining"
    """A finite upstream was read whole; some reader has not been handed all of it."""
    COMPLETED = "completed"
    CLOSED = "closed"


class Relay:
    """Made and used on the event loop only. Its public figures are gauges."""

    def __init__(
        self,
        channel: ChannelId,
        upstreams: Sequence[Upstream],
        *,
        connector: Connector,
        clock: Clock,
        health: UpstreamHealth,
        listener: RelayListener,
        policy: RelayPolicy,
    ) -> None:
        """`upstreams`: the preferred one first; at least one."""
        self.channel = channel
        self.state = RelayState.IDLE
        self.attempt = 0
        """Number of the present or last attempt, 1-based."""
        self.bytes_in = 0
        """Good bytes (whole packets) taken from the upstream, all attempts together."""
        self.media_bytes_s: float | None = None
        """Bytes per second of the programme by its own clock, lately."""
        self.last_byte_at: float | None = None
        """Monotonic seconds of the last good packet."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolves after `close`, when the upstream's socket is gone."""
        self._order = Order(upstreams, health)
        self._health = health
        self._connector = connector
        self._clock = clock
        self._listener = listener
        self._policy = policy
        self._attempt_policy = replace(
            policy, first_byte_ms=policy.first_byte_ms // min(len(upstreams), _SHARED_BY_MAX)
        )
        self._fanout = Fanout(ring_bytes=policy.ring_bytes, on_room=self._room)
        self._outage = Outage(self._fanout)
        self._losses = 0
        self._current: Attempt | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._splice: Splice | None = None
        self._look = Look()

    @property
    def upstream(self) -> Upstream:
        """The upstream of the present or last attempt."""
        return self._order.current

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The sessions on this relay, in the order of coming."""
        return self._fanout.readers

    def start(self) -> None:
        """Begin the first attempt. Once; readers may join before or after."""
        assert self.state is RelayState.IDLE, "a relay starts once"
        self.state = RelayState.CONNECTING
        self._task = asyncio.get_running_loop().create_task(
            self._keep_trying(), name=f"relay {self.channel}"
        )
        self._task.add_done_callback(self._task_ended)

    def join(self, key: SessionId, sink: Sink) -> Reader:
        """Add a session. Its sink may be written to before this returns.

        The first gets the upstream from its first packet, unaltered; another gets PAT and PMT,
        then the newest access point; whoever comes between two attempts waits for the next one.
        """
        assert self.state is not RelayState.CLOSED, "nobody joins a closed relay"
        flowing = self.state in (RelayState.FLOWING, RelayState.DRAINING)
        return self._fanout.join(key, sink, flowing=flowing)

    def leave(self, key: SessionId) -> None:
        """Take a session off; nothing is written to its sink afterwards."""
        self._fanout.leave(key)

    def close(self) -> None:
        """Stop at once: socket, timers, readers, ring. No attempt follows. `closed` tells when the
        socket is gone."""
        if self.state is RelayState.CLOSED:
            return
        self.state = RelayState.CLOSED
        self._outage.over()
        self._fanout.clear()
        if self._current is not None:
            self._current.abandon()
        if self._task is None or self._task.done():
            self._settle_closed()
        else:
            self._task.cancel()

    async def _keep_trying(self) -> None:
        while True:
            choice = self._order.next(self._clock.monotonic())
            await self._wait_for(choice)
            self.state = RelayState.CONNECTING
            upstream = choice.upstream
            if not await self._listener.may_open(self.channel, upstream, attempt=self.attempt + 1):
                now = self._clock.monotonic()
                self._order.unavailable(until=now + self._policy.source_full_ms / 1_000)
                continue
            self.attempt += 1
            attempt = self._current = Attempt(
                clock=self._clock,
                policy=self._attempt_policy,
                ring=self._fanout.ring,
                opened=self._opened,
                begun=self._begun,
                deliver=self._deliver,
                quiet=self._quiet,
            )
            failure = await attempt.run(self._connector, upstream)
            self._paused = False
            if self.state is RelayState.CLOSED:
                return
            if failure is None:
                self.state = RelayState.DRAINING
                self._complete_if_drained()
                return
            self._lost(failure, attempt)
            if self.state is not RelayState.WAITING:
                return  # whoever was told has closed us

    async def _wait_for(self, choice: Choice) -> None:
        """Wait until the upstream may be asked; if that is for long, say at once why."""
        self.state = RelayState.WAITING
        if choice.known is not None and choice.pause_s * 1_000 > self._policy.first_byte_ms:
            self.attempt += 1
            self._listener.upstream_lost(
                self.channel,
                attempt=self.attempt,
                failure=choice.known,
                gave_bytes=False,
                more=False,
            )
        # A listener that closed us has cancelled this task: the sleep ends it.
        await asyncio.sleep(choice.pause_s)

    def _lost(self, failure: UpstreamFailed, attempt: Attempt) -> None:
        """Remember, keep the players, and tell."""
        self.state = RelayState.WAITING
        self._losses += 1
        self._splice = None
        self._order.lost(
            failure,
            gave_bytes=attempt.gave_bytes,
            steady=attempt.steady,
            now=self._clock.monotonic(),
        )
        if self._resilient:
            self._outage.lost()
        else:
            self._order.stay()
        self._listener.upstream_lost(
            self.channel,
            attempt=self.attempt,
            failure=failure,
            gave_bytes=attempt.gave_bytes,
            more=not self.bytes_in and self._order.another(self._clock.monotonic()),
        )

    @property
    def _resilient(self) -> bool:
        return self._policy.resilient or self._losses > 1

    def _opened(self) -> None:
        self._listener.upstream_opened(self.channel, self.upstream, attempt=self.attempt)

    def _begun(self, after_ms: int) -> None:
        self.state = RelayState.FLOWING
        self._look = Look()
        if self._fanout.begun:
            until = self._clock.monotonic() + self._policy.splice_ms / 1_000
            self._splice = Splice(until=until)
        self._fanout.begin_epoch(None)
        self._listener.upstream_first_byte(self.channel, attempt=self.attempt, after_ms=after_ms)

    def _quiet(self) -> None:
        if self._resilient:
            self._outage.quiet()

    def _deliver(self, block: Block, now: float) -> None:
        self.bytes_in += len(block)
        self.last_byte_at = now
        if self._splice is not None:
            self._join_on(self._splice, block, now)
            return
        self._outage.over()
        if now >= self._look.due_at:
            self._look_at(block, now)
        self._fanout.deliver(block)
        if not self._paused and self._fanout.crowded:
            assert self._current is not None, "bytes come from an attempt"
            self._paused = True
            self._current.pause()
            self._look.paused()

    def _join_on(self, splice: Splice, block: Block, now: float) -> None:
        """Players go on with another attempt's bytes as soon as these can be joined cleanly."""
        spliced = splice.feed(block, now)
        if spliced is None:
            return
        self._splice = None
        self._outage.over()
        if spliced.marks:
            self._fanout.deliver(spliced.marks)
        self._fanout.begin_epoch(spliced.tables)
        self._fanout.deliver(spliced.stream)

    def _look_at(self, block: Block, now: float) -> None:
        """Once a second: the tables for whoever joins, and whether the upstream keeps up."""
        seen = self._look.at(block, now, self.bytes_in)
        if seen.media_bytes_s is not None:
            self.media_bytes_s = seen.media_bytes_s
        if seen.tables is not None:
            self._fanout.tables = seen.tables
        if seen.pace is None:
            return
        if seen.pace < PACE_MIN:
            assert self._current is not None, "bytes come from an attempt"
            self._current.fail(UpstreamFailed("timeout", "upstream_too_slow"))
        elif self._current is not None and self._current.steady:
            self._health.well(self.upstream)

    def _room(self) -> None:
        if self._paused and self._fanout.roomy:
            assert self._current is not None, "an attempt was paused"
            self._paused = False
            self._current.resume()
        self._complete_if_drained()

    def _complete_if_drained(self) -> None:
        if self.state is RelayState.DRAINING and self._fanout.caught_up:
            self.state = RelayState.COMPLETED
            self._listener.upstream_completed(self.channel, attempt=self.attempt)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            # Our own fault (a listener raised, an assertion failed): nobody awaits this task.
            task.get_loop().call_exception_handler(
                {"message": f"relay {self.channel} failed", "exception": fault, "task": task}
            )
        if self.state is RelayState.CLOSED:
            self._settle_closed()

    def _settle_closed(self) -> None:
        gone = None if self._current is None else self._current.socket_gone
        if gone is None or gone.done():
            if not self.closed.done():
                self.closed.set_result(None)
        else:
            gone.add_done_callback(lambda _: self._settle_closed())
