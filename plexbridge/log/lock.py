"""One writer per log: a lock on a file beside it, held as long as the process lives.

Knows nothing of SQLite, whose database file must never be opened or closed by anyone else while
it is in use; hence the file of its own.
"""

import fcntl
import os
from pathlib import Path

from plexbridge.log.errors import CannotOpen, LogLocked

_PID_BYTES = 32
"""Longest text read back as the holder's process id."""


class WriterLock:
    """The right to write one log; the system gives it back when the process dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock of the log at `path`.

        Raises:
            LogLocked: someone has it.
            CannotOpen: its file cannot be created.
        """
        beside = path.with_name(path.name + ".writer")
        try:
            self._fd = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            why = f"{beside.parent} cannot be written ({error.strerror})"
            raise CannotOpen(path, why) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = os.pread(self._fd, _PID_BYTES, 0).strip()
            os.close(self._fd)
            raise LogLocked(path, int(text) if text.isdigit() else None) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another writer in."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)
