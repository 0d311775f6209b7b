"""How things stand when a bridge starts: what was stored, and the tail of the log folded onto it.

The decided state is always there at the end, whatever it takes, because nothing can be given
without it. The dashboard is there where this version has stored one. Everything here blocks.
"""

from typing import NamedTuple

from plexbridge.control import stored
from plexbridge.control.folds import fold_on, recorded
from plexbridge.control.seals import beginning
from plexbridge.control.stored import State
from plexbridge.log.driver import Connection
from plexbridge.log.errors import StorageFailed
from plexbridge.log.reader import SqliteReader
from projections import dashboard, world_state
from projections.dashboard import Dashboard
from projections.folding import Folding
from projections.world_state import Decided


class Loaded(NamedTuple):
    """How things stand before anybody is answered."""

    head: int
    decided: Decided
    recast: list[State]
    """Where the decided state had to be folded anew: everything that is to be kept of it."""
    shown: Dashboard | None
    """None where it is not stored, or by another version."""
    fault: Exception | None
    """Why the dashboard stopped before the head."""


def load(reader: SqliteReader) -> Loaded:
    """Everything up to the head of the log.

    Raises:
        StorageFailed: the log cannot be read.
        SealBroken, NewerLog: what it begins with cannot be read, and is needed.
        Exception: whatever the fold of the decided state raises.
    """
    head = reader.head().pos
    decided, recast = _decided(reader, head)
    shown, fault = _shown(reader, head)
    return Loaded(head, decided, recast, shown, fault)


def dashboard_to(reader: SqliteReader, position: int) -> Dashboard:
    """The dashboard of a position.

    Raises:
        StorageFailed: the log cannot be read.
        Pruned, SealBroken, NewerLog: the position cannot be told any more.
    """
    shown = reader.query(lambda it: stored.nearest_shown(it, position))
    return fold_on(shown or reader.query(beginning).shown, reader, position)


def level_near(reader: SqliteReader, position: int) -> Folding:
    """Both folds after one and the same event, at or before a position and near to it; where what
    lies between two stored states cannot be folded, as the log begins.

    Raises:
        StorageFailed: the log cannot be read.
        Pruned, SealBroken, NewerLog: the position cannot be told any more.
    """
    folding = reader.query(lambda it: stored.nearest(it, position))
    try:
        return fold_on(folding, reader, max(folding.shown.position, folding.ground.position))
    except (AssertionError, KeyError, TypeError, ValueError):
        return reader.query(beginning)


def take(connection: Connection, recast: list[State]) -> None:
    """Put a decided state that was folded anew in the place of those of other versions."""
    stored.save(connection, recast, ())
    stored.retire(connection, world_state.NAME, world_state.VERSION)


def _decided(reader: SqliteReader, head: int) -> tuple[Decided, list[State]]:
    there = reader.query(lambda it: stored.nearest_decided(it, head))
    if there is not None:
        return fold_on(there, reader, head), []
    decided, recast = reader.query(beginning).ground, list[State]()
    for event in recorded(reader, decided.position, head):
        assert event.pos == decided.position + 1, f"event {event.pos} follows {decided.position}"
        decided.fold(event)
        if event.pos == head or event.pos % stored.KEEP_EVERY == 0:
            recast.append(State.decided(decided))
    return decided, recast


def _shown(reader: SqliteReader, head: int) -> tuple[Dashboard | None, Exception | None]:
    if reader.query(lambda it: stored.in_force(it, dashboard.NAME)) != dashboard.VERSION:
        return (None if head else Dashboard()), None
    shown = reader.query(lambda it: stored.nearest_shown(it, head))
    if shown is None:
        return None, None
    try:
        return fold_on(shown, reader, head), None
    except StorageFailed:
        raise
    except Exception as fault:
        return dashboard_to(reader, shown.position), fault
