"""One writer per log: a lock on a file beside it, held as long as the process lives.

Knows nothing of SQLite, whose database file must never be opened or closed by anyone else while
it is in use; hence the file of its own.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from plexbridge.log.errors import CannotOpen, LogLocked

_PID_BYTES = 32
"""Longest text read back as the holder's process id."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes a log at this moment."""

    pid: int | None
    """As it said itself; None where it did not."""


def writer_of(path: Path) -> Writer | None:
    """Who has the lock of the log at `path`; None: nobody. Blocks.

    What a crash left behind is told from a running writer by trying the lock, shared and for no
    longer than that takes.

    Raises:
        CannotOpen: the lock's file is not this user's to read.
    """
    beside = path.with_name(path.name + ".writer")
    try:
        fd = os.open(beside, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotOpen(path, f"{beside} cannot be read ({error.strerror})") from error
    try:
        text = os.pread(fd, _PID_BYTES, 0).strip()
        if not text:
            return None  # let go of in an orderly way
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Writer(int(text) if text.isdigit() else None)
        return None
    finally:
        os.close(fd)


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
