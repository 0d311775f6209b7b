"""`lineup.db`: the last whole lineup, so that a provider that is down at start takes nothing away,
and the guide numbers that were given, so that they stay.

A file of its own beside the log, readable by its owner alone: it holds upstream URLs, which are
logins, and is never exported. What it holds can be had again from the providers, but for the
numbers; it is saved whole or not at all. A lineup is stored packed, as a bridge holds it: the
process that makes one has the time, the one that serves it has not. Blocking: for threads.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlite_utils import Database

from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.lineup.given_numbers import GivenNumbers
from plexbridge.lineup.packing import Parts
from plexbridge.lineup.store_faults import faults_named
from plexbridge.lineup.stored_parts import Damaged, Stored, read_given, read_rows, rows_of
from plexbridge.log.driver import SqliteConnection, open_reader, open_writer

SCHEMA = 1
"""Kept in `user_version`. Within a major version changes are additive."""

_MODE = 0o600
_REMEDY = (
    "check the data directory, or move the file away: the playlists are read again, and what was "
    "edited by hand is lost"
)

_TABLE = "packed"
_INSERT = f"INSERT INTO {_TABLE} (place, name, body) VALUES (?, ?, ?)"
_SELECT = f"SELECT name, body FROM {_TABLE} WHERE name LIKE ? ORDER BY place"
_BEFORE = ("channels", "upstreams", "listed")
"""Tables of forms that no release had; they can be had again."""


class LineupStore:
    """Saves and loads. Each call opens the file and lets go of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Lineup:
        """What was saved last; the empty lineup when nothing ever was.

        Raises:
            StoreUnusable: there is something, and it cannot be read.
        """
        with self._reading() as connection:
            if connection is None:
                return Lineup.EMPTY
            return read_rows(_rows(connection)).lineup

    def given(self) -> GivenNumbers:
        """The numbers that were given.

        Raises:
            StoreUnusable: there is something, and it cannot be read.
        """
        with self._reading() as connection:
            if connection is None:
                return GivenNumbers()
            return read_given(_rows(connection, "given_%"))

    def mark(self) -> str | None:
        """What tells the stored lineup from another one; None when there is none.

        Raises:
            StoreUnusable: there is something, and it cannot be read.
        """
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute("SELECT digest FROM lineup")
            return str(rows[0][0]) if rows else None

    def replace(self, parts: Parts, mark: str, given: GivenNumbers) -> None:
        """Replace what is stored, in one transaction. `parts`: in guide order.

        Raises:
            StoreUnusable: nothing was changed.
        """
        with faults_named(self._path, _REMEDY):
            # Made by us first: SQLite would make it readable by everyone.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, _MODE))
            os.chmod(self._path, _MODE)
            with closing(open_writer(self._path)) as connection:
                self._check_version(connection)
                _create_tables(connection)
                _replace(connection, rows_of(parts, given), mark)

    @contextmanager
    def _reading(self) -> Iterator[SqliteConnection | None]:
        """The file, open; None where no lineup was ever stored: it is new, or holds edits only."""
        if not self._path.exists():
            yield None
            return
        with faults_named(self._path, _REMEDY), closing(open_reader(self._path)) as connection:
            try:
                stored = self._check_version(connection) and _has_lineup(connection)
                yield connection if stored else None
            except Damaged as damaged:
                raise StoreUnusable(str(self._path), str(damaged), _REMEDY) from damaged

    def _check_version(self, connection: SqliteConnection) -> int:
        version = int(connection.execute("PRAGMA user_version")[0][0])
        if version > SCHEMA:
            raise StoreUnusable(
                str(self._path),
                "a newer release of the bridge wrote it",
                "run that release, or move the file away: the playlists are read again",
            )
        return version


def _has_lineup(connection: SqliteConnection) -> bool:
    asked = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return bool(connection.execute(asked, (_TABLE,)))


def _create_tables(connection: SqliteConnection) -> None:
    database = Database(connection.raw)
    if database.table(_TABLE).exists():
        return
    for name in _BEFORE:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    columns: dict[str, type] = {"place": int, "name": str, "body": bytes}
    database.table(_TABLE).create(columns, pk="place", if_not_exists=True)
    database.table("lineup").create({"digest": str}, pk="digest", if_not_exists=True)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _replace(connection: SqliteConnection, rows: Iterator[Stored], mark: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in (_TABLE, "lineup"):
            connection.execute(f"DELETE FROM {table}")
        connection.executemany(_INSERT, ((place, *row) for place, row in enumerate(rows)))
        connection.execute("INSERT INTO lineup (digest) VALUES (?)", (mark,))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _rows(connection: SqliteConnection, like: str = "%") -> list[Stored]:
    return [(name, body) for name, body in connection.execute(_SELECT, (like,))]
