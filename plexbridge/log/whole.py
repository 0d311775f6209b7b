"""Positions that stand between two decisions: what somebody may be shown.

A decision is one append, and half of it was never the state of anything: a tuner leased to a
session that has not begun. A time never falls into an append, since its events share theirs; a
position may.
"""

from collections.abc import Iterator
from typing import Final

from events.appends import appends
from events.envelope import Recorded
from events.ids import Position
from plexbridge.log.port import LogReader

PAGE_EVENTS: Final = 64
"""Read at once: most decisions write one event, few more than five; a start that finds a full
house writes two for each session."""


def whole(reader: LogReader, position: int) -> Position:
    """The last position of the append that `position` stands in. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
        NewerLog, ValueError: an event of the same microsecond cannot be read.
    """
    here = reader.read(position - 1, 2)
    if len(here) < 2 or here[0].pos != position or here[1].at != here[0].at:
        return Position(position)
    start = _start(reader, here[0])
    for append in appends(_same_time(reader, start, here[0].at)):
        if append[-1].row.pos >= position:
            return append[-1].row.pos
    return Position(position)


def _start(reader: LogReader, row: Recorded) -> int:
    """Behind which the run of events of the same microsecond begins."""
    before = row.pos - 1
    while before > 0:
        after = max(0, before - PAGE_EVENTS)
        page = reader.read(after, before - after)
        earlier = [one.pos for one in page if one.at != row.at]
        if earlier:
            return earlier[-1]
        if not page or page[0].pos > after + 1:
            return page[0].pos - 1 if page else before  # what came before was pruned
        before = after
    return 0


def _same_time(reader: LogReader, after: int, at: int) -> Iterator[Recorded]:
    while page := reader.read(after, PAGE_EVENTS):
        for row in page:
            if row.at != at:
                return
            yield row
        after = page[-1].pos
