"""The data directory: where it is made, and what stops the start when it cannot be used."""

import os
from pathlib import Path
from typing import Final

LOG_FILE: Final = "plexbridge.db"
LINEUP_FILE: Final = "lineup.db"
SOURCES_DIR: Final = "sources"
"""Two files for each source; 0700, for they hold its login."""

LOGOS_DIR: Final = "logos"
NOTICES_DIR: Final = "notifications"
"""Two files; 0700, for one of them holds the addresses of those who are told."""

GUIDES_DIR: Final = "guides"
"""One file for each guide; 0700, for what is on is nobody else's business."""


class DataDirUnusable(Exception):
    """The data directory cannot be made or written; one line that says what to do."""


def prepare_data_dir(path: Path) -> None:
    """Make the directory if it is not there, and make sure that files can be written in it.

    Raises:
        DataDirUnusable: it cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DataDirUnusable(
            f"data directory {path} cannot be made: {error.strerror}; "
            "name another with --data-dir or PLEXBRIDGE_DATA_DIR"
        ) from error
    probe = path / ".writable"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DataDirUnusable(
            f"data directory {path} cannot be written by uid {os.getuid()}: {error.strerror}; "
            "change its owner, or name another with --data-dir or PLEXBRIDGE_DATA_DIR"
        ) from error
