"""The tables of the log's file and how older files are brought up to date.

Knows every table the log itself owns, and the rules the database enforces by trigger whoever
writes to it. Refuses to know how rows get there. Versions count up in `PRAGMA user_version`;
within a major version of the bridge a migration only adds (DESIGN section 5).
"""

from collections.abc import Callable
from pathlib import Path

from sqlite_utils import Database

from events.codec import NewerLog
from plexbridge.log.driver import Connection, open_writer, sqlite3, storage_failed
from plexbridge.log.errors import CannotOpen

_EVENTS = """
CREATE TABLE events(
  pos INTEGER PRIMARY KEY,
  stream TEXT NOT NULL, ver INTEGER NOT NULL CHECK(ver >= 1),
  type TEXT NOT NULL, schema INTEGER NOT NULL,
  src TEXT, dst TEXT, machine TEXT,
  at INTEGER NOT NULL,
  id BLOB NOT NULL UNIQUE,
  corr BLOB, cause BLOB,
  actor TEXT NOT NULL, node TEXT NOT NULL, fence INTEGER NOT NULL,
  data BLOB NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32),
  UNIQUE(stream, ver)
) STRICT
"""

_TRIGGERS = (
    # Guards before the insert and not after it: INSERT OR REPLACE removes a row without firing a
    # delete trigger unless recursive_triggers is on for that very connection.
    """CREATE TRIGGER events_no_update BEFORE UPDATE ON events
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER events_no_delete BEFORE DELETE ON events
       WHEN OLD.pos > coalesce((SELECT max(up_to) FROM prune_permit), 0)
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER events_dense BEFORE INSERT ON events
       WHEN NEW.pos IS NOT 1 + coalesce(
         (SELECT max(pos) FROM events), (SELECT base_pos FROM log_meta))
       BEGIN SELECT RAISE(ABORT, 'position leaves a gap or is taken'); END""",
    """CREATE TRIGGER events_version BEFORE INSERT ON events
       WHEN NEW.ver IS NOT 1 + coalesce(
         (SELECT max(ver) FROM events WHERE stream = NEW.stream),
         (SELECT ver FROM stream_base WHERE stream = NEW.stream), 0)
       BEGIN SELECT RAISE(ABORT, 'version leaves a gap or is taken'); END""",
    """CREATE TRIGGER events_id BEFORE INSERT ON events
       WHEN EXISTS(SELECT 1 FROM events WHERE id = NEW.id)
       BEGIN SELECT RAISE(ABORT, 'id is taken'); END""",
)


def _first_schema(db: Database) -> None:
    db.execute(_EVENTS)
    db.table("log_meta").create(
        {"one": int, "first_pos": int, "base_pos": int, "base_hash": bytes},
        pk="one",
        not_null={"first_pos", "base_pos", "base_hash"},
        strict=True,
    )
    db.table("log_meta").insert({"one": 1, "first_pos": 1, "base_pos": 0, "base_hash": bytes(32)})
    # Last pruned version of a stream; the right to prune, empty outside a prune.
    db.table("stream_base").create(
        {"stream": str, "ver": int}, pk="stream", not_null={"ver"}, strict=True
    )
    db.table("prune_permit").create({"up_to": int}, not_null={"up_to"}, strict=True)
    # Positions whose event is earlier than the one before it: between two of them time only
    # rises, which is what lets a moment be found by halving.
    db.table("clock_steps").create({"pos": int, "at": int}, pk="pos", not_null={"at"}, strict=True)
    db.table("projections").create(
        {"name": str, "version": int, "pos": int, "at": int, "state": bytes, "digest": bytes},
        pk=("name", "version", "pos"),
        not_null={"at", "state", "digest"},
        strict=True,
    )
    for trigger in _TRIGGERS:
        db.execute(trigger)


MIGRATIONS: tuple[Callable[[Database], None], ...] = (_first_schema,)
"""In order; number n brings a file from version n to n + 1."""

SCHEMA_VERSION = len(MIGRATIONS)


def prepare(path: Path) -> None:
    """Create the file's tables, or bring them up to date, in one transaction.

    Raises:
        NewerLog: a newer version of the bridge wrote this file; it is left as it is.
        CannotOpen: it cannot be written, or holds something else than a log.
    """
    connection = open_writer(path)
    try:
        version = _version(connection, path)
        if version < SCHEMA_VERSION:
            _migrate(connection.raw, version)
    except sqlite3.Error as error:
        raise CannotOpen(path, str(storage_failed(error))) from error
    finally:
        connection.close()


def check(connection: Connection, path: Path) -> None:
    """Refuse a file that is no log or that a newer version wrote.

    Raises:
        NewerLog, CannotOpen: as said.
    """
    if _version(connection, path) == 0:
        raise CannotOpen(path, "it is not a PlexBridge event log")


def _version(connection: Connection, path: Path) -> int:
    [(version,)] = connection.execute("PRAGMA user_version")
    if version > SCHEMA_VERSION:
        raise NewerLog(f"the event log {path}", found=version, known=SCHEMA_VERSION)
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1"):
        raise CannotOpen(path, "it is a SQLite database, but not a PlexBridge event log")
    return int(version)


def _migrate(raw: sqlite3.Connection, version: int) -> None:
    raw.execute("BEGIN IMMEDIATE")
    try:
        db = Database(raw)
        for migration in MIGRATIONS[version:]:
            migration(db)
        raw.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        raw.execute("COMMIT")
    finally:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
