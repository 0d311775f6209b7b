"""`lineup.db`: the last whole lineup, so that a provider that is down at start takes nothing away.

A file of its own beside the log, readable by its owner alone: it holds upstream URLs, which are
logins, and is never exported. What it holds can be had again from the providers; it is saved whole
or not at all.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
from sqlite_utils import Database

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.log.driver import SqliteConnection, open_reader, open_writer
from plexbridge.log.errors import CannotOpen, StorageFailed
from plexbridge.relay.ports import Upstream

SCHEMA = 1
"""Kept in `user_version`. Within a major version changes are additive."""

_MODE = 0o600
_REMEDY = "check the data directory, or move the file away: the playlists are read again"

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
        with self._faults_named():
            # Made by us first: SQLite would make it readable by everyone.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, _MODE))
            os.chmod(self._path, _MODE)
            with closing(open_writer(self._path)) as connection:
                self._check_version(connection)
                _create_tables(connection)
                if _stored_digest(connection) != lineup.digest:
                    _replace(connection, lineup)

    def _load(self) -> Lineup:
        if not self._path.exists():
            return Lineup.EMPTY
        with self._faults_named(), closing(open_reader(self._path)) as connection:
            if self._check_version(connection) == 0:  # made, and never saved to
                return Lineup.EMPTY
            rows = connection.execute(_SELECT)
            return Lineup(_channel(list(own)) for _, own in groupby(rows, key=itemgetter(0)))

    def _check_version(self, connection: SqliteConnection) -> int:
        version = int(connection.execute("PRAGMA user_version")[0][0])
        if version > SCHEMA:
            raise StoreUnusable(
                str(self._path),
                "a newer release of the bridge wrote it",
                "run that release, or move the file away: the playlists are read again",
            )
        return version

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        """Whatever is wrong with the file is `StoreUnusable`."""
        place = str(self._path)
        try:
            yield
        except CannotOpen as error:
            raise StoreUnusable(place, error.why, _REMEDY) from error
        except StorageFailed as error:
            raise StoreUnusable(place, str(error), _REMEDY) from error
        except OSError as error:
            raise StoreUnusable(place, error.strerror or "no access", _REMEDY) from error


def _create_tables(connection: SqliteConnection) -> None:
    database = Database(connection.raw)
    if database.table("lineup").exists():
        return
    texts = ("id", "guide_number", "guide_name", "channel_group", "tvg_id", "logo")
    database.table("channels").create(dict.fromkeys(texts, str), pk="id", if_not_exists=True)
    texts = ("channel", "source", "url", "headers", "redacted", "digest")
    database.table("upstreams").create(
        {**dict.fromkeys(texts, str), "place": int}, pk=("channel", "place"), if_not_exists=True
    )
    database.table("lineup").create({"digest": str}, pk="digest", if_not_exists=True)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _replace(connection: SqliteConnection, lineup: Lineup) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in ("upstreams", "channels", "lineup"):
            connection.execute(f"DELETE FROM {table}")
        connection.executemany(_INSERT_CHANNEL, map(_channel_row, lineup.channels))
        connection.executemany(_INSERT_UPSTREAM, _upstream_rows(lineup))
        connection.execute("INSERT INTO lineup (digest) VALUES (?)", (lineup.digest,))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _stored_digest(connection: SqliteConnection) -> str | None:
    rows = connection.execute("SELECT digest FROM lineup")
    return str(rows[0][0]) if rows else None


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
