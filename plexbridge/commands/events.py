"""`events tail` and `grep`: the recorded events themselves; and the group of verbs about them."""

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Annotated, Final

import orjson
import typer

from events.envelope import Recorded
from plexbridge.audit.event_json import event_json
from plexbridge.audit.reading import PAGE_EVENTS, recorded
from plexbridge.commands.exits import FOUND, INTERRUPTED
from plexbridge.commands.exporting import archive_command, export_command, import_command
from plexbridge.commands.moments import shown
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, Utc
from plexbridge.commands.output import json_line, line
from plexbridge.commands.pruning import head_command, prune_command
from plexbridge.commands.ranges import first_at
from plexbridge.log.reader import SqliteReader

app = typer.Typer(help="The recorded events.", no_args_is_help=True)
app.command("export")(export_command)
app.command("import")(import_command)
app.command("archive")(archive_command)
app.command("prune")(prune_command)
app.command("head")(head_command)

POLL_S: Final = 0.25
"""Between two looks of `tail -f`: each is one look-up of the head, and a person sees no delay."""

Stream = Annotated[
    str | None, typer.Option("--stream", help="Only streams that begin so, such as session-01J.")
]
Type = Annotated[list[str] | None, typer.Option("--type", help="Only this type; repeatable.")]
Since = Annotated[str | None, typer.Option("--since", help="From this moment: 03:12, `2h ago`, …")]
Lines = Annotated[int, typer.Option("--lines", "-n", min=0, help="The last so many.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is recorded.")]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted."""

    stream: str = ""
    types: frozenset[str] = frozenset()
    text: str = ""
    """Case-folded; anywhere in the event as JSON."""

    def wants(self, row: Recorded) -> bool:
        """Whether this is one of them."""
        if not row.stream.startswith(self.stream) or (self.types and row.type not in self.types):
            return False
        return not self.text or self.text in orjson.dumps(event_json(row)).decode().casefold()


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
def grep(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Upper and lower case are one.")],
    data_dir: DataDir = None,
    stream: Stream = None,
    type_: Type = None,
    since: Since = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Events that hold a text anywhere: an address, a channel's name, a reason. Exit code 1 when
    there is none."""
    wanted = Filter(stream or "", frozenset(type_ or ()), text.casefold())
    zone = UTC if utc else None
    count = 0
    with opened_log(data_dir) as reader:
        start = _start(reader, since, zone)
        for row in recorded(reader, after=start, until=reader.head().pos):
            if wanted.wants(row):
                count += 1
                _print([row], as_json, zone)
    if not count:
        raise typer.Exit(FOUND)


def _start(reader: SqliteReader, since: str | None, zone: tzinfo | None) -> int:
    """The position behind which to read."""
    base: int = reader.base().pos
    return base if since is None else max(base, first_at(reader, since, zone) - 1)


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
