"""The log as an axis of time: where it begins and ends, what is marked on it, and the moments to
step to.

Asks in SQL, off the event loop, by indexes: ends from the stored rows of sessions, everything else
from the few events that are marked. Refuses to know what a moment looks like; that is the
dashboard's fold.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from events.envelope import Recorded
from plexbridge.control.history import Asked, chart
from plexbridge.control.seals import first_moment
from plexbridge.log.driver import Connection
from plexbridge.log.reader import SqliteReader
from plexbridge.log.whole import whole

Row = dict[str, Any]

POINTS: Final = 240
"""Parts of the axis: a mark each every few pixels."""

STEPS_MAX: Final = 1_000
"""Events looked at for the one before: far more than one decision writes."""

_STARTS: Final = ("started", "stopping", "recovered")
_BEFORE: Final = """SELECT max(pos) FROM events
  WHERE pos < ? AND NOT (type = 'activity' AND src IS dst)"""
_AFTER: Final = """SELECT min(pos) FROM events
  WHERE pos > ? AND NOT (type = 'activity' AND src IS dst)"""


class Extent(NamedTuple):
    """What the log holds; Unix milliseconds. All 0 where it holds nothing."""

    first: int
    last: int
    position: int
    """Of the last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """A moment between the one before it and the one after: positions, None at either end."""

    before: int | None
    after: int | None
    happened: Recorded | None
    """The last event of the moment itself."""


def extent(connection: Connection) -> Extent:
    """From the first event held to the last."""
    rows = connection.execute(
        "SELECT at, pos FROM events WHERE pos IN "
        "((SELECT min(pos) FROM events), (SELECT max(pos) FROM events)) ORDER BY pos"
    )
    if not rows:
        return Extent(0, 0, 0)
    first, last = rows[0][0] // 1_000, rows[-1][0] // 1_000
    return Extent(first, max(first, last), rows[-1][1])


def marks(connection: Connection, since: int, until: int, failures: list[str]) -> Row:
    """For each part of a span (Unix ms), how many sessions ended well and badly, how often players
    were refused, how often the bridge started or stopped, and how many watched at once."""
    width_ms = max(1, -(-(until - since) // POINTS))
    found: Row = {name: [0] * POINTS for name in ("ended", "failed", "refused", "bridge")}
    bad = ",".join("?" * len(failures))
    for part, failed, count in connection.execute(
        f"SELECT (ended_at - ?) / ?, reason IN ({bad}), count(*) FROM sessions "
        "WHERE ended_at >= ? AND ended_at < ? GROUP BY 1, 2",
        (since, width_ms, *failures, since, until),
    ):
        found["failed" if failed else "ended"][part] += count
    for part, type_, count in connection.execute(
        "SELECT (at / 1000 - ?) / ?, type, count(*) FROM events "
        "WHERE type IN ('refused', 'started', 'stopping', 'recovered') AND at >= ? AND at < ? "
        "GROUP BY 1, 2",
        (since, width_ms, since * 1_000, until * 1_000),
    ):
        found["bridge" if type_ in _STARTS else "refused"][part] += count
    watched = chart(connection, Asked(since=since, until=until), points=POINTS)
    return {"from": since, "width_ms": width_ms, **found, "at_once": watched["at_once"]}


def neighbours(reader: SqliteReader, position: int) -> Neighbours:
    """The moments around that of a position, each at the end of a decision that changed something;
    bytes that went on flowing are none. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
    """
    first = reader.query(first_moment)
    before = position
    for _ in range(STEPS_MAX):
        found = _one(reader, _BEFORE, before)
        if found is None or found < first:
            before = first
            break
        before = found
        if whole(reader, before) < position:
            break
    after = _one(reader, _AFTER, position)
    here = reader.read(position - 1, 1) if position > 0 else []
    return Neighbours(
        before=before if position > first else None,
        after=None if after is None else whole(reader, after),
        happened=here[0] if here else None,
    )


def _one(reader: SqliteReader, sql: str, position: int) -> int | None:
    [(found,)] = reader.query(lambda connection: connection.execute(sql, (position,)))
    return None if found is None else int(found)


class Timeline:
    """Used on the event loop."""

    def __init__(
        self,
        reader: SqliteReader,
        save: Callable[[], Awaitable[None]],
        *,
        failures: frozenset[str],
    ) -> None:
        """`save` stores the sessions that changed last; `failures`: reasons that count as one."""
        self._reader = reader
        self._save = save
        self._failures = sorted(failures)

    async def extent(self) -> Extent:
        """What the log holds."""
        return await asyncio.to_thread(self._reader.query, extent)

    async def marks(self, since: int, until: int) -> Row:
        """What is marked in a span."""
        await self._save()
        return await asyncio.to_thread(
            self._reader.query, lambda it: marks(it, since, until, self._failures)
        )

    async def neighbours(self, position: int) -> Neighbours:
        """The moments to step to."""
        return await asyncio.to_thread(neighbours, self._reader, position)
