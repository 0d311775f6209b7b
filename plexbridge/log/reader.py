"""Reading the log's file: beside a running bridge, inside it, or with none running.

Knows how to read pages and end each read at once, so that no reader ever holds up a checkpoint.
Refuses to write anything.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from events.envelope import Recorded
from events.ids import Position
from plexbridge.log import rows, schema
from plexbridge.log.driver import Connection, open_reader
from plexbridge.log.port import Head

MAX_IDLE_CONNECTIONS = 4
"""Connections kept open between reads, some 2 MB of page cache each."""

_STREAM = f"""SELECT {rows.COLUMNS} FROM events
              WHERE stream = ? AND ver > ? ORDER BY ver LIMIT ?"""
_RUN_START = "SELECT max(pos) FROM clock_steps WHERE at <= ?"
_NEXT_RUN = "SELECT min(pos) FROM clock_steps WHERE pos > ?"
T = TypeVar("T")


class SqliteReader:
    """`LogReader` over a file; safe to use from any thread, each read on a connection of its own.

    Every method raises `StorageFailed` when the file cannot be read (any more).
    """

    def __init__(
        self, path: Path, open_connection: Callable[[Path], Connection] = open_reader
    ) -> None:
        """Open the log at `path` for reading. Blocks, as every method does.

        Raises:
            CannotOpen: there is no such file, or it is no log.
            NewerLog: a newer version of the bridge wrote it.
        """
        self._path = path
        self._open = open_connection
        self._idle: deque[Connection] = deque()
        connection = open_connection(path)
        try:
            schema.check(connection, path)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def query(self, ask: Callable[[Connection], T]) -> T:
        """Run `ask` on a reading connection: for tables beside the events."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open(self._path)
        try:
            answer = ask(connection)
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < MAX_IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def head(self) -> Head:
        """See `LogReader.head`; of a log whose events were all pruned, the last pruned one."""
        end = self.query(rows.end)
        return Head(Position(end.pos), end.hash)

    def base(self) -> Head:
        """What the chain starts from: the last pruned event, or `(0, 32 zero bytes)`."""
        return self.query(rows.base)

    def base_version(self, stream: str) -> int:
        """The last pruned version of a stream; 0 when none was."""
        found = self.query(
            lambda it: it.execute("SELECT ver FROM stream_base WHERE stream = ?", (stream,))
        )
        return int(found[0][0]) if found else 0

    def first(self) -> Position:
        """See `LogReader.first`."""
        return Position(self.base().pos + 1)

    def read(self, after: int, limit: int) -> list[Recorded]:
        """See `LogReader.read`. Ask for pages of some thousand: all of it is held in memory."""
        return self.query(lambda it: rows.after(it, after, limit))

    def read_stream(self, stream: str, after_ver: int = 0, limit: int = 10_000) -> list[Recorded]:
        """See `LogReader.read_stream`."""
        found = self.query(lambda it: it.execute(_STREAM, (stream, after_ver, limit)))
        return list(map(Recorded._make, found))

    def version(self, stream: str) -> int:
        """See `LogReader.version`."""
        return self.query(lambda it: rows.version(it, stream))

    def position_at(self, at: int) -> Position:
        """See `LogReader.position_at`. Some 25 look-ups, whatever the length of the log."""
        return self.query(lambda it: _position_at(it, at))

    def close(self) -> None:
        """Let go of the file; reads still running on other threads close theirs when they end."""
        while self._idle:
            self._idle.pop().close()


def _position_at(connection: Connection, at: int) -> Position:
    """Halve the last run of rising time that starts at or before `at`.

    A step of the clock starts a new run. Later runs start after `at` and only rise from there.
    """
    base = rows.base(connection).pos
    [(start,)] = connection.execute(_RUN_START, (at,))
    if start is None or start <= base:
        start = base + 1
    [(next_run,)] = connection.execute(_NEXT_RUN, (start,))
    low, high = start - 1, (next_run or rows.end(connection).pos + 1) - 1
    while low < high:
        middle = (low + high + 1) // 2
        [(then,)] = connection.execute("SELECT at FROM events WHERE pos = ?", (middle,))
        if then <= at:
            low = middle
        else:
            high = middle - 1
    return Position(low if low >= start else 0)
