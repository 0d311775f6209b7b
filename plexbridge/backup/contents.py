"""What of a data directory belongs into a backup.

Everything does, but what is made anew at a start, what is fetched again, and what one program
leaves beside a file while it writes: so a later version's files need not be named here.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from plexbridge.data_dir import GUIDES_DIR, LOGOS_DIR
from plexbridge.web.access.local_key import LOCAL_KEY_FILE, LOCAL_PORT_FILE

BACKUPS_DIR: Final = "backups"
"""Where some keep them; a backup of backups doubles each time."""

OURS: Final = "plexbridge-backup-"
"""How backups are named where nobody says otherwise, and what is beside one while it is made."""

_FETCHED_DIRS: Final = frozenset({LOGOS_DIR, BACKUPS_DIR})
_MADE_AT_A_START: Final = frozenset({LOCAL_KEY_FILE, LOCAL_PORT_FILE, ".writable"})
_BESIDE: Final = ("-wal", "-shm", "-journal", ".writer", ".new", ".part", ".incoming", ".importing")

SQLITE_MAGIC: Final = b"SQLite format 3\0"


def belonging(data_dir: Path, *, guides: bool, without: Path) -> Iterator[Path]:
    """The files, sorted by name, relative to the directory. `guides`: the programme too, which is
    fetched again; `without`: the backup itself, which may lie here. Blocks.

    Raises:
        OSError: a directory cannot be read.
    """
    left_out = _FETCHED_DIRS if guides else _FETCHED_DIRS | {GUIDES_DIR}
    found: list[Path] = []
    for folder, directories, files in os.walk(data_dir, onerror=_refuse):
        here = Path(folder)
        if here == data_dir:
            directories[:] = [
                name for name in directories if name not in left_out and not _ours(name)
            ]
        for name in files:
            path = here / name
            if _belongs(name) and path.is_file() and path.absolute() != without.absolute():
                found.append(path.relative_to(data_dir))
    yield from sorted(found)


def is_database(path: Path) -> bool:
    """Whether a file is a SQLite database, which is copied as at one instant. Blocks.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _belongs(name: str) -> bool:
    return name not in _MADE_AT_A_START and not name.endswith(_BESIDE) and not _ours(name)


def _ours(name: str) -> bool:
    return name.removeprefix(".").startswith(OURS)


def _refuse(error: OSError) -> None:
    raise error
