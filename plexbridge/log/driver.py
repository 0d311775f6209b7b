"""The one door to SQLite. Everything else speaks `Connection`, so another driver can stand in.

Knows which SQLite library is loaded, how a writing and a reading connection are set up, and how
its errors are named. Refuses to know any table. Only here is the module imported: two copies of
SQLite on one file in one process can drop each other's locks (sqlite.org/howtocorrupt).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import quote

from plexbridge.log.errors import CannotOpen, StorageFailed

if TYPE_CHECKING:
    import sqlite3 as sqlite3  # so that the form given out below is typed
else:
    try:
        import pysqlite3 as sqlite3
    except ImportError:
        import sqlite3

SQLITE_VERSION: tuple[int, ...] = sqlite3.sqlite_version_info
SAFE_VERSION = (3, 51, 3)
"""From here on a WAL reset during another connection's checkpoint no longer corrupts the file."""

BUSY_TIMEOUT_MS = 5_000
"""How long a statement waits for another connection's lock; only backups ever hold one."""

WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint."""

WRITER_CACHE_KIB = 8 * 1024
"""Page cache of the writer: the ends of some thousand streams, so that appending never reads."""

STATEMENT_CACHE = 128
"""Prepared statements kept per connection; the writer uses about 20."""

Durability = Literal["full", "relaxed"]
"""`full`: an acknowledged event survives a power cut; `relaxed`: only a crash of the bridge."""

_SYNCHRONOUS: dict[Durability, str] = {"full": "FULL", "relaxed": "NORMAL"}
_CANNOT_OPEN = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_NOTADB", "SQLITE_PERM")

Row = tuple[Any, ...]


class Connection(Protocol):
    """A connection in autocommit: transactions are begun and ended by statements."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and fetch all its rows: no cursor, and so no snapshot, stays open.

        Raises:
            StorageFailed: SQLite refused or failed it.
        """
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`.

        Raises:
            StorageFailed: SQLite refused or failed it.
        """
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        ...


class SqliteConnection:
    """`Connection` over the loaded SQLite module."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        """The module's own connection, for `sqlite-utils`."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return self.raw.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise storage_failed(error) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            self.raw.executemany(sql, rows)
        except sqlite3.Error as error:
            raise storage_failed(error) from error

    @property
    def in_transaction(self) -> bool:
        return self.raw.in_transaction

    def close(self) -> None:
        try:
            self.raw.close()
        except sqlite3.Error as error:
            raise storage_failed(error) from error


def storage_failed(error: sqlite3.Error) -> StorageFailed:
    """The port's form of an error of the SQLite module."""
    return StorageFailed(getattr(error, "sqlite_errorname", type(error).__name__), str(error))


def wal_reset_safe(version: tuple[int, ...] = SQLITE_VERSION) -> bool:
    """Whether this SQLite has the fix of the WAL-reset bug (3.51.3)."""
    return version >= SAFE_VERSION


def version_warning(version: tuple[int, ...] = SQLITE_VERSION) -> str | None:
    """What to tell a person about the loaded SQLite; None when there is nothing to tell."""
    if wal_reset_safe(version):
        return None
    found, safe = (".".join(map(str, numbers)) for numbers in (version, SAFE_VERSION))
    return (
        f"SQLite {found} can damage a database that two programs write at once (fixed in {safe}): "
        "let nothing but PlexBridge write or checkpoint plexbridge.db, or install pysqlite3"
    )


def open_writer(path: Path, durability: Durability = "full") -> SqliteConnection:
    """The writing connection. It alone checkpoints. Usable from any one thread at a time.

    Raises:
        CannotOpen: the directory or file cannot be written, or the file is no SQLite database.
    """
    # Before the first page is written; afterwards it has no effect but a write.
    new = () if path.exists() and path.stat().st_size else ("auto_vacuum=INCREMENTAL",)
    connection = _open(path, "rwc")
    try:
        for pragma in (
            *new,
            "journal_mode=WAL",
            f"synchronous={_SYNCHRONOUS[durability]}",
            "foreign_keys=ON",
            "recursive_triggers=ON",
            "temp_store=MEMORY",
            f"journal_size_limit={WAL_LIMIT_BYTES}",
            "wal_autocheckpoint=0",
            f"cache_size=-{WRITER_CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except StorageFailed as failed:
        connection.close()
        raise CannotOpen(path, _advice(failed, path)) from failed
    return connection


def open_reader(path: Path) -> SqliteConnection:
    """A reading connection, beside a running bridge or without one. It never checkpoints.

    A database in a directory that cannot be written opens too, as long as nothing is left to
    recover beside it.

    Raises:
        CannotOpen: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise CannotOpen(path, "there is no such file")
    connection = _open(path, "ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except StorageFailed as failed:
        connection.close()
        if failed.code.startswith("SQLITE_CANTOPEN") and not _wal(path).exists():
            return _open(path, "ro&immutable=1")
        raise CannotOpen(path, _advice(failed, path)) from failed
    return connection


def copy_database(source: Path, target: Path) -> None:
    """A copy of a database as it is at one instant, beside whoever writes it: by SQLite's backup,
    which reads one snapshot and holds nobody up. The copy is one file. Blocks.

    Raises:
        CannotOpen: `source` cannot be read, or `target` not be made.
        StorageFailed: one of them failed on the way.
    """
    reading = open_reader(source)
    try:
        writing = _open(target, "rwc")
        try:
            reading.raw.backup(writing.raw)
            writing.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise storage_failed(error) from error
        finally:
            writing.close()
    finally:
        reading.close()


def wal_bytes(path: Path) -> int:
    """Size of the write-ahead log beside the database, in bytes."""
    try:
        return _wal(path).stat().st_size
    except FileNotFoundError:
        return 0


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _open(path: Path, mode: str) -> SqliteConnection:
    try:
        raw = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_MS / 1_000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENT_CACHE,
        )
    except sqlite3.Error as error:
        raise CannotOpen(path, _advice(storage_failed(error), path)) from error
    connection = SqliteConnection(raw)
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _advice(failed: StorageFailed, path: Path) -> str:
    if failed.code.startswith("SQLITE_NOTADB"):
        return "it is not a SQLite database"
    if failed.code.startswith(_CANNOT_OPEN):
        return f"{failed}; check that {path.parent} exists and that this user may write there"
    return str(failed)
