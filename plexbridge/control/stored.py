"""Where folds are kept: states with their positions, and one row per session.

A state and the rows of its position are written in one transaction, so a crash leaves either all of
it or none. The tables are derived: dropping them loses nothing. `beside` has a second pair of them,
for a version that is being built.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Self, TypeVar

import orjson

from plexbridge.control.seals import Pruned, beginning, first_moment
from plexbridge.log.driver import Connection
from projections import dashboard, world_state
from projections.dashboard import Dashboard
from projections.folding import Folding
from projections.world_state import Decided

KEEP_EVERY: Final = 5_000
"""Events between two states that are kept, so that any moment is folded from one nearby: within
100 ms (DESIGN section 9; measured 8 to 11 µs an event where sessions come and go all the time)."""

STATES_KEPT: Final = 2_000
"""Kept states at most; beyond it the oldest go."""

STATES_LOOKED_AT: Final = 5
"""Of those that stand nearest: where the newest is damaged, the one before it serves as well."""

SESSIONS_COLUMNS: Final = """id TEXT PRIMARY KEY, state TEXT NOT NULL, channel TEXT NOT NULL,
  guide_number TEXT NOT NULL, client TEXT NOT NULL, reason TEXT, detail TEXT,
  started_at INTEGER NOT NULL, ended_at INTEGER, bytes INTEGER NOT NULL, document TEXT NOT NULL"""

SCHEMA: Final = (
    f"CREATE TABLE IF NOT EXISTS sessions({SESSIONS_COLUMNS}) STRICT",
    "CREATE INDEX IF NOT EXISTS sessions_started ON sessions(started_at)",
    "CREATE INDEX IF NOT EXISTS sessions_ended ON sessions(ended_at, id)",
    # What is marked on the axis of time: few among many events. Additive: a release that does not
    # know this index keeps it up to date all the same.
    """CREATE INDEX IF NOT EXISTS events_marked ON events(at, type)
      WHERE type IN ('refused', 'started', 'stopping', 'recovered')""",
)


Fold = TypeVar("Fold", Dashboard, Decided)


class Kept(NamedTuple):
    """A stored state, as it is listed."""

    name: str
    version: int
    pos: int
    at: int
    digest: bytes


class State(NamedTuple):
    """A state of today's version, to be stored."""

    name: str
    version: int
    pos: int
    at: int
    state: bytes

    @classmethod
    def shown(cls, fold: Dashboard) -> Self:
        """Of what is shown."""
        return cls(dashboard.NAME, dashboard.VERSION, fold.position, fold.at, fold.dump())

    @classmethod
    def decided(cls, fold: Decided) -> Self:
        """Of what is decided on."""
        return cls(world_state.NAME, world_state.VERSION, fold.position, fold.at, fold.dump())


class Tables(NamedTuple):
    """Where states and rows stand."""

    projections: str
    sessions: str


IN_FORCE: Final = Tables("projections", "sessions")


def prepare(connection: Connection) -> None:
    """Make the tables that are not there."""
    for statement in SCHEMA:
        connection.execute(statement)


def save(
    connection: Connection,
    states: Iterable[State],
    rows: Iterable[Mapping[str, Any]],
    tables: Tables = IN_FORCE,
) -> None:
    """Store states, and the rows of the sessions that changed."""
    connection.executemany(
        f"INSERT OR REPLACE INTO {tables.sessions} VALUES(?,?,?,?,?,?,?,?,?,?,?)",
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
    for name, version, pos, at, state in states:
        # Of the states since the last kept one only the newest is needed.
        connection.execute(
            f"DELETE FROM {tables.projections} WHERE name=? AND version=? AND pos > ?",
            (name, version, pos // KEEP_EVERY * KEEP_EVERY),
        )
        connection.execute(
            f"INSERT OR REPLACE INTO {tables.projections}(name, version, pos, at, state, digest) "
            "VALUES(?,?,?,?,?,?)",
            (name, version, pos, at, state, hashlib.sha256(state).digest()),
        )
        connection.execute(
            f"DELETE FROM {tables.projections} WHERE name=? AND version=? AND pos <= ?",
            (name, version, pos - STATES_KEPT * KEEP_EVERY),
        )


def retire(connection: Connection, name: str, version: int) -> None:
    """Drop the states of every other version of a projection."""
    connection.execute("DELETE FROM projections WHERE name=? AND version<>?", (name, version))


def in_force(connection: Connection, name: str) -> int | None:
    """The version that was stored last: that of the rows that stand beside it. Programs that did
    not build beside left states of other versions behind."""
    rows = connection.execute(
        "SELECT version FROM projections WHERE name=? ORDER BY rowid DESC LIMIT 1", (name,)
    )
    return int(rows[0][0]) if rows else None


def nearest(connection: Connection, pos: int) -> Folding:
    """The newest stored states at or before a position; where there is none, those that the log
    begins with.

    Raises:
        Pruned: the position lies before the cut of a prune.
        SealBroken, NewerLog: what was sealed at the cut cannot be read.
    """
    shown = nearest_shown(connection, pos)
    decided = nearest_decided(connection, pos)
    if shown is not None and decided is not None:
        return Folding(shown, decided)
    first = beginning(connection)
    return Folding(shown or first.shown, decided or first.ground)


def nearest_shown(connection: Connection, pos: int) -> Dashboard | None:
    """The newest stored dashboard of this version at or before a position.

    Raises:
        Pruned: the position lies before the cut of a prune.
    """
    return _nearest(
        connection,
        (dashboard.NAME, dashboard.VERSION),
        pos,
        lambda state, found, at: Dashboard.load(state),
    )


def nearest_decided(connection: Connection, pos: int) -> Decided | None:
    """The newest stored decided state of this version at or before a position.

    Raises:
        Pruned: the position lies before the cut of a prune.
    """
    return _nearest(
        connection,
        (world_state.NAME, world_state.VERSION),
        pos,
        lambda state, found, at: Decided.load(state, position=found, at=at),
    )


def _nearest(
    connection: Connection,
    wanted: tuple[str, int],
    pos: int,
    load: Callable[[bytes, int, int], Fold],
) -> Fold | None:
    """One whose digest does not fit is damaged, one that says another position was moved: an
    earlier one does as well."""
    first = first_moment(connection)
    if pos < first:
        raise Pruned(first + 1)
    for (found,) in connection.execute(
        "SELECT pos FROM projections WHERE name=? AND version=? AND pos BETWEEN ? AND ? "
        "ORDER BY pos DESC LIMIT ?",
        (*wanted, first, pos, STATES_LOOKED_AT),
    ):
        for at, state, digest in connection.execute(
            "SELECT at, state, digest FROM projections WHERE name=? AND version=? AND pos=?",
            (*wanted, found),
        ):
            if hashlib.sha256(state).digest() == digest:
                fold = load(bytes(state), found, at)
                if fold.position == found:
                    return fold
    return None


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
