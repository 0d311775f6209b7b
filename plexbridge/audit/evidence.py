"""Everything a log holds about one session: its own events, what its channel's relay did for it,
and which events led to which.

Knows how to find them without reading the whole log. Refuses to know what they mean. Blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from events.envelope import Recorded
from events.ids import SessionId, session_stream
from events.machine import CONNECT, ENDED
from plexbridge.audit.story import causes
from plexbridge.control.seals import Pruned
from plexbridge.log import rows as log_rows
from plexbridge.log.driver import Connection
from plexbridge.log.reader import SqliteReader

SESSION_EVENTS_MAX: Final = 100_000
"""More events than any session has: one a second for a day."""

CHANNEL_EVENTS_MAX: Final = 2_000
"""Of a channel while one session watched it: hundreds of failed attempts."""

BEFORE_EVENTS_MAX: Final = 100
"""Of a channel before a session joined its relay: back to its lease, or as far as this."""

AFTER_EVENTS_MAX: Final = 2_000
"""Events behind an end in which its clean-up is looked for: minutes of a busy bridge."""

IDS_AT_ONCE: Final = 500
"""Looked up in one statement; SQLite allows more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Of one session, as far as the log went at the moment asked about."""

    session: Sequence[Recorded]
    """At least its first event."""
    channel: Sequence[Recorded]
    """Its channel's: from the lease it used to where the relay let go, or went on for others."""
    following: Sequence[Recorded]
    """All events from its end to there; empty while it is open."""
    led_to_it: Sequence[Recorded]
    """What led to its last event, nearest first."""
    positions: dict[bytes, int]
    """Of events that caused one of these, by their ids."""


def gather(reader: SqliteReader, session: SessionId, *, up_to: int) -> Evidence | None:
    """The evidence of a session at a position; None where it had no events by then. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
        Pruned: the session began before the first event that is held.
    """
    stream = session_stream(session)
    own = reader.read_stream(stream, 0, SESSION_EVENTS_MAX)
    own = [row for row in own if row.pos <= up_to]
    if not own:
        return None
    if own[0].ver > 1:
        raise Pruned(own[0].pos)
    channel_id = own[0].payload["channel"]["id"]
    following: list[Recorded] = []
    if own[-1].dst == ENDED:
        behind = reader.read(own[-1].pos, AFTER_EVENTS_MAX)
        following = _until_let_go([row for row in behind if row.pos <= up_to], channel_id)
    last = following[-1].pos if following else own[-1].pos if own[-1].dst == ENDED else up_to
    channel = reader.query(lambda it: _channel(it, f"channel-{channel_id}", own[0].pos, last))
    return Evidence(
        session=own,
        channel=channel,
        following=following,
        led_to_it=causes(own[-1], lambda id_: _event(reader, id_)),
        positions=reader.query(lambda it: _positions(it, [*own, *channel])),
    )


def _until_let_go(behind: Sequence[Recorded], channel: str) -> list[Recorded]:
    """Up to where the relay closed its upstream; where the channel was watched again before its
    tuner was free, the relay went on for others, and none of it is this session's."""
    released = False
    for index, row in enumerate(behind):
        if row.type == CONNECT and row.payload["channel"]["id"] == channel:
            return list(behind[:index]) if released else []
        if row.stream == f"channel-{channel}":
            if released and row.type == "upstream_closed":
                return list(behind[: index + 1])
            released = released or row.type == "tuner_released"
    return list(behind) if released else []


def _channel(connection: Connection, stream: str, first: int, last: int) -> list[Recorded]:
    columns = f"SELECT {log_rows.COLUMNS} FROM events WHERE stream = ? AND"
    before = connection.execute(
        f"{columns} pos < ? ORDER BY ver DESC LIMIT ?", (stream, first, BEFORE_EVENTS_MAX)
    )
    found: list[Recorded] = []
    for row in map(Recorded._make, before):
        found.append(row)
        if row.type == "tuner_leased":
            break
    else:
        found = []  # which of them were this relay's is not known
    during = connection.execute(
        f"{columns} pos > ? AND pos <= ? ORDER BY ver LIMIT ?",
        (stream, first, last, CHANNEL_EVENTS_MAX),
    )
    return [*reversed(found), *map(Recorded._make, during)]


def _event(reader: SqliteReader, id_: bytes) -> Recorded | None:
    found = reader.query(lambda connection: log_rows.find(connection, (id_,)))
    return found[0] if found else None


def _positions(connection: Connection, rows: Sequence[Recorded]) -> dict[bytes, int]:
    """Of the causes of these events."""
    known = {row.id: int(row.pos) for row in rows}
    missing = [row.cause for row in rows if row.cause is not None and row.cause not in known]
    return known | positions_of(connection, missing)


def positions_of(connection: Connection, ids: Sequence[bytes]) -> dict[bytes, int]:
    """Where events stand, by their ids; those that the log does not hold are left out."""
    found: dict[bytes, int] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        marks = ",".join("?" * len(some))
        found |= {
            bytes(id_): int(pos)
            for id_, pos in connection.execute(
                f"SELECT id, pos FROM events WHERE id IN ({marks})", some
            )
        }
    return found
