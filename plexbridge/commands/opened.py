"""A data directory's log, open for reading: beside a running bridge, or without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from events.ids import SessionId, session_stream
from plexbridge.commands.exits import NotUnderstood
from plexbridge.commands.options import data_directory
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import Connection
from plexbridge.log.errors import CannotOpen
from plexbridge.log.reader import SqliteReader

AMBIGUOUS_SHOWN_MAX = 5
"""Sessions named when a shortened id fits several."""

_SESSIONS_LIKE = """SELECT stream FROM events WHERE ver = 1 AND stream >= 'session-'
                    AND stream < 'session.' AND (stream GLOB ?1 OR stream GLOB ?2) LIMIT ?3"""


@contextmanager
def opened_log(data_dir: Path | None) -> Iterator[SqliteReader]:
    """The log, for as long as the block lasts.

    Raises:
        CannotOpen, NewerLog: in one line.
    """
    directory = data_directory(data_dir)
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
