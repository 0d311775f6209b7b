"""What the bridge asks of an event log. One contract suite (`tests/contract`) holds for each."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from events.envelope import NewEvent, Recorded
from events.ids import Position

Durable = tuple[Recorded, ...]
Listener = Callable[[Durable], None]


class Head(NamedTuple):
    """Where the log ends."""

    pos: Position
    hash: bytes


class VersionConflict(Exception):
    """An append expected another version of a stream than it has. With one door this is our bug."""

    def __init__(self, stream: str, *, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream} is at version {actual}, the append expected {expected}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class LogUnavailable(Exception):
    """The log cannot store at the moment (disk full, read-only, broken); nothing was stored."""


class LogReader(Protocol):
    """Reading, from any thread; blocking; never inside the event loop."""

    def head(self) -> Head:
        """The last position and its hash; `(0, 32 zero bytes)` for an empty log."""
        ...

    def first(self) -> Position:
        """The first position still held (1, unless older events were pruned)."""
        ...

    def read(self, after: int, limit: int) -> list[Recorded]:
        """Up to `limit` events with `pos > after`, in order."""
        ...

    def read_stream(self, stream: str, after_ver: int = 0, limit: int = 10_000) -> list[Recorded]:
        """Events of one stream with `ver > after_ver`, in order."""
        ...

    def version(self, stream: str) -> int:
        """The last version of a stream; 0 when it has none."""
        ...

    def position_at(self, at: int) -> Position:
        """The last position whose event's time is at or before `at` (µs); 0 when there is none."""
        ...


class EventLog(Protocol):
    """Appending. Called on the event loop only; storing happens elsewhere."""

    def append(self, events: Sequence[NewEvent]) -> "asyncio.Future[Durable]":
        """Store events of any streams as one transaction; resolves when they are durable.

        Appends become durable in the order of the calls. Every stream's first event of an append
        must carry that stream's next version. An append whose ids are stored already resolves to
        what was stored (retry after an unknown outcome).

        The future fails with `VersionConflict` (this append alone) or `LogUnavailable` (this one
        and every one after it, until `resume`: later decisions rest on earlier ones).
        """
        ...

    def resume(self) -> None:
        """Accept appends again after `LogUnavailable`; the caller has folded its state anew."""
        ...

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` on the loop with each durable append batch, in position order, before
        the futures of that batch resolve."""
        ...

    @property
    def reader(self) -> LogReader:
        """A reader of the same log."""
        ...

    async def close(self) -> None:
        """Store what waits, then let go of the file."""
        ...
