"""`events export|archive|import`: recorded events in a file, and back."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from plexbridge.audit.exports import export
from plexbridge.audit.redaction import Redaction
from plexbridge.commands.exits import CannotWrite, NotUnderstood
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, data_directory
from plexbridge.commands.output import json_line, line, progress
from plexbridge.commands.ranges import Before, From, To, first_at, last_at
from plexbridge.control.prunes import cut_before
from plexbridge.data_dir import LOG_FILE, prepare_data_dir
from plexbridge.log.exporting import Sink, Written, export_file
from plexbridge.log.importing import Taken, check_file, import_events
from plexbridge.log.reader import SqliteReader

SCHEMA: Final = 1
"""Of the documents that `--json` gives here."""

SECRET_BYTES: Final = 32

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Into this file; .zst: compressed (zstd)."),
]
OutFile = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="The file; .zst: compressed (zstd).")
]
Stream = Annotated[
    str | None, typer.Option("--stream", help="Only streams that begin so, such as session-01J.")
]
Type = Annotated[list[str] | None, typer.Option("--type", help="Only this type; repeatable.")]
Redacted = Annotated[
    bool,
    typer.Option("--redacted", help="Replace players' addresses and identifiers, to be shared."),
]


def export_command(
    data_dir: DataDir = None,
    out: Out = None,
    from_: From = None,
    to: To = None,
    stream: Stream = None,
    type_: Type = None,
    redacted: Redacted = False,
    as_json: AsJson = False,
) -> None:
    """Recorded events as lines of JSON, with a header before and a digest behind them.

    Every line says exactly what the log's row says: an import gives the same hashes. The chain is
    checked on the way; a log that is not what was written ends with exit code 4 and the position.
    Examples:

    plexbridge events export -o events.ndjson.zst

    plexbridge events export --from '2h ago' --to now --redacted -o evening.ndjson

    plexbridge events export --type refused | jq .data.rule
    """
    redaction = Redaction(os.urandom(SECRET_BYTES)) if redacted else None
    with opened_log(data_dir) as reader, progress(reader.head().pos) as begin:
        first = None if from_ is None else first_at(reader, from_)
        last = None if to is None else last_at(reader, to)
        if first is not None and last is not None and last < first - 1:
            raise NotUnderstood(f"--to lies before --from (#{last} and #{first})")

        def write(sink: Sink) -> Written:
            return export(
                reader,
                sink,
                first=first,
                last=last,
                stream=stream or "",
                types=type_ or (),
                redaction=redaction,
                progress=begin("Events"),
            )

        if out is None:
            write(sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        with _writing(out) as sink:
            written = write(sink)
    _tell(written, out, as_json)


def archive_command(
    before: Before, out: OutFile, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Write what `events prune` of the same moment takes away into a file, and read it again.

    Every reading verb opens the file: --data-dir FILE. Examples:

    plexbridge events archive --before '90d ago' -o 2026-q3.ndjson.zst

    plexbridge at 2026-08-01T20:15 --data-dir 2026-q3.ndjson.zst
    """
    with opened_log(data_dir) as reader, progress(reader.head().pos) as begin:
        cut = cut_before(reader, first_at(reader, before) - 1)
        if cut is None:
            if as_json:
                json_line({"schema": SCHEMA, "events": 0})
            else:
                line("nothing that could go lies before that moment; no file was written")
            return
        written = archive(reader, cut.pos, out, begin("Events"))
        check_file(out, begin("Reading again"))
    _tell(written, out, as_json)


def archive(reader: SqliteReader, last: int, out: Path, advance: Any) -> Written:
    """Everything up to `last`, as a file that can be opened.

    Raises:
        CannotWrite: it cannot be written.
        LogBroken: the log is not what was written.
    """
    with _writing(out) as sink:
        return export(reader, sink, last=last, progress=advance)


def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What an export wrote.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a log out of exported events, in a directory that holds none; the hashes are the same.

    Every hash and the digest are checked first: a file that is not what was written ends with exit
    code 4 and the position, and nothing is left behind. Example:

    plexbridge events import events.ndjson.zst --data-dir ./elsewhere
    """
    directory = data_directory(data_dir)
    prepare_data_dir(directory)
    with progress(None) as begin:
        taken = import_events(file, directory / LOG_FILE, begin("Events"))
    if as_json:
        json_line(_document(taken))
        return
    line(
        f"imported {taken.events} events into {directory}; head #{taken.head.pos} "
        f"{taken.head.hash.hex()}"
    )
    if taken.header.redacted:
        line("they were redacted: their hashes are not those of the log they come from")


def _document(taken: Taken) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "events": taken.events,
        "first": taken.header.first,
        "last": taken.head.pos,
        "hash": taken.head.hash.hex(),
        "redacted": taken.header.redacted,
    }


@contextmanager
def _writing(path: Path) -> Iterator[Sink]:
    try:
        with export_file(path) as sink:
            yield sink
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror}") from error


def _tell(written: Written, path: Path, as_json: bool) -> None:
    if as_json:
        json_line(
            {
                "schema": SCHEMA,
                "file": str(path),
                "events": written.events,
                "first": written.first,
                "last": written.last,
                "hash": written.hash.hex(),
                "digest": written.digest,
            }
        )
        return
    line(
        f"{path}: {written.events} events, #{written.first} to #{written.last} "
        f"{written.hash.hex()}; {written.digest}"
    )
