"""A part of a log as a file from which everything in it can be folded again.

Knows which part can be written and what must come before it; the log writes the lines.
"""

from collections.abc import Iterable
from typing import Final

from events.envelope import Recorded
from plexbridge.audit.reading import Progress, recorded
from plexbridge.audit.redaction import Redaction
from plexbridge.control import stored
from plexbridge.control.folds import fold_on
from plexbridge.control.seals import Pruned, first_moment, seal_of
from plexbridge.log.exported import Before, Header
from plexbridge.log.exporting import LogBroken, Sink, Written, write_events
from plexbridge.log.reader import SqliteReader
from plexbridge.version import __version__
from projections.folding import Folding

_UNFOLDABLE: Final = (AssertionError, KeyError, TypeError, ValueError)


def export(
    reader: SqliteReader,
    sink: Sink,
    *,
    first: int | None = None,
    last: int | None = None,
    stream: str = "",
    types: Iterable[str] = (),
    redaction: Redaction | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write the events from `first` to `last`, both included; by default all there are. `stream`
    (a beginning) and `types` select among them: such a file can be read, and not be imported.
    Blocks.

    Raises:
        LogBroken: the log is not what was written; the file has no end.
        Pruned: it begins later than `first`.
        SealBroken, NewerLog: what a prune sealed cannot be read.
        StorageFailed: the log cannot be read.
    """
    floor, head = reader.query(first_moment), reader.head()
    first = floor + 1 if first is None else first
    if first <= floor:
        raise Pruned(floor + 1)
    last = head.pos if last is None else min(last, head.pos)
    chosen = tuple(sorted(types))
    before = None if first == 1 or stream or chosen else before_position(reader, first)
    at_end = reader.read(last - 1, 1)
    header = Header(
        version=__version__,
        node=at_end[0].node if at_end else "",
        first=first,
        last=last,
        before=_hash_before(reader, first),
        head=head,
        sealed=before is not None,
        redacted=redaction is not None,
        stream=stream,
        types=chosen,
    )
    if redaction is not None and before is not None:
        before = redaction.before(before)
    rows = recorded(reader, after=first - 1, until=last, progress=progress)
    rewrite = None if redaction is None else redaction.event
    return write_events(rows, header, sink, before=before, rewrite=rewrite)


def before_position(reader: SqliteReader, first: int) -> Before:
    """How things stood before the event at `first`.

    Raises:
        LogBroken: the events before it do not follow from each other.
    """
    folding = folded_to(reader, first - 1)
    return Before(seal_of(folding), dict(folding.decided.versions))


def folded_to(reader: SqliteReader, position: int) -> Folding:
    """The fold of everything up to a position. Blocks.

    Raises:
        LogBroken: it cannot be folded.
        Pruned: the log begins later.
    """
    folding = reader.query(lambda it: stored.nearest(it, position))
    try:
        return fold_on(folding, reader, position)
    except _UNFOLDABLE as fault:
        raise LogBroken(folding.position + 1, f"it cannot be folded ({fault!r})") from fault


def _hash_before(reader: SqliteReader, first: int) -> bytes:
    base = reader.base()
    if first == base.pos + 1:
        return base.hash
    before: list[Recorded] = reader.read(first - 2, 1)
    if not before or before[0].pos != first - 1:
        raise LogBroken(first - 1, "there is no such event")
    return before[0].hash
