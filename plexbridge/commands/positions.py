"""Moments as positions of a log, and what was decided on there."""

from events.ids import Position
from events.world import World
from plexbridge.commands.exits import NotUnderstood, Unfoldable
from plexbridge.commands.moments import Moment
from plexbridge.control import stored
from plexbridge.control.folds import fold_on
from plexbridge.log.reader import SqliteReader
from plexbridge.log.whole import whole


def position_of(reader: SqliteReader, moment: Moment) -> Position:
    """The last position at that moment; never one inside a decision.

    Raises:
        NotUnderstood: the log does not reach there.
    """
    first, head = reader.first(), reader.head().pos
    if moment.position is not None:
        if not first - 1 <= moment.position <= head:
            raise NotUnderstood(f"the log holds #{first} to #{head}, not #{moment.position}")
        return whole(reader, moment.position)
    assert moment.at is not None, "a moment is a position or a time"
    position = reader.position_at(moment.at)
    if position == 0 and first > 1:
        raise NotUnderstood(f"events before #{first} were pruned")
    return position


def decided_at(reader: SqliteReader, position: int) -> World:
    """The decided state after the event at a position.

    Raises:
        Unfoldable: the log does not hold together.
    """
    folding = reader.query(lambda connection: stored.nearest(connection, position))
    try:
        return fold_on(folding, reader, position).decided
    except (AssertionError, KeyError, TypeError, ValueError) as fault:
        raise Unfoldable(folding.position + 1, fault) from fault
