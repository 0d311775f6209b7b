"""The event log in memory: the same promises, no disk. For simulation and for tests of others.

Knows how to lose, or to keep without saying so, what a fault policy tells it to. It lives on the
loop alone and waits through `schedule` only, so it runs in a loop of virtual time.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import groupby

from events.codec import GENESIS
from events.envelope import NewEvent, Recorded
from events.ids import Position
from plexbridge.log.audience import Audience
from plexbridge.log.batch import MAX_WAITING_EVENTS, Append, End, Refuse, Settlement, judge
from plexbridge.log.port import Durable, Head, Listener, LogUnavailable


class Outcome(Enum):
    """What becomes of a batch."""

    STORED = "stored"
    LOST = "lost"
    UNKNOWN = "unknown"
    """Stored, but nobody is told: a commit whose answer was lost."""


FaultPolicy = Callable[[Sequence[NewEvent]], Outcome]
Schedule = Callable[[Callable[[], None]], object]


def no_fault(events: Sequence[NewEvent]) -> Outcome:
    """Everything is stored."""
    return Outcome.STORED


class MemoryReader:
    """`LogReader` over the events of a `MemoryLog`."""

    def __init__(self) -> None:
        self._rows: list[Recorded] = []
        self._streams: dict[str, list[Recorded]] = {}
        self._by_id: dict[bytes, int] = {}

    def add(self, new: Sequence[Recorded]) -> None:
        """Store rows that were judged."""
        for row in new:
            self._rows.append(row)
            self._streams.setdefault(row.stream, []).append(row)
            self._by_id[row.id] = row.pos

    def holds(self, id_: bytes) -> bool:
        """Whether an event has this id."""
        return id_ in self._by_id

    def find(self, ids: Sequence[bytes]) -> Durable | None:
        """The events stored one after another under `ids`; None unless all of them are."""
        if not ids:
            return ()
        pos = self._by_id.get(ids[0])
        if pos is None:
            return None
        found = tuple(self._rows[pos - 1 : pos - 1 + len(ids)])
        return found if [row.id for row in found] == list(ids) else None

    def head(self) -> Head:
        """See `LogReader.head`."""
        return Head(self._rows[-1].pos, self._rows[-1].hash) if self._rows else self.base()

    def base(self) -> Head:
        """What the chain starts from: nothing is ever pruned here."""
        return Head(Position(0), GENESIS)

    def base_version(self, stream: str) -> int:
        """The last pruned version of a stream: none."""
        return 0

    def first(self) -> Position:
        """See `LogReader.first`."""
        return Position(1)

    def read(self, after: int, limit: int) -> list[Recorded]:
        """See `LogReader.read`."""
        start = max(after, 0)
        return self._rows[start : None if limit < 0 else start + limit]

    def read_stream(self, stream: str, after_ver: int = 0, limit: int = 10_000) -> list[Recorded]:
        """See `LogReader.read_stream`."""
        found = self._streams.get(stream, [])
        start = bisect_left(found, after_ver + 1, key=lambda row: row.ver)
        return found[start : start + limit]

    def version(self, stream: str) -> int:
        """See `LogReader.version`."""
        found = self._streams.get(stream)
        return found[-1].ver if found else 0

    def position_at(self, at: int) -> Position:
        """See `LogReader.position_at`."""
        for row in reversed(self._rows):
            if row.at <= at:
                return row.pos
        return Position(0)


class MemoryLog:
    """`EventLog` without a file."""

    def __init__(
        self,
        *,
        node: str = "local",
        fault: FaultPolicy = no_fault,
        schedule: Schedule | None = None,
    ) -> None:
        """`fault` is asked once per batch; `schedule` says when what waits is stored and told:
        by default in the loop's next round, and then all of it together."""
        self.node = node
        self._fault = fault
        self._schedule = schedule
        self._reader = MemoryReader()
        self._audience = Audience()
        self._end = End(0, GENESIS, 0)
        self._queue: list[_Item] = []
        self._waiting_events = 0
        self._overflowed = False
        self._failure: str | None = None
        self._closing = False
        self._round_is_due = False

    @property
    def reader(self) -> MemoryReader:
        """Reads what is stored."""
        return self._reader

    @property
    def waiting_events(self) -> int:
        """Events appended and not yet settled."""
        return self._waiting_events

    def append(self, events: Sequence[NewEvent]) -> "asyncio.Future[Durable]":
        """See `EventLog.append`."""
        assert not self._closing, "append after close"
        future: asyncio.Future[Durable] = asyncio.get_running_loop().create_future()
        append = Append.of(future, events)
        if self._overflowed or self._waiting_events + len(events) > MAX_WAITING_EVENTS:
            self._overflowed = True
            self._put(Refuse.full(future))
        else:
            self._waiting_events += len(events)
            self._put(append)
        return future

    def resume(self) -> None:
        """See `EventLog.resume`."""
        self._overflowed = False
        self._put(_RESUME)

    def subscribe(self, listener: Listener) -> None:
        """See `EventLog.subscribe`."""
        self._audience.add(listener)

    async def close(self) -> None:
        """See `EventLog.close`. Closing twice is fine."""
        self._closing = True
        while self._queue:
            self._round()

    def _put(self, item: "_Item") -> None:
        self._queue.append(item)
        if not self._round_is_due:
            self._round_is_due = True
            schedule = self._schedule or asyncio.get_running_loop().call_soon
            schedule(self._round)

    def _round(self) -> None:
        """Take what waits, in order, as the writer thread of the SQLite log does."""
        self._round_is_due = False
        items, self._queue = self._queue, []
        for is_append, group in groupby(items, key=lambda item: isinstance(item, Append)):
            if is_append:
                self._store([item for item in group if isinstance(item, Append)])
                continue
            for item in group:
                if isinstance(item, Refuse):
                    self._tell((), [(item.future, LogUnavailable(item.why))])
                elif self._failure is not None:
                    self._recover()

    def _store(self, batch: list[Append]) -> None:
        self._waiting_events -= sum(len(append.events) for append in batch)
        if self._failure is None:
            verdict = judge(batch, self._end, self._reader.version, self._reader.find)
            outcome = self._fault([event for append in batch for event in append.events])
            if any(self._reader.holds(row.id) for row in verdict.rows):
                outcome = Outcome.LOST
            if outcome is not Outcome.LOST:
                self._reader.add(verdict.rows)
            if outcome is Outcome.STORED:
                self._end = verdict.end
                self._tell(tuple(verdict.rows), verdict.answers)
                return
            self._failure = f"the event log cannot store: outcome {outcome.value}"
        why = self._failure
        self._tell((), [(append.future, LogUnavailable(why)) for append in batch])

    def _recover(self) -> None:
        self._failure = None
        unheard = tuple(self._reader.read(self._end.pos, -1))
        if unheard:
            self._end = End(unheard[-1].pos, unheard[-1].hash, unheard[-1].at)
            self._tell(unheard, [])

    def _tell(self, rows: Durable, answers: Settlement) -> None:
        self._audience.tell(asyncio.get_running_loop(), rows, answers)


_RESUME = "resume"
_Item = Append | Refuse | str
