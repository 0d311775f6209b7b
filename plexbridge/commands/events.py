"""`events tail` and `events export`: the recorded events themselves."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import orjson
import typer

from events.envelope import Recorded
from events.ids import Position
from plexbridge.audit.event_json import event_json
from plexbridge.audit.reading import PAGE_EVENTS, recorded
from plexbridge.clock import SteadyClock
from plexbridge.commands.exits import INTERRUPTED, CannotWrite
from plexbridge.commands.moments import parse_moment, shown
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, Utc
from plexbridge.commands.output import json_line, line, note, progress
from plexbridge.log.reader import SqliteReader

app = typer.Typer(help="The recorded events.", no_args_is_help=True)

POLL_S: Final = 0.25
"""Between two looks of `tail -f`: each is one look-up of the head, and a person sees no delay."""

Stream = Annotated[
    str | None, typer.Option("--stream", help="Only streams that begin so, such as session-01J.")
]
Type = Annotated[list[str] | None, typer.Option("--type", help="Only this type; repeatable.")]
Since = Annotated[str | None, typer.Option("--since", help="From this moment: 03:12, `2h ago`, …")]
Lines = Annotated[int, typer.Option("--lines", "-n", min=0, help="The last so many.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is recorded.")]
Out = Annotated[Path | None, typer.Option("--out", help="Into this file instead of stdout.")]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted."""

    stream: str = ""
    types: frozenset[str] = frozenset()

    def wants(self, row: Recorded) -> bool:
        """Whether this is one of them."""
        return row.stream.startswith(self.stream) and (not self.types or row.type in self.types)


@app.command()
def tail(
    data_dir: DataDir = None,
    lines: Lines = 20,
    follow: Follow = False,
    stream: Stream = None,
    type_: Type = None,
    since: Since = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """The last events, and with -f those that follow."""
    wanted = Filter(stream or "", frozenset(type_ or ()))
    zone = UTC if utc else None
    with opened_log(data_dir) as reader:
        head = reader.head().pos
        start = _start(reader, since, zone)
        if since is None:
            rows = _last(reader, lines, wanted, start, head)
        else:
            rows = [row for row in recorded(reader, after=start, until=head) if wanted.wants(row)]
        _print(rows, as_json, zone)
        if not follow:
            return
        try:
            asyncio.run(_follow(reader, head, wanted, as_json, zone))
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


@app.command()
def export(
    data_dir: DataDir = None,
    out: Out = None,
    stream: Stream = None,
    type_: Type = None,
    since: Since = None,
) -> None:
    """Every event as NDJSON; the digest of what was written goes to stderr."""
    wanted = Filter(stream or "", frozenset(type_ or ()))
    with opened_log(data_dir) as reader:
        head = reader.head()
        start = _start(reader, since, None)
        with progress(head.pos) as begin:
            rows = recorded(reader, after=start, until=head.pos, progress=begin("Events"))
            wanted_rows = filter(wanted.wants, rows)
            if out is None:
                count, digest = _write(wanted_rows, sys.stdout.buffer)
            else:
                count, digest = _write_file(wanted_rows, out)
        note(f"exported {count} events; head #{head.pos} {head.hash.hex()}; sha256 {digest}")


def _start(reader: SqliteReader, since: str | None, zone: tzinfo | None) -> int:
    """The position behind which to read."""
    base: int = reader.base().pos
    if since is None:
        return base
    moment = parse_moment(since, SteadyClock().now(), zone)
    if moment.position is not None:
        return max(base, moment.position - 1)
    assert moment.at is not None, "a moment is a position or a time"
    return max(base, reader.position_at(Position(moment.at - 1)))


def _last(reader: SqliteReader, count: int, wanted: Filter, start: int, end: int) -> list[Recorded]:
    """The last `count` wanted events in `(start, end]`, page by page from the end."""
    found: list[Recorded] = []
    while end > start and len(found) < count:
        begin = max(start, end - PAGE_EVENTS)
        page = [row for row in reader.read(begin, end - begin) if wanted.wants(row)]
        found = page + found
        end = begin
    return found[-count:] if count else []


async def _follow(
    reader: SqliteReader, pos: int, wanted: Filter, as_json: bool, zone: tzinfo | None
) -> None:
    while True:
        page = await asyncio.to_thread(reader.read, pos, PAGE_EVENTS)
        if page:
            pos = page[-1].pos
            _print(filter(wanted.wants, page), as_json, zone)
            sys.stdout.flush()
        else:
            await asyncio.sleep(POLL_S)


def _print(rows: Iterable[Recorded], as_json: bool, zone: tzinfo | None) -> None:
    for row in rows:
        if as_json:
            json_line(event_json(row))
        else:
            line(told(row, zone))


def told(row: Recorded, zone: tzinfo | None) -> str:
    """One event in one line."""
    event = event_json(row)
    data = event["data"]
    step = f"{row.src} → {row.dst}" if row.dst is not None else ""
    why = " ".join(str(event[name]) for name in ("reason", "detail") if event.get(name))
    if not why:
        names = ("rule", "why", "tuner", "source", "attempt", "bytes")
        why = " ".join(f"{name}={data[name]}" for name in names if name in data)
    told_by = f"#{row.pos:<7} {shown(row.at, zone)}  {row.stream}#{row.ver}"
    return f"{told_by}  {row.type:<13} {step:<23} {why}".rstrip()


def _write(rows: Iterable[Recorded], file: BinaryIO) -> tuple[int, str]:
    """Write NDJSON; how many, and the SHA-256 of the bytes written."""
    digest, count = hashlib.sha256(), 0
    for row in rows:
        text = orjson.dumps(event_json(row), option=orjson.OPT_APPEND_NEWLINE)
        digest.update(text)
        file.write(text)
        count += 1
    file.flush()
    return count, digest.hexdigest()


def _write_file(rows: Iterable[Recorded], out: Path) -> tuple[int, str]:
    """Write the whole file, or leave what stood there."""
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            written = _write(rows, file)
            os.fsync(file.fileno())
        part.replace(out)
    except OSError as error:
        raise CannotWrite(f"cannot write {out}: {error.strerror}") from error
    return written
