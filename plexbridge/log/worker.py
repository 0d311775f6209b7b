"""The writer thread: takes what waits, stores it together, reports back in order.

Knows the queue between loop and thread and when the log is unavailable. Refuses to know SQL.
Nothing waits on a timer: while one batch is synced to disk, the next one gathers by itself.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Any

from plexbridge.log.batch import Append, Refuse, Settlement
from plexbridge.log.driver import Connection
from plexbridge.log.errors import CannotOpen, StorageFailed
from plexbridge.log.port import Durable, LogUnavailable
from plexbridge.log.writer import Writer

MAX_BATCH_EVENTS = 512
"""Events per transaction, give or take the last append: keeps a commit near 10 ms."""


SWITCH_INTERVAL_S = 0.001
"""What the process should pass to `sys.setswitchinterval`: a busy loop then keeps the interpreter
from this thread for 1 ms at a time, not Python's 5 ms, which halves the slowest appends."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work for the writing connection, in a transaction of its own."""

    future: "asyncio.Future[Any]"
    work: Callable[[Connection], Any]


class Signal(Enum):
    """What else the loop asks of the thread."""

    RESUME = "resume"
    CHECKPOINT = "checkpoint"
    STOP = "stop"


Item = Append | Refuse | Job | Signal
Report = Callable[[Durable, Settlement, int], None]
"""Rows that became durable, answers in order, and how many events of appends these settle."""


class Worker:
    """The thread. `report` is called from it, once per batch."""

    def __init__(self, writer: Writer, report: Report) -> None:
        self._writer = writer
        self._report = report
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._failure: str | None = None
        """Why nothing can be stored at the moment."""
        self._close_failure: StorageFailed | None = None
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Queue `item`; never waits."""
        self._queue.put(item)

    def join(self) -> None:
        """Wait, blocking, until everything queued before `STOP` is done and the file is closed.

        Raises:
            StorageFailed: closing the file failed.
        """
        self._thread.join()
        if self._close_failure is not None:
            raise self._close_failure

    def _run(self) -> None:
        while True:
            batch, item = self._gather()
            if batch:
                self._store(batch)
            match item:
                case None:
                    pass
                case Refuse(future, why):
                    self._report((), [(future, LogUnavailable(why))], 0)
                case Job():
                    self._work(item)
                case Signal.RESUME:
                    self._resume()
                case Signal.CHECKPOINT:
                    self._checkpoint(idle=self._queue.empty())
                case Signal.STOP:
                    break
        try:
            self._writer.close()
        except StorageFailed as failed:
            self._close_failure = failed

    def _gather(self) -> tuple[list[Append], Refuse | Job | Signal | None]:
        """Wait for an item; take the appends that wait, up to the first other item."""
        batch: list[Append] = []
        events = 0
        item = self._queue.get()
        while isinstance(item, Append):
            batch.append(item)
            events += len(item.events)
            if events >= MAX_BATCH_EVENTS:
                return batch, None
            try:
                item = self._queue.get_nowait()
            except Empty:
                return batch, None
        return batch, item

    def _store(self, batch: list[Append]) -> None:
        events = sum(len(append.events) for append in batch)
        if self._failure is None:
            try:
                verdict = self._writer.store(batch)
            except Exception as failed:  # Even a fault of ours must not leave askers waiting.
                self._fail(failed)
            else:
                self._report(tuple(verdict.rows), verdict.answers, events)
                if self._writer.checkpoint_is_due():
                    self._checkpoint(idle=False)
                return
        answers: Settlement = [(append.future, self._unavailable()) for append in batch]
        self._report((), answers, events)

    def _work(self, job: Job) -> None:
        answer: Any
        if self._failure is not None:
            answer = self._unavailable()
        else:
            try:
                answer = self._writer.run(job.work)
            except Exception as error:  # The one who asked for the work is told, whatever it is.
                answer = error
        self._report((), [(job.future, answer)], 0)

    def _resume(self) -> None:
        if self._failure is None:
            return
        try:
            unheard = self._writer.recover()
        except (StorageFailed, CannotOpen) as failed:
            self._fail(failed)
        else:
            self._failure = None
            self._report(unheard, [], 0)

    def _checkpoint(self, *, idle: bool) -> None:
        if self._failure is not None:
            return
        try:
            self._writer.checkpoint(idle=idle)
        except StorageFailed as failed:
            self._fail(failed)

    def _fail(self, failed: Exception) -> None:
        self._failure = f"the event log cannot store: {str(failed) or type(failed).__name__}"

    def _unavailable(self) -> LogUnavailable:
        assert self._failure is not None, "asked only when the log is unavailable"
        return LogUnavailable(self._failure)
