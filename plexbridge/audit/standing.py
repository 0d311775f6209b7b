"""How each projection stands: the version in force, the one that is being built, how far they are.

Reads what is stored, beside a running bridge or without one; folds nothing.
"""

from typing import Any, NamedTuple

import orjson

from events.ids import BRIDGE_STREAM
from plexbridge.control import beside, stored
from plexbridge.control.beside import Building
from plexbridge.control.stored import Kept
from plexbridge.log import rows
from plexbridge.log.driver import Connection
from plexbridge.log.reader import SqliteReader
from projections.lifting import CURRENT

_PARKED = """SELECT data FROM events WHERE stream = ?1 AND type = 'projection_parked'
  AND ver > coalesce((SELECT max(ver) FROM events WHERE stream = ?1 AND type = 'started'), 0)"""
"""Since the last start: each folds what it can anew."""


class Standing(NamedTuple):
    """One projection."""

    name: str
    known: int
    """The version of this release."""
    newest: Kept | None
    """The newest state of the version in force."""
    kept: int
    """States of that version."""
    building: Building | None
    head: int
    """Where the log ends."""
    parked: str | None
    """Where and why the running bridge, or the last one, stopped folding it."""

    @property
    def lag_events(self) -> int | None:
        """How far what is in force is behind the log; None where nothing is."""
        return None if self.newest is None else self.head - self.newest.pos

    @property
    def status(self) -> str:
        """In words."""
        if self.parked is not None:
            return f"parked {self.parked}"
        if self.building is not None:
            return f"being built: position {self.building.pos:,} of {self.head:,}"
        if self.newest is None:
            return "not kept yet"
        if self.newest.version != self.known:
            return f"the next start builds version {self.known}"
        return "behind" if self.lag_events else "level"

    def as_json(self) -> dict[str, Any]:
        """For programs. Times in Unix milliseconds."""
        newest, building = self.newest, self.building
        return {
            "name": self.name,
            "version": newest and newest.version,
            "pos": newest and newest.pos,
            "at": newest and newest.at // 1_000,
            "digest": newest and newest.digest.hex(),
            "lag_events": self.lag_events,
            "kept": self.kept,
            "building": building and {"version": building.version, "pos": building.pos},
            "head": self.head,
            "status": self.status,
        }


def standings(reader: SqliteReader) -> list[Standing]:
    """Of every projection, by name. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
    """
    return reader.query(_standings)


def _standings(connection: Connection) -> list[Standing]:
    connection.execute("BEGIN")  # all of one moment, though a bridge goes on
    try:
        head = rows.end(connection).pos
        building = {one.name: one for one in beside.under_way(connection)}
        parked = _parked(connection)
        kept = stored.kept(connection)
        found: list[Standing] = []
        for name in sorted(CURRENT):
            version = stored.in_force(connection, name)
            states = [one for one in kept if (one.name, one.version) == (name, version)]
            newest = states[-1] if states else None
            found.append(
                Standing(
                    name=name,
                    known=CURRENT[name],
                    newest=newest,
                    kept=len(states),
                    building=building.get(name),
                    head=head,
                    parked=parked.get(name),
                )
            )
        return found
    finally:
        connection.execute("COMMIT")


def _parked(connection: Connection) -> dict[str, str]:
    found = {}
    for (payload,) in connection.execute(_PARKED, (BRIDGE_STREAM,)):
        data = orjson.loads(payload)
        found[data["name"]] = f"at position {data['position']:,}: {data['fault']}"
    return found
