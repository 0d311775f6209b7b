"""The edits in `lineup.db`: a table of their own beside the listed lineup.

What the other tables hold can be had again from the providers; this one cannot, and no refresh
touches it. Knows the table; which edits may be made is not its business. Blocks in threads only.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson
from sqlite_utils import Database

from events.ids import ChannelId
from plexbridge.lineup.edits import AS_LISTED, Edit, Edits
from plexbridge.lineup.store_faults import faults_named
from plexbridge.log.driver import SqliteConnection, open_reader, open_writer

_MODE: Final = 0o600
_REMEDY: Final = "check the data directory and its free space; what people edited is in this file"

_TEXTS: Final = ("guide_number", "name", "channel_group", "logo", "tvg_id", "upstreams")
_FLAGS: Final = ("enabled", "favourite")
_COLUMNS: Final = (*_TEXTS, *_FLAGS)
_SAVE: Final = (
    f"INSERT OR REPLACE INTO edits (channel, {', '.join(_COLUMNS)}) "
    f"VALUES (?{', ?' * len(_COLUMNS)})"
)
_DROP: Final = "DELETE FROM edits WHERE channel = ?"
_LOAD: Final = f"SELECT channel, {', '.join(_COLUMNS)} FROM edits"
_EXISTS: Final = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'edits'"


class EditStore:
    """Saves and loads. Each call opens the file and lets go of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> Edits:
        """Every edit; none where none was ever made.

        Raises:
            StoreUnusable: there may be some, and they cannot be read.
        """
        return await asyncio.to_thread(self._load)

    async def save(self, edits: Mapping[ChannelId, Edit]) -> None:
        """Store the edits of these channels, all or none; `AS_LISTED` takes a channel's away.

        Raises:
            StoreUnusable: nothing was changed.
        """
        await asyncio.to_thread(self._save, edits)

    def _load(self) -> Edits:
        if not self._path.exists():
            return {}
        with faults_named(self._path, _REMEDY), closing(open_reader(self._path)) as connection:
            if not connection.execute(_EXISTS):
                return {}
            return {ChannelId(row[0]): _edit(row[1:]) for row in connection.execute(_LOAD)}

    def _save(self, edits: Mapping[ChannelId, Edit]) -> None:
        kept = [(channel, *_row(edit)) for channel, edit in edits.items() if edit != AS_LISTED]
        gone = [(channel,) for channel, edit in edits.items() if edit == AS_LISTED]
        with faults_named(self._path, _REMEDY):
            # Made by us first: SQLite would make it readable by everyone.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, _MODE))
            os.chmod(self._path, _MODE)
            with closing(open_writer(self._path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    _create_table(connection)
                    connection.executemany(_DROP, gone)
                    connection.executemany(_SAVE, kept)
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")


def _create_table(connection: SqliteConnection) -> None:
    """Within a major version its changes are additive, as those of the other tables."""
    columns = {"channel": str, **dict.fromkeys(_TEXTS, str), **dict.fromkeys(_FLAGS, int)}
    table = Database(connection.raw).table("edits")
    if not table.exists():
        table.create(columns, pk="channel", if_not_exists=True)


def _row(edit: Edit) -> tuple[str | int | None, ...]:
    upstreams = None if edit.upstreams is None else orjson.dumps(list(edit.upstreams)).decode()
    texts = (edit.guide_number, edit.name, edit.group, edit.logo, edit.tvg_id, upstreams)
    return (
        *texts,
        *(None if flag is None else int(flag) for flag in (edit.enabled, edit.favourite)),
    )


def _edit(row: tuple[Any, ...]) -> Edit:
    guide_number, name, group, logo, tvg_id, upstreams, enabled, favourite = row
    return Edit(
        enabled=None if enabled is None else bool(enabled),
        guide_number=guide_number,
        name=name,
        group=group,
        logo=logo,
        favourite=None if favourite is None else bool(favourite),
        tvg_id=tvg_id,
        upstreams=None if upstreams is None else tuple(orjson.loads(upstreams)),
    )
