"""`doctor --bundle`: one redacted file with what a maintainer asks first.

Holds what the doctor says, versions, every setting with its origin, and the newest events; log
lines where somebody kept them in a file, for the bridge keeps none. Every reading verb opens it.
"""

import io
import zipfile
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from events.codec import NewerLog
from plexbridge.audit.exports import export
from plexbridge.audit.redaction import Redaction
from plexbridge.commands.described import doctor_told, lines_told, settings_told, versions
from plexbridge.control.seals import Pruned, first_moment
from plexbridge.data_dir import LOG_FILE
from plexbridge.doctor import Answer
from plexbridge.log.errors import CannotOpen, StorageFailed
from plexbridge.log.exporting import LogBroken, Written, whole_file
from plexbridge.log.importing import EVENTS_MEMBER
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sealing import SealBroken
from plexbridge.log.whole import whole
from plexbridge.settings import Settings

SCHEMA: Final = 1
EVENTS_MAX: Final = 1_000
"""The newest: hours of a household, some hundred kB."""

LINES_MAX: Final = 1_000
LINE_CHARS_MAX: Final = 2_000
LINES_MEMBER: Final = "log.txt"

NO_LINES: Final = (
    "the bridge keeps no log lines; name a file of them with --log (from journalctl, docker logs)"
)

_UNREADABLE: Final = (CannotOpen, LogBroken, NewerLog, Pruned, SealBroken, StorageFailed)


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was written."""

    members: tuple[str, ...]
    events: Written | None
    why_no_events: str
    lines: int


def write_bundle(
    path: Path,
    settings: Settings,
    answers: list[Answer],
    redaction: Redaction,
    log_file: Path | None,
) -> Bundled:
    """Write the file. Blocks.

    Raises:
        OSError: it cannot be written, or `log_file` not be read; nothing is left behind.
    """
    lines = [] if log_file is None else list(lines_told(_last_lines(log_file), redaction))
    events, written, why = _newest(settings.data_dir / LOG_FILE, redaction)
    documents: dict[str, Any] = {
        "doctor.json": doctor_told(answers),
        "versions.json": versions(),
        "settings.json": settings_told(settings),
        "manifest.json": {
            "plexbridge": "doctor",
            "schema": SCHEMA,
            "events": None if written is None else written.events,
            "why_no_events": why or None,
            "log_lines": None if log_file is None else len(lines),
            "why_no_lines": NO_LINES if log_file is None else None,
        },
    }
    with whole_file(path, private=True) as file, zipfile.ZipFile(file, "w", _PACKED) as packed:
        for name, document in documents.items():
            packed.writestr(name, orjson.dumps(document, option=orjson.OPT_INDENT_2))
        if written is not None:
            packed.writestr(EVENTS_MEMBER, events)
        if log_file is not None:
            packed.writestr(LINES_MEMBER, "".join(f"{text}\n" for text in lines))
        members = tuple(packed.namelist())
    return Bundled(members, written, why, len(lines))


_PACKED: Final = zipfile.ZIP_DEFLATED


def _newest(path: Path, redaction: Redaction) -> tuple[bytes, Written | None, str]:
    """The newest events as an export; or why there are none: a log that cannot be read is just what
    somebody may have called the doctor for."""
    sink = io.BytesIO()
    try:
        with closing(SqliteReader(path)) as reader:
            head = reader.head().pos
            if head == 0:
                return b"", None, "nothing is recorded yet"
            before = max(head - EVENTS_MAX, reader.query(first_moment))
            first = whole(reader, before) + 1 if before else 1
            written = export(reader, sink, first=min(first, head), redaction=redaction)
    except _UNREADABLE as fault:
        return b"", None, str(fault)
    return sink.getvalue(), written, ""


def _last_lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        found = deque((text.rstrip("\n")[:LINE_CHARS_MAX] for text in file), maxlen=LINES_MAX)
    return list(found)
