"""Files that only their owner may read, written whole or not at all. Blocks.

Knows files and modes; nothing of what is in them.
"""

import os
from pathlib import Path
from typing import Final

OWNER_ONLY: Final = 0o600


def write_private(path: Path, text: str) -> None:
    """Put `text` into the file at `path`, readable by its owner alone, in one step: a crash leaves
    the old file or the new one.

    Raises:
        OSError: it cannot be written; the old one is untouched.
    """
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)  # what a crash left has whatever mode it had
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        _give_to_owner_of(path.parent, descriptor)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _give_to_owner_of(directory: Path, descriptor: int) -> None:
    """A command that root runs in a container must not leave a file that the bridge cannot read."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def read_bounded(path: Path, bytes_max: int) -> str | None:
    """What the file holds; None where there is none.

    Raises:
        OSError: it cannot be read.
        ValueError: it is longer than `bytes_max`, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            body = file.read(bytes_max + 1)
    except FileNotFoundError:
        return None
    if len(body) > bytes_max:
        raise ValueError(f"longer than {bytes_max} bytes")
    return body.decode("utf-8")
