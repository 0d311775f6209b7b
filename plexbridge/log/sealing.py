"""The states at a cut: what the events before it came to, kept because they are gone.

Part of the log and not derived from it: behind a prune nothing else tells how things stood. Knows
where the states are kept and whether they are whole; refuses to know what is in them.
"""

import hashlib
from typing import NamedTuple

from plexbridge.log.driver import Connection

_TABLE = """CREATE TABLE IF NOT EXISTS sealed(
  name TEXT NOT NULL, version INTEGER NOT NULL, pos INTEGER NOT NULL, at INTEGER NOT NULL,
  state BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY(name, version)) STRICT"""


class SealBroken(Exception):
    """A sealed state is not what was sealed: nothing behind it can be folded."""

    def __init__(self, pos: int, name: str) -> None:
        super().__init__(f"the state {name!r} sealed at position {pos} was altered")
        self.pos = pos


class SealedState(NamedTuple):
    """One state, as bytes that only its fold understands."""

    name: str
    version: int
    state: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the state."""
        return hashlib.sha256(self.state).digest()


class Seal(NamedTuple):
    """Every state after the event at `pos`, whose time is `at` (µs)."""

    pos: int
    at: int
    states: tuple[SealedState, ...]


def read(connection: Connection) -> Seal | None:
    """The seal of this log; None where nothing was ever pruned.

    Raises:
        SealBroken: a state does not fit its digest, or they are of several positions.
        StorageFailed: the file cannot be read.
    """
    if not _is_there(connection):
        return None
    rows = connection.execute(
        "SELECT name, version, pos, at, state, digest FROM sealed ORDER BY name, version"
    )
    if not rows:
        return None
    seal = Seal(
        rows[0][2], rows[0][3], tuple(SealedState(row[0], row[1], bytes(row[4])) for row in rows)
    )
    for row, state in zip(rows, seal.states, strict=True):
        if (row[2], row[3]) != (seal.pos, seal.at) or state.digest != bytes(row[5]):
            raise SealBroken(row[2], state.name)
    return seal


def position(connection: Connection) -> int:
    """Where the seal stands; 0 without one. Before it no moment can be folded."""
    if not _is_there(connection):
        return 0
    [(pos,)] = connection.execute("SELECT coalesce(max(pos), 0) FROM sealed")
    return int(pos)


def write(connection: Connection, seal: Seal) -> None:
    """Keep this seal instead of the one before it. In a transaction of the caller's."""
    connection.execute(_TABLE)
    connection.execute("DELETE FROM sealed")
    connection.executemany(
        "INSERT INTO sealed(name, version, pos, at, state, digest) VALUES(?,?,?,?,?,?)",
        [(one.name, one.version, seal.pos, seal.at, one.state, one.digest) for one in seal.states],
    )


def _is_there(connection: Connection) -> bool:
    found = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'sealed'"
    )
    return bool(found)
