"""What can go wrong between the log and its file, each in one line that says what to do."""

from pathlib import Path


class StorageFailed(Exception):
    """SQLite refused or failed a statement (disk full, I/O error, damaged file, broken rule)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
        """SQLite's name of the error, such as `SQLITE_FULL`."""


class CannotOpen(Exception):
    """The log's file cannot be opened, created or recognised."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"cannot open the event log {path}: {why}")
        self.path = path
        self.why = why


class LogLocked(Exception):
    """Another running bridge writes this log."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = "process unknown" if pid is None else f"pid {pid}"
        super().__init__(
            f"another PlexBridge is running on {path} ({holder}); "
            "stop it, or give this one another data directory"
        )
        self.path = path
        self.pid = pid
