"""The event log in one SQLite file: the loop's side of it.

Knows the loop, the bound of what may wait and when to checkpoint; the thread (`worker`) stores.
After `LogUnavailable` a caller folds its state anew from `reader` and calls `resume`: by then
every append before the failed one is settled, and everything the reader shows is the truth. Events
whose commit had an unknown outcome and turn out to be stored reach the listeners at `resume`.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from events.envelope import NewEvent
from plexbridge.log import driver, schema
from plexbridge.log.audience import Audience
from plexbridge.log.batch import MAX_WAITING_EVENTS, Append, Refuse, Settlement
from plexbridge.log.driver import Connection, Durability
from plexbridge.log.lock import WriterLock
from plexbridge.log.port import Durable, Listener
from plexbridge.log.reader import SqliteReader
from plexbridge.log.worker import Job, Signal, Worker
from plexbridge.log.writer import Writer

CHECKPOINT_AFTER_S = 5.0
"""How long after the first change the write-ahead log is copied into the database: seldom enough
not to matter, often enough that a start has little to recover."""

OpenWriter = Callable[[Path, Durability], Connection]
T = TypeVar("T")


class SqliteLog:
    """`EventLog` over SQLite, durable by group commit."""

    def __init__(
        self,
        path: Path,
        *,
        node: str = "local",
        durability: Durability = "full",
        open_writer: OpenWriter = driver.open_writer,
        prepare: Callable[[Path], None] = schema.prepare,
        checkpoint_after_s: float = CHECKPOINT_AFTER_S,
    ) -> None:
        """Open or create the log at `path` for writing. Blocks: call it before the loop serves.

        Raises:
            LogLocked: another running bridge has it.
            CannotOpen: it cannot be created, read or written.
            NewerLog: a newer version of the bridge wrote it.
        """
        self.node = node
        """The name that events of this bridge carry as their `node`."""
        self._lock = WriterLock(path)
        try:
            prepare(path)
            self._reader = SqliteReader(path)
            writer = Writer(path, lambda: open_writer(path, durability))
        except BaseException:
            self._lock.release()
            raise
        self._audience = Audience()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting_events = 0
        self._overflowed = False
        self._checkpoint_after_s = checkpoint_after_s
        self._checkpoint_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._worker = Worker(writer, self._report)

    @property
    def reader(self) -> SqliteReader:
        """Reads what is durable."""
        return self._reader

    @property
    def waiting_events(self) -> int:
        """Events appended and not yet settled."""
        return self._waiting_events

    def append(self, events: Sequence[NewEvent]) -> "asyncio.Future[Durable]":
        """See `EventLog.append`."""
        assert not self._closing, "append after close"
        future: asyncio.Future[Durable] = self._running_loop().create_future()
        append = Append.of(future, events)
        if self._overflowed or self._waiting_events + len(events) > MAX_WAITING_EVENTS:
            self._overflowed = True
            self._worker.put(Refuse.full(future))
        else:
            self._waiting_events += len(events)
            self._worker.put(append)
        return future

    def resume(self) -> None:
        """See `EventLog.resume`."""
        self._running_loop()
        self._overflowed = False
        self._worker.put(Signal.RESUME)

    def subscribe(self, listener: Listener) -> None:
        """See `EventLog.subscribe`."""
        self._audience.add(listener)

    def run_in_writer(self, work: Callable[[Connection], T]) -> "asyncio.Future[T]":
        """Run `work` on the writing connection, in a transaction of its own between two commits,
        after every append made before this call. It must be quick: events wait behind it.

        The future fails with whatever `work` raised (it alone: the log goes on), or with
        `LogUnavailable`.
        """
        assert not self._closing, "work after close"
        future: asyncio.Future[T] = self._running_loop().create_future()
        self._worker.put(Job(future, work))
        return future

    async def close(self) -> None:
        """See `EventLog.close`. Closing twice is fine.

        Raises:
            StorageFailed: closing the file failed; what was acknowledged is stored all the same.
        """
        if self._closing:
            return
        self._closing = True
        loop = self._running_loop()
        if self._checkpoint_timer is not None:
            self._checkpoint_timer.cancel()
        self._worker.put(Signal.STOP)
        try:
            await loop.run_in_executor(None, self._worker.join)
        finally:
            self._reader.close()
            self._lock.release()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _report(self, rows: Durable, answers: Settlement, settled_events: int) -> None:
        """Called on the writer thread."""
        assert self._loop is not None, "nothing is reported before something was asked for"
        self._loop.call_soon_threadsafe(self._settle, rows, answers, settled_events)

    def _settle(self, rows: Durable, answers: Settlement, settled_events: int) -> None:
        loop = self._running_loop()
        self._waiting_events -= settled_events
        if self._checkpoint_timer is None and not self._closing:
            self._checkpoint_timer = loop.call_later(self._checkpoint_after_s, self._checkpoint)
        self._audience.tell(loop, rows, answers)

    def _checkpoint(self) -> None:
        self._checkpoint_timer = None
        self._worker.put(Signal.CHECKPOINT)
