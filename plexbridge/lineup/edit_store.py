"""The edits in `lineup.db`: a table of their own beside the listed lineup.

What the other tables hold can be had again from the providers; this one cannot, and no refresh
touches it. Beside it stands the last change, as it was before. Knows the tables; which edits may be
made is not its business. Blocks in threads only.
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
from plexbridge.lineup.edits_undo import LastChange
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
_EXISTS: Final = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
_LAST: Final = "last_change"
"""The table of channels as they were; `LAST_ABOUT` has a row of JSON about them."""

_LAST_ABOUT: Final = "last_change_about"
_SAVE_LAST: Final = _SAVE.replace("INTO edits", f"INTO {_LAST}")
_LOAD_LAST: Final = _LOAD.replace("FROM edits", f"FROM {_LAST}")


class EditStore:
    """Saves and loads. Each call opens the file and lets go of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> Edits:
        """Every edit; none where none was ever made.

        Raises:
            StoreUnusable: there may be some, and they cannot be read.
        """
        return await asyncio.to_thread(self.read)

    async def load_last(self) -> LastChange | None:
        """The last change; None: nothing was changed yet.

        Raises:
            StoreUnusable: it cannot be read.
        """
        return await asyncio.to_thread(self._load_last)

    async def save(self, edits: Mapping[ChannelId, Edit], last: LastChange | None = None) -> None:
        """Store the edits of these channels, all or none; `AS_LISTED` takes a channel's away.
        `last`: the change that they are of, kept with them.

        Raises:
            StoreUnusable: nothing was changed.
        """
        await asyncio.to_thread(self._save, edits, last)

    def read(self) -> Edits:
        """The same, for a thread or a process of its own: it blocks.

        Raises:
            StoreUnusable: there may be some, and they cannot be read.
        """
        if not self._path.exists():
            return {}
        with faults_named(self._path, _REMEDY), closing(open_reader(self._path)) as connection:
            if not connection.execute(_EXISTS, ("edits",)):
                return {}
            return {ChannelId(row[0]): _edit(row[1:]) for row in connection.execute(_LOAD)}

    def _load_last(self) -> LastChange | None:
        if not self._path.exists():
            return None
        with faults_named(self._path, _REMEDY), closing(open_reader(self._path)) as connection:
            if not connection.execute(_EXISTS, (_LAST_ABOUT,)):
                return None
            [(text,)] = connection.execute(f"SELECT about FROM {_LAST_ABOUT}")
            about: dict[str, Any] = orjson.loads(text)
            before = {ChannelId(row[0]): _edit(row[1:]) for row in connection.execute(_LOAD_LAST)}
        return LastChange(
            by=about["by"],
            how=about["how"],
            fields=tuple(about["fields"]),
            channels=about["channels"],
            before=before,
        )

    def _save(self, edits: Mapping[ChannelId, Edit], last: LastChange | None) -> None:
        kept = [(channel, *_row(edit)) for channel, edit in edits.items() if edit != AS_LISTED]
        gone = [(channel,) for channel, edit in edits.items() if edit == AS_LISTED]
        with faults_named(self._path, _REMEDY):
            # Made by us first: SQLite would make it readable by everyone.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, _MODE))
            os.chmod(self._path, _MODE)
            with closing(open_writer(self._path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    _create_table(connection, "edits")
                    connection.executemany(_DROP, gone)
                    connection.executemany(_SAVE, kept)
                    if last is not None:
                        _save_last(connection, last)
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")


def _save_last(connection: SqliteConnection, last: LastChange) -> None:
    """In place of the one before it."""
    about = {"by": last.by, "how": last.how, "fields": last.fields, "channels": last.channels}
    _create_table(connection, _LAST)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {_LAST_ABOUT} (about TEXT NOT NULL)")
    connection.execute(f"DELETE FROM {_LAST}")
    connection.execute(f"DELETE FROM {_LAST_ABOUT}")
    rows = ((channel, *_row(edit)) for channel, edit in last.before.items())
    connection.executemany(_SAVE_LAST, rows)
    connection.execute(f"INSERT INTO {_LAST_ABOUT} VALUES (?)", (orjson.dumps(about).decode(),))


def _create_table(connection: SqliteConnection, name: str) -> None:
    """Within a major version its changes are additive, as those of the other tables."""
    columns = {"channel": str, **dict.fromkeys(_TEXTS, str), **dict.fromkeys(_FLAGS, int)}
    table = Database(connection.raw).table(name)
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
