"""The newest events of one stream up to a position: what was last said there at a moment."""

from collections.abc import Sequence
from typing import Final

from events.envelope import Recorded
from plexbridge.log import rows
from plexbridge.log.driver import Connection

_LAST: Final = f"""SELECT {rows.COLUMNS} FROM events
                   WHERE stream = ? AND pos <= ? AND type IN ({{}}) ORDER BY ver DESC LIMIT ?"""


def lately(
    connection: Connection, stream: str, up_to: int, types: Sequence[str], limit: int = 1
) -> list[Recorded]:
    """At most `limit` events of these types, the newest first. Goes back through the stream from
    its end: for streams with some events a day."""
    asked = _LAST.format(", ".join("?" * len(types)))
    return [
        Recorded._make(row) for row in connection.execute(asked, (stream, up_to, *types, limit))
    ]
