"""`events prune|head`: old events out of the log, and its head into a file elsewhere."""

import asyncio
import os
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from plexbridge.commands.exits import CannotWrite
from plexbridge.commands.exporting import archive
from plexbridge.commands.moments import shown, size
from plexbridge.commands.noting import noting
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, data_directory
from plexbridge.commands.output import json_line, line, progress
from plexbridge.commands.ranges import Before, first_at
from plexbridge.control.prunes import Cut, cut_before, finish, prune
from plexbridge.data_dir import LOG_FILE
from plexbridge.log import anchors
from plexbridge.log.driver import wal_bytes
from plexbridge.log.errors import CannotOpen
from plexbridge.log.importing import check_file
from plexbridge.log.pruning import compact
from plexbridge.log.sqlite import SqliteLog

SCHEMA: Final = 1

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")]
Archive = Annotated[
    Path | None,
    typer.Option("--archive", metavar="FILE", help="Write what goes into this file first."),
]
AnchorFile = Annotated[
    Path | None, typer.Option("--anchor", metavar="FILE", help="Add the line to this file.")
]


def prune_command(
    before: Before,
    dry_run: DryRun = False,
    archive_to: Archive = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take events from before a moment out of the log. The bridge must not be running; a running
    one does this by itself every night (PLEXBRIDGE_RETENTION_DAYS, PLEXBRIDGE_RETENTION_MB).

    No session is torn and nothing that is open goes: the cut is made where nothing was open. What
    the events came to is sealed, so that figures, `at` and `audit` go on from there; the prune is
    an event itself. Examples:

    plexbridge events prune --before '30d ago' --dry-run

    plexbridge events prune --before 2026-10-01 --archive 2026-q3.ndjson.zst
    """
    directory = data_directory(data_dir)
    if directory.is_file() and not dry_run:
        raise CannotOpen(directory, "a file is only read; `events import` makes a log of it")
    path = directory / LOG_FILE
    with opened_log(data_dir) as reader:
        wanted = first_at(reader, before) - 1
        if dry_run:
            _tell(cut_before(reader, wanted), as_json, done=False)
            return
    held_bytes = path.stat().st_size + wal_bytes(path)
    cut, digest = asyncio.run(_prune(path, wanted, archive_to))
    if cut is not None:
        compact(path)
    freed_bytes = max(0, held_bytes - path.stat().st_size)
    _tell(cut, as_json, done=True, freed_bytes=freed_bytes, archive_digest=digest)


async def _prune(path: Path, wanted: int, archive_to: Path | None) -> tuple[Cut | None, str | None]:
    log = SqliteLog(path)
    digest = None
    try:
        await finish(log)
        cut = await asyncio.to_thread(cut_before, log.reader, wanted)
        if cut is not None:
            if archive_to is not None:
                digest = await asyncio.to_thread(_archive, log, cut, archive_to)
            await prune(log, noting(log), cut, why="asked", archive=digest)
        return cut, digest
    finally:
        await log.close()


def _archive(log: SqliteLog, cut: Cut, out: Path) -> str:
    with progress(cut.pos) as begin:
        written = archive(log.reader, cut.pos, out, begin("Archive"))
        check_file(out, begin("Reading again"))
    return written.digest


def _tell(
    cut: Cut | None,
    as_json: bool,
    *,
    done: bool,
    freed_bytes: int = 0,
    archive_digest: str | None = None,
) -> None:
    if as_json:
        json_line(_document(cut, done) | {"freed_bytes": freed_bytes, "archive": archive_digest})
        return
    if cut is None:
        line("nothing that could go lies before that moment")
        return
    until = shown(cut.folding.shown.at, None)
    what = f"{cut.events} events, #{cut.first} to #{cut.pos} ({until})"
    if not done:
        line(f"would go: {what}")
        if cut.split:
            line(f"no quiet moment: {cut.split} sessions and leases lose their beginning")
        return
    line(f"pruned {what}; {size(freed_bytes)} given back")
    line(f"the log now begins behind #{cut.pos} {cut.hash.hex()}")
    if archive_digest is not None:
        line(f"archive {archive_digest}")


def _document(cut: Cut | None, done: bool) -> dict[str, Any]:
    if cut is None:
        return {"schema": SCHEMA, "pruned": False, "events": 0}
    return {
        "schema": SCHEMA,
        "pruned": done,
        "events": cut.events,
        "first": cut.first,
        "last": cut.pos,
        "hash": cut.hash.hex(),
        "split": cut.split,
    }


def head_command(
    anchor: AnchorFile = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Where the log ends, and the hash that stands for everything before.

    Kept elsewhere, the line is an anchor: `plexbridge audit --anchor FILE` then notices a tail cut
    off and a log written anew. Examples:

    plexbridge events head --anchor /mnt/nas/plexbridge.anchors

    plexbridge events head --json
    """
    with opened_log(data_dir) as reader:
        head = reader.head()
        last = reader.read(head.pos - 1, 1)
    when = shown(last[0].at, UTC).replace(" ", "T") + "Z" if last else "-"
    text = anchors.line_of(head, when)
    if anchor is not None:
        try:
            _add(anchor, text)
        except OSError as error:
            raise CannotWrite(f"cannot write {anchor}: {error.strerror}") from error
    if as_json:
        at = last[0].at // 1_000 if last else None
        json_line({"schema": SCHEMA, "position": head.pos, "hash": head.hash.hex(), "at": at})
    else:
        line(text)


def _add(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
