"""Where a version of the projections is built beside the one in force, and how it takes its place.

A second pair of tables, which no other version of the program reads or writes. The switch is one
transaction: until then the old rows are untouched, afterwards they are gone. Refuses to know how
anything is folded.
"""

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from plexbridge.control import stored
from plexbridge.control.seals import first_moment
from plexbridge.control.stored import Tables
from plexbridge.log.driver import Connection
from projections import dashboard
from projections.dashboard import Dashboard

NEXT: Final = Tables("projections_next", "sessions_next")

_TABLES: Final = ("building", *NEXT)

_SCHEMA: Final = (
    "CREATE TABLE building(name TEXT PRIMARY KEY, version INTEGER NOT NULL, "
    "base INTEGER NOT NULL) STRICT",
    """CREATE TABLE projections_next(
      name TEXT NOT NULL, version INTEGER NOT NULL, pos INTEGER NOT NULL, at INTEGER NOT NULL,
      state BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY(name, version, pos)) STRICT""",
    f"CREATE TABLE sessions_next({stored.SESSIONS_COLUMNS}) STRICT",
)


class Moved(Exception):
    """The log begins elsewhere than when building began: what was built holds rows of sessions that
    were pruned since."""


class Building(NamedTuple):
    """A version that is being built."""

    name: str
    version: int
    base: int
    """The position behind which the log began when building did."""
    pos: int
    """How far it was stored; where a stopped one goes on."""


def under_way(connection: Connection) -> list[Building]:
    """What is being built, or was when a program stopped; by name."""
    if not _there(connection):
        return []
    rows = connection.execute(
        """SELECT name, version, base,
             coalesce((SELECT max(pos) FROM projections_next AS n
                       WHERE n.name = b.name AND n.version = b.version), base)
           FROM building AS b ORDER BY name"""
    )
    return [Building._make(row) for row in rows]


def begin(connection: Connection, wanted: Iterable[tuple[str, int]], base: int) -> None:
    """Begin anew with these names and versions; what an earlier attempt left goes."""
    abandon(connection)
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO building VALUES(?,?,?)", [(name, version, base) for name, version in wanted]
    )


def resumed(connection: Connection, head: int) -> Dashboard | None:
    """Where building this version of the dashboard goes on, if that was begun and what it left fits
    the log."""
    wanted = (dashboard.NAME, dashboard.VERSION)
    found = under_way(connection)
    if [one[:3] for one in found] != [(*wanted, first_moment(connection))]:
        return None
    rows = connection.execute(
        "SELECT pos, state, digest FROM projections_next WHERE name=? AND version=? "
        "ORDER BY pos DESC LIMIT 1",
        wanted,
    )
    for pos, state, digest in rows:
        if pos <= head and hashlib.sha256(state).digest() == digest:
            return Dashboard.load(bytes(state))
    return None


def switch(connection: Connection) -> None:
    """Put what was built in the place of what is in force. In one transaction, as all work of the
    writer is.

    Raises:
        Moved: it does not fit the log any more.
    """
    built = under_way(connection)
    assert built, "nothing was built"
    if built[0].base != first_moment(connection):
        raise Moved
    connection.executemany("DELETE FROM projections WHERE name=?", [(one.name,) for one in built])
    connection.execute(
        "INSERT INTO projections(name, version, pos, at, state, digest) "
        "SELECT name, version, pos, at, state, digest FROM projections_next ORDER BY pos"
    )
    connection.execute("DROP TABLE sessions")
    # Not to look at views: one that a person made over `sessions` would refuse the new name.
    connection.execute("PRAGMA legacy_alter_table=ON")
    connection.execute("ALTER TABLE sessions_next RENAME TO sessions")
    connection.execute("PRAGMA legacy_alter_table=OFF")
    for table in ("building", NEXT.projections):
        connection.execute(f"DROP TABLE {table}")
    stored.prepare(connection)  # the indexes went with the old table


def abandon(connection: Connection) -> None:
    """Drop what was built and is not in force."""
    for table in _TABLES:
        connection.execute(f"DROP TABLE IF EXISTS {table}")


def _there(connection: Connection) -> bool:
    [(count,)] = connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN (?, ?, ?)", _TABLES
    )
    return bool(count == len(_TABLES))
