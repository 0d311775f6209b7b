"""Taking events away from the front: the one path on which rows of the log are ever deleted.

Knows how a part goes in a transaction of its own while the chain stays whole: what is left begins
at `base`, the position and hash of the last event that went. Refuses to know why, and up to where.
The table's trigger lets nothing be deleted but what a permit of the same transaction covers.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import orjson

from plexbridge.log import rows
from plexbridge.log.driver import Connection, open_writer
from plexbridge.log.lock import WriterLock

BATCH_EVENTS: Final = 500
"""Events that go in one transaction: some 4 ms, for which appends wait."""

BATCH_PAGES: Final = 250
"""Pages given back in one transaction, 1 MB: some 3 ms."""


def drop(connection: Connection, up_to: int) -> int:
    """Delete the events up to a position, which becomes the base; returns how many went.

    In a transaction of the caller's: after a crash all of them went, or none did.
    """
    found = connection.execute("SELECT hash FROM events WHERE pos = ?", (up_to,))
    assert found, f"event {up_to} becomes the base and must be there"
    gone = up_to - rows.base(connection).pos
    connection.execute(
        "INSERT OR REPLACE INTO stream_base(stream, ver) "
        "SELECT stream, max(ver) FROM events WHERE pos <= ? GROUP BY stream",
        (up_to,),
    )
    connection.execute("INSERT INTO prune_permit(up_to) VALUES(?)", (up_to,))
    connection.execute("DELETE FROM events WHERE pos <= ?", (up_to,))
    connection.execute("DELETE FROM prune_permit")
    connection.execute("DELETE FROM clock_steps WHERE pos <= ?", (up_to,))
    connection.execute(
        "UPDATE log_meta SET first_pos = ?, base_pos = ?, base_hash = ?",
        (up_to + 1, up_to, found[0][0]),
    )
    return gone


def forget_streams(connection: Connection, keep: Collection[str]) -> int:
    """Forget pruned versions of streams that can never grow again; returns how many were, at most
    `BATCH_EVENTS`: call until it is 0."""
    found = connection.execute(
        "SELECT stream FROM stream_base WHERE stream NOT IN (SELECT value FROM json_each(?)) "
        "LIMIT ?",
        (orjson.dumps(sorted(keep)).decode(), BATCH_EVENTS),
    )
    connection.executemany("DELETE FROM stream_base WHERE stream = ?", found)
    return len(found)


def give_back(connection: Connection) -> bool:
    """Return some free pages to the file system; False when there are none to return.

    A file made before pages could be returned keeps them and fills them again; `compact` mends it.
    """
    [(mode,)] = connection.execute("PRAGMA auto_vacuum")
    [(free,)] = connection.execute("PRAGMA freelist_count")
    if mode == 0 or free == 0:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({BATCH_PAGES})")
    return True


def used_bytes(connection: Connection) -> int:
    """What the database holds, without its free pages."""
    [(pages,)] = connection.execute("PRAGMA page_count")
    [(free,)] = connection.execute("PRAGMA freelist_count")
    [(size,)] = connection.execute("PRAGMA page_size")
    return int((pages - free) * size)


def compact(path: Path) -> None:
    """Write the file anew without free pages. Needs as much room again for a while; blocks.

    Raises:
        LogLocked: a bridge runs on it.
        CannotOpen, StorageFailed: it cannot be written; it is as it was.
    """
    lock = WriterLock(path)
    try:
        connection = open_writer(path)
        try:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    finally:
        lock.release()
