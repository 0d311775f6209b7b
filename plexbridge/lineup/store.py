"""`lineup.db`: the last whole lineup, so that a provider that is down at start takes nothing away.

A file of its own beside the log, readable by its owner alone: it holds upstream URLs, which are
logins, and is never exported. What it holds can be had again from the providers; it is saved whole
or not at all.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
from sqlite_utils import Database

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.log.driver import sqlite3
from plexbridge.relay.ports import Upstream

SCHEMA = 1
"""Kept in `user_version`. Within a major version changes are additive."""

BUSY_TIMEOUT_S = 5.0
"""A command that reads beside the running bridge holds its lock for far less."""

_MODE = 0o600

_INSERT_CHANNEL = """
INSERT INTO channels (id, guide_number, guide_name, channel_group, tvg_id, logo)
VALUES (?, ?, ?, ?, ?, ?)
"""
_INSERT_UPSTREAM = """
INSERT INTO upstreams (channel, place, source, url, headers, redacted, digest)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_SELECT = """
SELECT c.id, c.guide_number, c.guide_name, c.channel_group, c.tvg_id, c.logo,
       u.source, u.url, u.headers, u.redacted, u.digest
FROM channels c JOIN upstreams u ON u.channel = c.id
ORDER BY c.rowid, u.place
"""
_CHANNEL_COLUMNS = 6


class LineupStore:
    """Saves and loads. Each call opens the file and lets go of it, in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def save(self, lineup: Lineup) -> None:
        """Replace what is stored by `lineup`, in one transaction; nothing when it is the same.

        Raises:
            StoreUnusable: nothing was changed.
        """
        await asyncio.to_thread(self._save, lineup)

    async def load(self) -> Lineup:
        """What was saved last; the empty lineup when nothing ever was.

        Raises:
            StoreUnusable: there is something, and it cannot be read.
        """
        return await asyncio.to_thread(self._load)

    def _save(self, lineup: Lineup) -> None:
        with self._opened() as connection:
            _migrate(connection)
            if _stored_digest(connection) == lineup.digest:
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("DELETE FROM upstreams")
                connection.execute("DELETE FROM channels")
                connection.execute("DELETE FROM lineup")
                connection.executemany(_INSERT_CHANNEL, map(_channel_row, lineup.channels))
                connection.executemany(_INSERT_UPSTREAM, _upstream_rows(lineup))
                connection.execute("INSERT INTO lineup (digest) VALUES (?)", (lineup.digest,))
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _load(self) -> Lineup:
        if not self._path.exists():
            return Lineup.EMPTY
        with self._opened() as connection:
            _migrate(connection)
            rows = connection.execute(_SELECT)
            return Lineup(
                _channel(list(upstreams)) for _, upstreams in groupby(rows, key=lambda row: row[0])
            )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """A connection, closed afterwards; what goes wrong with the file is `StoreUnusable`."""
        place = str(self._path)
        try:
            # Made by us first: SQLite would make it readable by everyone.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, _MODE))
            os.chmod(self._path, _MODE)
            connection = sqlite3.connect(place, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(place, error) from error
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise StoreUnusable(
                    place,
                    "a newer release of the bridge wrote it",
                    "run that release, or move the file away: the playlists are read again",
                )
            yield connection
        except sqlite3.Error as error:
            raise _unusable(place, error) from error
        finally:
            connection.close()


def _unusable(place: str, error: Exception) -> StoreUnusable:
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return StoreUnusable(place, str(error), "move the file away: the playlists are read again")
    words = error.strerror if isinstance(error, OSError) else None
    return StoreUnusable(place, words or str(error), "check the data directory and its disk")


def _migrate(connection: Any) -> None:
    database = Database(connection)
    if "lineup" in database.table_names():
        return
    database.table("channels").create(
        {
            "id": str,
            "guide_number": str,
            "guide_name": str,
            "channel_group": str,
            "tvg_id": str,
            "logo": str,
        },
        pk="id",
        if_not_exists=True,
    )
    database.table("upstreams").create(
        {
            "channel": str,
            "place": int,
            "source": str,
            "url": str,
            "headers": str,
            "redacted": str,
            "digest": str,
        },
        pk=("channel", "place"),
        if_not_exists=True,
    )
    database.table("lineup").create({"digest": str}, pk="digest", if_not_exists=True)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _stored_digest(connection: Any) -> str | None:
    row = connection.execute("SELECT digest FROM lineup").fetchone()
    return None if row is None else str(row[0])


def _channel_row(channel: Channel) -> tuple[str, ...]:
    return (
        channel.id,
        channel.guide_number,
        channel.guide_name,
        channel.group,
        channel.tvg_id,
        channel.logo,
    )


def _upstream_rows(lineup: Lineup) -> Iterator[tuple[str | int, ...]]:
    for channel in lineup.channels:
        for place, upstream in enumerate(channel.upstreams):
            headers = orjson.dumps(dict(upstream.headers)).decode()
            yield (
                channel.id,
                place,
                upstream.source,
                upstream.url,
                headers,
                upstream.redacted,
                upstream.digest,
            )


def _channel(rows: list[tuple[Any, ...]]) -> Channel:
    key, number, name, group, tvg_id, logo = rows[0][:_CHANNEL_COLUMNS]
    return Channel(
        id=ChannelId(key),
        guide_number=number,
        guide_name=name,
        group=group,
        tvg_id=tvg_id,
        logo=logo,
        upstreams=tuple(_upstream(*row[_CHANNEL_COLUMNS:]) for row in rows),
    )


def _upstream(source: str, url: str, headers: str, redacted: str, digest: str) -> Upstream:
    return Upstream(
        source=SourceId(source),
        url=url,
        headers=orjson.loads(headers),
        redacted=redacted,
        digest=digest,
    )
