"""Storing: batches into transactions, on the one connection that writes.

Knows the statements, what is remembered between two commits, and how to find the truth again
after a failure. Refuses to know threads, loops and futures' waiting.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar

from events.envelope import Recorded
from plexbridge.log import rows
from plexbridge.log.batch import Append, End, Verdict, judge
from plexbridge.log.driver import WAL_LIMIT_BYTES, Connection, wal_bytes
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import Durable

MAX_VERSIONS = 20_000
"""Stream versions kept in memory, some 4 MB; a stream not among them costs one look-up."""

CHECKPOINT_ROWS = 16_384
"""Rows after which the write-ahead log is copied into the database even in a busy hour."""

INSERT_ROWS = (128, 64, 32, 16, 8, 4, 2, 1)
"""Rows per statement. A statement lets go of the interpreter once, whatever its number of rows,
and each time it does the loop may keep the interpreter for a while."""

T = TypeVar("T")

_ONE_ROW = f"({', '.join('?' * len(Recorded._fields))})"
_INSERTS = {
    size: f"INSERT INTO events({rows.COLUMNS}) VALUES {', '.join([_ONE_ROW] * size)}"
    for size in INSERT_ROWS
}


class Writer:
    """The writing connection and what is known about the end of the log."""

    def __init__(self, path: Path, open_connection: Callable[[], Connection]) -> None:
        self._path = path
        self._open = open_connection
        self._connection = open_connection()
        self._end = rows.end(self._connection)
        self._versions: dict[str, int] = {}
        self._rows_since_checkpoint = 0

    @property
    def end(self) -> End:
        """The last end known to be durable."""
        return self._end

    def store(self, batch: Sequence[Append]) -> Verdict:
        """Store what fits of `batch`, durably, in one transaction.

        Raises:
            StorageFailed: nothing is acknowledged; whether it is stored only `recover` can tell.
        """
        connection = self._connection
        verdict = judge(
            batch, self._end, self._version, lambda ids: rows.find(self._connection, ids)
        )
        if verdict.rows:
            with _Transaction(connection):
                _insert(connection, verdict.rows)
                if verdict.clock_steps:
                    connection.executemany(
                        "INSERT INTO clock_steps(pos, at) VALUES (?, ?)", verdict.clock_steps
                    )
            self._end = verdict.end
            self._remember(verdict.versions)
            self._rows_since_checkpoint += len(verdict.rows)
        return verdict

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own.

        Raises:
            StorageFailed: and whatever `work` raises; its transaction was rolled back.
        """
        with _Transaction(self._connection):
            return work(self._connection)

    def recover(self) -> Durable:
        """Open the file anew after a failure, and find out what it holds.

        Returns the events that turned out to be stored though nobody was told so.

        Raises:
            StorageFailed: it still fails, or what was acknowledged is gone.
        """
        self._connection.close()
        self._connection = self._open()
        self._versions.clear()
        # What a failed commit left in the page cache may never reach the disk by itself; copied
        # into the database and synced, it is durable or this fails.
        [(busy, *_)] = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StorageFailed("SQLITE_BUSY", "a reader holds an old snapshot of the log")
        last = self._end
        if last.pos != rows.base(self._connection).pos:
            found = self._connection.execute("SELECT hash FROM events WHERE pos = ?", (last.pos,))
            if found != [(last.hash,)]:
                raise StorageFailed("SQLITE_CORRUPT", f"event {last.pos} was stored and is gone")
        unheard = tuple(rows.after(self._connection, last.pos, -1))
        self._end = rows.end(self._connection)
        return unheard

    def checkpoint_is_due(self) -> bool:
        """Whether the write-ahead log has grown enough to be copied in the middle of work."""
        return self._rows_since_checkpoint >= CHECKPOINT_ROWS

    def checkpoint(self, *, idle: bool) -> None:
        """Copy the write-ahead log into the database; cut it short when large and nobody waits.

        Raises:
            StorageFailed: the database cannot be written.
        """
        self._rows_since_checkpoint = 0
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if idle and wal_bytes(self._path) > WAL_LIMIT_BYTES:
            [(timeout_ms,)] = self._connection.execute("PRAGMA busy_timeout")
            # Never wait for a reader here: events would wait with us.
            self._connection.execute("PRAGMA busy_timeout=0")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute(f"PRAGMA busy_timeout={timeout_ms}")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _version(self, stream: str) -> int:
        known = self._versions.get(stream)
        if known is None:
            known = rows.version(self._connection, stream)
        return known

    def _remember(self, versions: dict[str, int]) -> None:
        kept = self._versions
        kept.update(versions)
        if len(kept) > MAX_VERSIONS:
            for stream in list(kept)[: len(kept) // 2]:
                del kept[stream]


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT; a failure in between, or of the commit, rolls back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _insert(connection: Connection, new: Sequence[Recorded]) -> None:
    start = 0
    for size, statement in _INSERTS.items():
        while len(new) - start >= size:
            connection.execute(statement, tuple(chain.from_iterable(new[start : start + size])))
            start += size
