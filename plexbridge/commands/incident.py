"""`incident`: one bad moment in one file, for a maintainer or as a test."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from plexbridge.audit.exports import export
from plexbridge.audit.incident import Span, bundle, span_of
from plexbridge.audit.reading import Progress
from plexbridge.audit.redaction import Redaction
from plexbridge.clock import SteadyClock
from plexbridge.commands.described import anonymous, doctor_told, versions
from plexbridge.commands.doctoring import bridge_answers
from plexbridge.commands.exits import CannotWrite
from plexbridge.commands.moments import parse_moment
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, data_directory, settings_for
from plexbridge.commands.output import json_line, line, progress
from plexbridge.commands.positions import position_of
from plexbridge.doctor import examine
from plexbridge.log.exporting import Written, export_file, whole_file
from plexbridge.log.reader import SqliteReader
from plexbridge.settings import SettingsInvalid

SCHEMA: Final = 1
SECRET_BYTES: Final = 32

Around = Annotated[
    str, typer.Option("--around", metavar="WHEN", help="The moment: 03:12, '2h ago', #88412, …")
]
Minutes = Annotated[
    float, typer.Option("--minutes", min=0.1, max=1_440, help="So many before, and so many after.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="The file.")]
AsTest = Annotated[
    bool,
    typer.Option(
        "--as-test",
        help="Only the events and how things stood before them, as a history for tests/histories.",
    ),
]


def incident_command(
    around: Around,
    minutes: Minutes = 10.0,
    out: Out = None,
    as_test: AsTest = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """What happened around a moment, in one file without addresses, identifiers and logins.

    It holds the events and how things stood before them, the policy, the versions, the dashboard
    of the moment and what `doctor` says. Every reading verb opens it: --data-dir FILE. Examples:

    plexbridge incident --around 03:12

    plexbridge at 03:12 --data-dir incident-88412.zip

    plexbridge incident --around 03:12 --as-test -o tests/histories/two-tuners-one-viewer.ndjson
    """
    moment = parse_moment(around, SteadyClock().now(), None)
    redaction = Redaction(os.urandom(SECRET_BYTES))
    with opened_log(data_dir) as reader, progress(reader.head().pos) as begin:
        span = span_of(reader, position_of(reader, moment), minutes)
        suffix = "ndjson" if as_test else "zip"
        path = out or Path(f"incident-{span.around}.{suffix}")
        doctor = None if as_test else _doctor(data_directory(data_dir))
        try:
            written = _write(reader, path, span, redaction, doctor, as_test, begin("Events"))
        except OSError as error:
            raise CannotWrite(f"cannot write {path}: {error.strerror}") from error
    if as_json:
        json_line(
            {
                "schema": SCHEMA,
                "file": str(path),
                "around": span.around,
                "first": written.first,
                "last": written.last,
                "events": written.events,
                "digest": written.digest,
            }
        )
        return
    line(f"{path}: {written.events} events, #{written.first} to #{written.last}, redacted")


def _write(
    reader: SqliteReader,
    path: Path,
    span: Span,
    redaction: Redaction,
    doctor: Any,
    as_test: bool,
    advance: Progress,
) -> Written:
    if as_test:
        with export_file(path) as sink:
            return export(
                reader,
                sink,
                first=span.first,
                last=span.last,
                redaction=redaction,
                progress=advance,
            )
    with whole_file(path) as file:
        return bundle(
            reader,
            file,
            span,
            redaction=redaction,
            versions=versions(),
            doctor=doctor,
            progress=advance,
        )


def _doctor(directory: Path) -> Any:
    """What `doctor` says of this machine; of a file from elsewhere, nothing."""
    if not directory.is_dir():
        return None
    try:
        settings = settings_for(directory)
    except SettingsInvalid as invalid:
        return [{"subject": "settings", "state": "fault", "text": anonymous(str(invalid))}]
    return doctor_told(examine(settings, lambda: bridge_answers(settings)))
