"""`lineup.db`: the last whole lineup, so that a provider that is down at start takes nothing away.

A file of its own beside the log, readable by its owner alone: it holds upstream URLs, which are
logins, and is never exported. What it holds can be had again from the providers; it is saved whole
or not at all.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
from sqlite_utils import Database

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.lineup.redact import redact
from plexbridge.lineup.store_faults import faults_named
from plexbridge.log.driver import SqliteConnection, open_reader, open_writer
from plexbridge.relay.ports import Upstream

SCHEMA = 1
"""Kept in `user_version`. Within a major version changes are additive."""

_MODE = 0o600
_REMEDY = (
    "check the data directory, or move the file away: the playlists are read again, and what was "
    "edited by hand is lost"
)

_TABLE = "listed"
_TEXTS = ("id", "guide_number", "guide_name", "channel_group", "tvg_id", "logo", "upstreams")
"""`upstreams`: a JSON array of arrays: source, URL, headers by name, digest."""
_INSERT = f"INSERT INTO {_TABLE} ({', '.join(_TEXTS)}) VALUES ({', '.join('?' * len(_TEXTS))})"
_SELECT = f"SELECT {', '.join(_TEXTS)} FROM {_TABLE} WHERE place > ? ORDER BY place LIMIT ?"
_BEFORE = ("channels", "upstreams")
"""Tables of a form that no release had; they can be had again."""
_PAGE_ROWS = 1_000
"""Channels read at once: all rows of a long lineup would be hundreds of megabytes."""
_NO_HEADERS: MappingProxyType[str, str] = MappingProxyType({})


class LineupStore:
    """Saves and loads. Each call opens the file and lets go of it, in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def save(self, lineup: Lineup) -> None:
        """Replace what is stored by `lineup`, in one transaction; nothing when it is the same.

        Raises:
            StoreUnusable: nothing was changed.
        """
        if await self.mark() != lineup.digest:
            await asyncio.to_thread(self.replace, lineup.everything, lineup.digest)

    async def load(self) -> Lineup:
        """What was saved last; the empty lineup when nothing ever was.

        Raises:
            StoreUnusable: there is something, and it cannot be read.
        """
        return await asyncio.to_thread(self._load)

    async def mark(self) -> str | None:
        """What tells the stored lineup from another one; None when there is none.

        Raises:
            StoreUnusable: there is something, and it cannot be read.
        """
        return await asyncio.to_thread(self._mark)

    def replace(self, channels: Iterable[Channel], mark: str) -> int:
        """Replace what is stored, in one transaction; how many channels there were. Blocks.

        Raises:
            StoreUnusable: nothing was changed.
        """
        with faults_named(self._path, _REMEDY):
            # Made by us first: SQLite would make it readable by everyone.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, _MODE))
            os.chmod(self._path, _MODE)
            with closing(open_writer(self._path)) as connection:
                self._check_version(connection)
                _create_tables(connection)
                return _replace(connection, channels, mark)

    def _load(self) -> Lineup:
        if not self._path.exists():
            return Lineup.EMPTY
        with faults_named(self._path, _REMEDY), closing(open_reader(self._path)) as connection:
            stored = self._check_version(connection) and _has_listed(connection)
            return Lineup(_channels(connection)) if stored else Lineup.EMPTY

    def _mark(self) -> str | None:
        if not self._path.exists():
            return None
        with faults_named(self._path, _REMEDY), closing(open_reader(self._path)) as connection:
            stored = self._check_version(connection) and _has_listed(connection)
            return _stored_mark(connection) if stored else None

    def _check_version(self, connection: SqliteConnection) -> int:
        version = int(connection.execute("PRAGMA user_version")[0][0])
        if version > SCHEMA:
            raise StoreUnusable(
                str(self._path),
                "a newer release of the bridge wrote it",
                "run that release, or move the file away: the playlists are read again",
            )
        return version


def _has_listed(connection: SqliteConnection) -> bool:
    """Whether a lineup was ever stored; else the file is new, or holds edits only."""
    asked = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return bool(connection.execute(asked, (_TABLE,)))


def _create_tables(connection: SqliteConnection) -> None:
    database = Database(connection.raw)
    if database.table(_TABLE).exists():
        return
    for name in _BEFORE:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    columns: dict[str, type] = {"place": int, **dict.fromkeys(_TEXTS, str)}
    database.table(_TABLE).create(columns, pk="place", if_not_exists=True)
    database.table("lineup").create({"digest": str}, pk="digest", if_not_exists=True)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _replace(connection: SqliteConnection, channels: Iterable[Channel], mark: str) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in (_TABLE, "lineup"):
            connection.execute(f"DELETE FROM {table}")
        count = 0
        rest = iter(channels)
        while page := list(islice(rest, _PAGE_ROWS)):
            connection.executemany(_INSERT, map(_row, page))
            count += len(page)
        connection.execute("INSERT INTO lineup (digest) VALUES (?)", (mark,))
        connection.execute("COMMIT")
        return count
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _stored_mark(connection: SqliteConnection) -> str | None:
    rows = connection.execute("SELECT digest FROM lineup")
    return str(rows[0][0]) if rows else None


def _row(channel: Channel) -> tuple[str, ...]:
    upstreams = [(one.source, one.url, dict(one.headers), one.digest) for one in channel.upstreams]
    return (
        channel.id,
        channel.guide_number,
        channel.guide_name,
        channel.group,
        channel.tvg_id,
        channel.logo,
        orjson.dumps(upstreams).decode(),
    )


def _channels(connection: SqliteConnection) -> Iterator[Channel]:
    """In the order in which they were stored: that of their guide numbers."""
    shared: dict[str, str] = {}
    place = 0
    while rows := connection.execute(_SELECT, (place, _PAGE_ROWS)):
        place += len(rows)
        for row in rows:
            yield _channel(row, shared)


def _channel(row: tuple[Any, ...], shared: dict[str, str]) -> Channel:
    """`shared`: texts that many channels have, each once."""
    key, number, name, group, tvg_id, logo, upstreams = row
    return Channel(
        id=ChannelId(key),
        guide_number=number,
        guide_name=name,
        group=shared.setdefault(group, group),
        tvg_id=tvg_id,
        logo=logo,
        upstreams=tuple(
            Upstream(
                source=SourceId(shared.setdefault(source, source)),
                url=url,
                headers=MappingProxyType(headers) if headers else _NO_HEADERS,
                redacted=redact(url),
                digest=digest,
            )
            for source, url, headers, digest in orjson.loads(upstreams)
        ),
    )
