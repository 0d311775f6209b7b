"""A relay: one upstream of one channel, read once for every session on it, retried until closed.

Knows attempts, the pause between them and the fan-out. Decides nothing about sessions, tuners or
when to stop: it tells its listener what becomes of the upstream and goes on until `close`.
"""

import asyncio
from enum import StrEnum
from random import Random

from events.ids import ChannelId, SessionId
from plexbridge.clock import Clock
from plexbridge.relay.attempt import Attempt
from plexbridge.relay.fanout import Fanout, Reader
from plexbridge.relay.mpegts import TableReader
from plexbridge.relay.policy import RelayPolicy, pause_ms
from plexbridge.relay.ports import Connector, RelayListener, Sink, Upstream, UpstreamFailed

_TABLES_EVERY_S = 1.0
"""PAT and PMT repeat at least twice a second; whoever joins gets them no older than this."""


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
        upstream: Upstream,
        *,
        connector: Connector,
        clock: Clock,
        random: Random,
        listener: RelayListener,
        policy: RelayPolicy,
    ) -> None:
        self.channel = channel
        self.state = RelayState.IDLE
        self.attempt = 0
        """Number of the present or last attempt, 1-based."""
        self.bytes_in = 0
        """Good bytes (whole packets) taken from the upstream, all attempts together."""
        self.last_byte_at: float | None = None
        """Monotonic seconds of the last good packet."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolves after `close`, when the upstream's socket is gone."""
        self._upstream = upstream
        self._connector = connector
        self._clock = clock
        self._random = random
        self._listener = listener
        self._policy = policy
        self._fanout = Fanout(ring_bytes=policy.ring_bytes, on_room=self._room)
        self._current: Attempt | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._table_reader: TableReader | None = None
        self._tables_due_at = 0.0

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
        self._fanout.clear()
        if self._current is not None:
            self._current.abandon()
        if self._task is None or self._task.done():
            self._settle_closed()
        else:
            self._task.cancel()

    async def _keep_trying(self) -> None:
        failures = 0
        while True:
            self.attempt += 1
            attempt = self._current = Attempt(
                clock=self._clock,
                policy=self._policy,
                opened=self._opened,
                begun=self._begun,
                deliver=self._deliver,
            )
            failure = await attempt.run(self._connector, self._upstream)
            self._paused = False
            if self.state is RelayState.CLOSED:
                return
            if failure is None:
                self.state = RelayState.DRAINING
                self._complete_if_drained()
                return
            failures = 1 if attempt.steady else failures + 1
            await self._recover(failure, failures, gave_bytes=attempt.gave_bytes)

    async def _recover(self, failure: UpstreamFailed, failures: int, *, gave_bytes: bool) -> None:
        """Tell, wait, and be ready for the next attempt."""
        self.state = RelayState.WAITING
        self._listener.upstream_lost(
            self.channel, attempt=self.attempt, failure=failure, gave_bytes=gave_bytes
        )
        pause = pause_ms(
            self._policy,
            failures=failures,
            chance=self._random.random(),
            retry_after_s=failure.retry_after_s,
        )
        # A listener that closed us has cancelled this task: the sleep ends it.
        await asyncio.sleep(pause / 1_000)
        self.state = RelayState.CONNECTING

    def _opened(self) -> None:
        self._listener.upstream_opened(self.channel, attempt=self.attempt)

    def _begun(self, after_ms: int) -> None:
        self.state = RelayState.FLOWING
        self._fanout.epoch = self._fanout.ring.end
        self._fanout.tables = None
        self._table_reader = TableReader()
        self._tables_due_at = 0.0
        self._listener.upstream_first_byte(self.channel, attempt=self.attempt, after_ms=after_ms)

    def _deliver(self, block: bytes, now: float) -> None:
        self.bytes_in += len(block)
        self.last_byte_at = now
        if now >= self._tables_due_at:
            self._look_for_tables(block, now)
        self._fanout.deliver(block)
        if not self._paused and self._fanout.crowded:
            assert self._current is not None, "bytes come from an attempt"
            self._paused = True
            self._current.pause()

    def _look_for_tables(self, block: bytes, now: float) -> None:
        """Block after block until both were seen, then not again for a second."""
        if self._table_reader is None:
            self._table_reader = TableReader()
        tables = self._table_reader.feed(block)
        if tables is not None:
            self._fanout.tables = tables
            self._table_reader = None
            self._tables_due_at = now + _TABLES_EVERY_S

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
