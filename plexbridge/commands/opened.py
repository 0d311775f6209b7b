"""A log, open for reading: of a data directory, beside a running bridge or without one, or of a
file of exported events."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from events.ids import SessionId, session_stream
from plexbridge.commands.exits import NotUnderstood
from plexbridge.commands.options import data_directory
from plexbridge.commands.output import progress
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import Connection
from plexbridge.log.errors import CannotOpen
from plexbridge.log.importing import import_events
from plexbridge.log.reader import SqliteReader

SQLITE_MAGIC: Final = b"SQLite format 3\0"
"""A database begins so (sqlite.org/fileformat2); `plexbridge.db` itself may be named too."""

AMBIGUOUS_SHOWN_MAX = 5
"""Sessions named when a shortened id fits several."""

_SESSIONS_LIKE = """SELECT stream FROM (
                      SELECT stream FROM events WHERE ver = 1
                      UNION SELECT stream FROM stream_base)
                    WHERE stream >= 'session-' AND stream < 'session.'
                    AND (stream GLOB ?1 OR stream GLOB ?2) LIMIT ?3"""
"""Those that begin in this log, and those that were open where it begins."""


@contextmanager
def opened_log(data_dir: Path | None) -> Iterator[SqliteReader]:
    """The log, for as long as the block lasts. What `events export`, `events archive` or `incident`
    wrote is read into a directory of its own first, which goes when the block ends.

    Raises:
        CannotOpen, NewerLog: in one line.
        LogBroken: the file is not what was written.
    """
    directory = data_directory(data_dir)
    if directory.is_file():
        with _log_of_file(directory) as path, closing(SqliteReader(path)) as reader:
            yield reader
        return
    if not directory.is_dir():
        raise CannotOpen(
            directory / LOG_FILE,
            "there is no such directory; name it with --data-dir or PLEXBRIDGE_DATA_DIR",
        )
    reader = SqliteReader(directory / LOG_FILE)
    try:
        yield reader
    finally:
        reader.close()


@contextmanager
def _log_of_file(file: Path) -> Iterator[Path]:
    with file.open("rb") as beginning:
        if beginning.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC:
            yield file
            return
    with TemporaryDirectory(prefix="plexbridge-") as made:
        path = Path(made) / LOG_FILE
        with progress(None) as begin:
            import_events(file, path, begin("Reading events"))
        yield path


def session_meant(reader: SqliteReader, text: str) -> SessionId:
    """The session whose id is `text`, or begins or ends with it.

    Raises:
        NotUnderstood: there is none, or more than one.
    """
    asked = text.strip().upper().removeprefix("SESSION-")
    if not asked.isalnum() or not asked.isascii():
        raise NotUnderstood(f"{text!r} is no session id: letters and digits only")
    if reader.version(session_stream(SessionId(asked))):
        return SessionId(asked)

    def like(connection: Connection) -> list[str]:
        patterns = (f"session-{asked}*", f"session-*{asked}")
        found = connection.execute(_SESSIONS_LIKE, (*patterns, AMBIGUOUS_SHOWN_MAX + 1))
        return [str(stream).removeprefix("session-") for (stream,) in found]

    sessions = reader.query(like)
    if not sessions:
        raise NotUnderstood(f"no session {text} in this log; `plexbridge sessions ls` lists them")
    if len(sessions) > 1:
        several = ", ".join(sessions[:AMBIGUOUS_SHOWN_MAX])
        more = ", …" if len(sessions) > AMBIGUOUS_SHOWN_MAX else ""
        raise NotUnderstood(f"{text} fits more than one session: {several}{more}")
    return SessionId(sessions[0])
