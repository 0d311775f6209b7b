"""What commands show that is folded from the log: sessions, and the dashboard of a moment.

Beside a running bridge the stored folds lag behind by what was not saved yet: whatever is shown
here is folded on to the head of the log.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from events.envelope import Recorded
from events.ids import Position, SessionId
from events.machine import ENDED
from events.policy import Policy
from plexbridge.commands.exits import Unfoldable
from plexbridge.control import stored
from plexbridge.control.folds import fold_on
from plexbridge.log.driver import Connection
from plexbridge.log.reader import SqliteReader
from projections.folding import Folding
from projections.live import document
from projections.words import explain

Document = dict[str, Any]

CHANGED_SINCE_MAX = 1_000
"""Saved sessions that may have left the state asked for since they were saved: a save follows
every two seconds, so that far fewer have."""

T = TypeVar("T")


def dashboard_at(reader: SqliteReader, position: Position) -> Document:
    """The dashboard at a position: the document of `/api/dashboard?at=`.

    Raises:
        Unfoldable: the log does not hold together.
    """
    return _fold_on(_nearest(reader, position), reader, position).shown.document()


def session_documents(
    reader: SqliteReader, *, state: str | None = None, limit: int
) -> list[Document]:
    """The newest `limit` sessions, the oldest of them first; only those in `state`, if given.

    Raises:
        Unfoldable: the log does not hold together.
    """
    where = {} if state is None else {"state": state}
    start = _nearest(reader, reader.head().pos)
    saved = reader.query(
        lambda it: _saved(it, lambda: stored.find_sessions(it, where, limit + CHANGED_SINCE_MAX))
    )
    by_id = {row["id"]: row for row in saved or ()} | _changed_since(start, reader)
    found = [row for _, row in sorted(by_id.items()) if state in (None, row["state"])]
    return found[-limit:]


def session_document(reader: SqliteReader, session: SessionId) -> Document | None:
    """One session, open or ended; None when it has none.

    Raises:
        Unfoldable: the log does not hold together.
    """
    start = _nearest(reader, reader.head().pos)
    saved = reader.query(lambda it: _saved(it, lambda: stored.find_session(it, session)))
    return _changed_since(start, reader).get(session, saved)


def why(last: Recorded, client: str) -> str:
    """One sentence on why a session is where its last event left it."""
    data = last.payload
    if "reason" not in data:
        return f"it is {last.dst}"
    words = explain(data["reason"], data["detail"], client)
    text = f"{words.text}; to mend: {words.mends}" if words.mends else words.text
    return text if last.dst == ENDED else f"{text}; kept for its grace"


def _nearest(reader: SqliteReader, position: int) -> Folding:
    return reader.query(lambda connection: stored.nearest(connection, position))


def _saved(connection: Connection, find: Callable[[], T]) -> T | None:
    """What a bridge saved in this log, if one did. To be read before `_changed_since`: whatever is
    saved meanwhile is older than the head that is folded on to."""
    [(there,)] = connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'sessions'"
    )
    return find() if there else None


def _changed_since(start: Folding, reader: SqliteReader) -> dict[str, Document]:
    """The sessions that changed behind `start`, as they are at the head of the log."""
    live = _fold_on(start, reader, reader.head().pos).shown.live
    policy = Policy.from_payload(live.state["policy"])
    return {id_: document(row, policy) for id_, row in live.touched.items()}


def _fold_on(folding: Folding, reader: SqliteReader, position: int) -> Folding:
    try:
        return fold_on(folding, reader, position)
    except (AssertionError, KeyError, TypeError, ValueError) as fault:
        raise Unfoldable(folding.position + 1, fault) from fault
