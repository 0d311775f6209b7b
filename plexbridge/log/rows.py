"""The statements over table `events` that reading and writing share."""

from collections.abc import Sequence

from events.codec import GENESIS
from events.envelope import Recorded
from events.ids import Position
from plexbridge.log.batch import End
from plexbridge.log.driver import Connection
from plexbridge.log.port import Durable, Head

COLUMNS = ", ".join(Recorded._fields)

_END = "SELECT pos, hash, at FROM events ORDER BY pos DESC LIMIT 1"
_BASE = "SELECT base_pos, base_hash FROM log_meta"
_BEFORE_ALL_TIME = -(2**63)
_AFTER = f"SELECT {COLUMNS} FROM events WHERE pos > ? ORDER BY pos LIMIT ?"
_VERSION = """SELECT coalesce((SELECT max(ver) FROM events WHERE stream = ?1),
                              (SELECT ver FROM stream_base WHERE stream = ?1), 0)"""


def base(connection: Connection) -> Head:
    """What the chain starts from: the last pruned event, or nothing."""
    rows = connection.execute(_BASE)
    return Head(Position(rows[0][0]), rows[0][1]) if rows else Head(Position(0), GENESIS)


def end(connection: Connection) -> End:
    """Where the log ends."""
    rows = connection.execute(_END)
    return End(*rows[0]) if rows else End(*base(connection), _BEFORE_ALL_TIME)


def version(connection: Connection, stream: str) -> int:
    """The last version of a stream, pruned or not; 0 when it has none."""
    [(ver,)] = connection.execute(_VERSION, (stream,))
    return int(ver)


def after(connection: Connection, pos: int, limit: int) -> list[Recorded]:
    """Up to `limit` events behind `pos`."""
    return list(map(Recorded._make, connection.execute(_AFTER, (pos, limit))))


def find(connection: Connection, ids: Sequence[bytes]) -> Durable | None:
    """The events stored one after another under `ids`; None unless all of them are."""
    if not ids:
        return ()
    found = connection.execute("SELECT pos FROM events WHERE id = ?", (ids[0],))
    if not found:
        return None
    rows = after(connection, found[0][0] - 1, len(ids))
    return tuple(rows) if [row.id for row in rows] == list(ids) else None
