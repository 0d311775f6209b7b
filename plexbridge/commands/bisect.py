"""`bisect`: the first position where an invariant fails, or a total reaches a number."""

from typing import Annotated

import typer

from events.ids import Position
from plexbridge.audit.bisect import (
    Failed,
    NoInvariant,
    first_failure,
    first_reached,
    invariants,
    total_of,
)
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.report import CHAIN
from plexbridge.commands.events import told
from plexbridge.commands.exits import BROKEN, CANNOT_OPEN, FINE, FOUND, NotUnderstood
from plexbridge.commands.folded import dashboard_at
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir
from plexbridge.commands.output import json_line, line, progress
from plexbridge.log.reader import SqliteReader

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CHECK]…", help=f"Of {', '.join(invariants())}; all, if none."),
]
Total = Annotated[
    str | None,
    typer.Option(
        "--total",
        metavar="PATH[=N]",
        help="Instead: where this total of the dashboard reaches N (1), such as ended.orphaned.",
    ),
]


def bisect_command(
    names: Names = None, total: Total = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """The first position at which an invariant fails. Exit code 1 when there is one.

    An audit's checks are searched in one pass that ends at the first finding; a total, which only
    grows, by halving. Examples:

    plexbridge bisect

    plexbridge bisect leases limits

    plexbridge bisect --total refused.all_tuners_in_use=10
    """
    if names and total is not None:
        raise NotUnderstood("a CHECK and --total exclude each other")
    try:
        with opened_log(data_dir) as reader:
            if total is None:
                with progress(reader.head().pos) as begin:
                    failed = first_failure(reader, tuple(names or ()), begin)
            else:
                failed = _reached(reader, total)
            row = _event(reader, failed)
    except NoInvariant as wrong:
        raise NotUnderstood(str(wrong)) from wrong
    finding = failed.finding
    if as_json:
        json_line(failed.as_json())
    elif finding is None:
        line(f"nothing up to #{failed.examined}")
    else:
        place = "" if finding.pos is None else f"#{finding.pos} "
        line(f"{finding.check}: {place}{finding.text}")
        if row:
            line(row)
    raise typer.Exit(_code(finding))


def _code(finding: Finding | None) -> int:
    if finding is None:
        return FINE
    if finding.kind is Kind.UNCHECKED:
        return CANNOT_OPEN
    return BROKEN if finding.check == CHAIN else FOUND


def _reached(reader: SqliteReader, asked: str) -> Failed:
    path, _, number = asked.partition("=")
    if number and not number.isdecimal():
        raise NotUnderstood(f"--total {asked}: {number!r} is no whole number")
    at_least, head = int(number or 1), reader.head().pos
    total_of(dashboard_at(reader, head), path)
    pos = first_reached(
        lambda position: total_of(dashboard_at(reader, Position(position)), path),
        at_least,
        reader.first(),
        head,
    )
    if pos is None:
        return Failed(None, head)
    return Failed(Finding(check="total", pos=pos, text=f"{path} is {at_least} here"), head)


def _event(reader: SqliteReader, failed: Failed) -> str:
    """The event that stands there, in a line."""
    if failed.finding is None or failed.finding.pos is None:
        return ""
    rows = reader.read(failed.finding.pos - 1, 1)
    return told(rows[0], None) if rows and failed.finding.check != CHAIN else ""
