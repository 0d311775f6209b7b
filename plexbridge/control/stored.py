"""Where folds are kept: states with their positions, and one row per session.

State and rows of one position are written in one transaction, so a crash leaves either all of it or
none. The tables are derived: dropping them loses nothing.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from plexbridge.control.seals import Pruned, beginning, first_moment
from plexbridge.log.driver import Connection
from projections.folding import Folding, Stored

KEEP_EVERY: Final = 10_000
"""Events between two states that are kept, so that any moment is folded from one nearby: within
100 ms (DESIGN section 9; measured 8 µs an event where sessions come and go all the time)."""

STATES_KEPT: Final = 1_000
"""Kept states at most; beyond it the oldest go."""

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS sessions(
      id TEXT PRIMARY KEY, state TEXT NOT NULL, channel TEXT NOT NULL, guide_number TEXT NOT NULL,
      client TEXT NOT NULL, reason TEXT, detail TEXT, started_at INTEGER NOT NULL,
      ended_at INTEGER, bytes INTEGER NOT NULL, document TEXT NOT NULL) STRICT""",
    "CREATE INDEX IF NOT EXISTS sessions_started ON sessions(started_at)",
    "CREATE INDEX IF NOT EXISTS sessions_ended ON sessions(ended_at, id)",
    # What is marked on the axis of time: few among many events. Additive: a release that does not
    # know this index keeps it up to date all the same.
    """CREATE INDEX IF NOT EXISTS events_marked ON events(at, type)
      WHERE type IN ('refused', 'started', 'stopping', 'recovered')""",
)


class Kept(NamedTuple):
    """A stored state, as it is listed."""

    name: str
    version: int
    pos: int
    at: int
    digest: bytes


def prepare(connection: Connection) -> None:
    """Make the tables that are not there."""
    for statement in SCHEMA:
        connection.execute(statement)


def save(
    connection: Connection, states: Stored, pos: int, at: int, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Store the states of one position, and the rows of the sessions that changed."""
    connection.executemany(
        "INSERT OR REPLACE INTO sessions VALUES(?,?,?,?,?,?,?,?,?,?,?)",
        [
            (
                row["id"],
                row["state"],
                row["channel"]["id"],
                row["channel"]["guide_number"],
                row["client"]["address"],
                row["reason"],
                row["detail"],
                row["started_at"],
                row["ended_at"],
                row["bytes"],
                orjson.dumps(row).decode(),
            )
            for row in rows
        ],
    )
    for (name, version), state in states.items():
        # Of the states since the last kept one only the newest is needed.
        connection.execute(
            "DELETE FROM projections WHERE name=? AND version=? AND pos > ?",
            (name, version, pos // KEEP_EVERY * KEEP_EVERY),
        )
        connection.execute(
            "INSERT OR REPLACE INTO projections(name, version, pos, at, state, digest) "
            "VALUES(?,?,?,?,?,?)",
            (name, version, pos, at, state, hashlib.sha256(state).digest()),
        )
        connection.execute(
            "DELETE FROM projections WHERE name=? AND version=? AND pos <= ?",
            (name, version, pos - STATES_KEPT * KEEP_EVERY),
        )


def clear(connection: Connection) -> None:
    """Forget everything derived."""
    connection.execute("DELETE FROM projections")
    connection.execute("DELETE FROM sessions")


def nearest(connection: Connection, pos: int) -> Folding:
    """The newest stored state at or before a position; where there is none, the one the log begins
    with. One whose digest does not fit is damaged, and an earlier one does as well.

    Raises:
        Pruned: the position lies before the cut of a prune.
        SealBroken, NewerLog: what was sealed at the cut cannot be read.
    """
    first = first_moment(connection)
    if pos < first:
        raise Pruned(first + 1)
    for (found,) in connection.execute(
        "SELECT DISTINCT pos FROM projections WHERE pos BETWEEN ? AND ? ORDER BY pos DESC LIMIT 5",
        (first, pos),
    ):
        folding = Folding.load(
            {
                (name, version): bytes(state)
                for name, version, state, digest in connection.execute(
                    "SELECT name, version, state, digest FROM projections WHERE pos=?", (found,)
                )
                if hashlib.sha256(state).digest() == digest
            }
        )
        if folding is not None:
            return folding
    return beginning(connection)


def forget(connection: Connection, after: int, up_to: int) -> None:
    """Drop what is kept of the events in `(after, up_to]`, which are about to go: states, and the
    rows of sessions that ended there."""
    connection.execute("DELETE FROM projections WHERE pos < ?", (up_to,))
    connection.execute(
        "DELETE FROM sessions WHERE id IN (SELECT substr(stream, 9) FROM events "
        "WHERE pos > ? AND pos <= ? AND dst = 'ended' AND stream GLOB 'session-*')",
        (after, up_to),
    )


def kept(connection: Connection) -> list[Kept]:
    """All stored states."""
    rows = connection.execute(
        "SELECT name, version, pos, at, digest FROM projections ORDER BY name, version, pos"
    )
    return [Kept(name, version, pos, at, bytes(digest)) for name, version, pos, at, digest in rows]


def find_session(connection: Connection, session: str) -> dict[str, Any] | None:
    """One session's document."""
    rows = connection.execute("SELECT document FROM sessions WHERE id=?", (session,))
    return orjson.loads(rows[0][0]) if rows else None


def find_sessions(
    connection: Connection, where: Mapping[str, str | int], limit: int
) -> list[dict[str, Any]]:
    """Documents of the sessions that match, the newest first.

    `where`: any of `state, channel, client, since` (Unix ms) and `after` (a session's id).
    """
    conditions = {
        "state": "state = ?",
        "channel": "(channel = ? OR guide_number = ?)",
        "client": "client = ?",
        "since": "started_at >= ?",
        "after": "id < ?",
    }
    clauses: list[str] = []
    values: list[str | int] = []
    for name, value in where.items():
        clauses.append(conditions[name])
        values += [value] * conditions[name].count("?")
    filtered = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = connection.execute(
        f"SELECT document FROM sessions {filtered} ORDER BY id DESC LIMIT ?", (*values, limit)
    )
    return [orjson.loads(row[0]) for row in rows]


def matches(row: Mapping[str, Any], where: Mapping[str, str | int]) -> bool:
    """Whether a document is one that `find_sessions` looks for: for those not stored yet."""
    channel = row["channel"]
    is_so = {
        "state": row["state"] == where.get("state"),
        "channel": where.get("channel") in (channel["id"], channel["guide_number"]),
        "client": row["client"]["address"] == where.get("client"),
        "since": row["started_at"] >= int(where.get("since", 0)),
        "after": row["id"] < str(where.get("after", "")),
    }
    return all(is_so[name] for name in where)
