"""What commands on this machine need to reach the running bridge, left in the data directory at
each start: a key made anew (`local.key`) and the port it listens on (`local.port`), readable by
their owner alone. Blocks.
"""

from pathlib import Path
from typing import Final

from plexbridge.private_file import read_bounded, write_private
from plexbridge.web.access.tokens import RandomBytes, new_token

LOCAL_KEY_FILE: Final = "local.key"
LOCAL_PORT_FILE: Final = "local.port"
KEY_BYTES_MAX: Final = 256
PORT_MAX: Final = 65_535


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


def leave_local_port(data_dir: Path, port: int) -> None:
    """The port, for whoever may read the key.

    Raises:
        OSError: it cannot be written.
    """
    write_private(data_dir / LOCAL_PORT_FILE, f"{port}\n")


def read_local_port(data_dir: Path) -> int | None:
    """Where the bridge that started last here listens; None where nobody said."""
    try:
        text = read_bounded(data_dir / LOCAL_PORT_FILE, KEY_BYTES_MAX)
    except (OSError, ValueError):
        return None
    found = (text or "").strip()
    return int(found) if found.isdecimal() and 0 < int(found) <= PORT_MAX else None
