"""The key that commands on this machine show the running bridge: `local.key` in the data directory,
made anew at each start, readable by its owner alone. Blocks.
"""

from pathlib import Path
from typing import Final

from plexbridge.private_file import read_bounded, write_private
from plexbridge.web.access.tokens import RandomBytes, new_token

LOCAL_KEY_FILE: Final = "local.key"
KEY_BYTES_MAX: Final = 256


def leave_local_key(data_dir: Path, random_bytes: RandomBytes) -> str:
    """A new key, for whoever can read it.

    Raises:
        OSError: it cannot be written.
    """
    key = new_token(random_bytes)
    write_private(data_dir / LOCAL_KEY_FILE, f"{key}\n")
    return key


def read_local_key(data_dir: Path) -> str | None:
    """The key of the bridge that started last here; None where it is not this user's to read."""
    try:
        text = read_bounded(data_dir / LOCAL_KEY_FILE, KEY_BYTES_MAX)
    except (OSError, ValueError):
        return None
    return None if text is None else text.strip() or None
