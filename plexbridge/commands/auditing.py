"""`audit`: whether the log kept its promises."""

from pathlib import Path
from typing import Annotated

import typer

from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.projections import compare, saved
from plexbridge.audit.report import Report, Result, audit
from plexbridge.audit.since import Since as Begun
from plexbridge.audit.since import since as nearest_before
from plexbridge.commands.beside import Beside, NoBridge, beside
from plexbridge.commands.exits import (
    BROKEN,
    CANNOT_OPEN,
    FINE,
    FOUND,
    NotUnderstood,
    Unreachable,
)
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, Port, data_directory
from plexbridge.commands.output import json_line, line, progress
from plexbridge.commands.ranges import first_at
from plexbridge.log.anchors import read_anchors
from plexbridge.log.reader import SqliteReader

_MARKS = {Kind.BROKEN: "✗", Kind.PROBLEM: "✗", Kind.UNCHECKED: "?"}


AnchorFile = Annotated[
    Path | None,
    typer.Option(
        "--anchor",
        metavar="FILE",
        help="Hashes kept elsewhere: of `events head`, of /api/log/head, or log lines.",
    ),
]

Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="Only from this moment on: 03:12, '2h ago', #88412; what lies before is trusted.",
    ),
]

IsLive = Annotated[
    bool | None,
    typer.Option(
        "--live/--no-live",
        help="Ask the running bridge what it holds open; by default, if one runs here.",
        show_default=False,
    ),
]


def audit_command(
    anchor: AnchorFile = None,
    since: Since = None,
    live: IsLive = None,
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Check the chain, every step, ending, lease, limit, clean-up and projection; of a running
    bridge, its sockets, relays and child processes as well.

    The chain alone cannot show a tail that was cut off, nor a log written anew; an anchor does.
    Exit code 0: all is well; 1: something was found; 3: something could not be checked; 4: the log
    is not what was written. Examples:

    plexbridge audit

    plexbridge audit --anchor /mnt/nas/plexbridge.anchors

    plexbridge audit --since '1d ago'

    plexbridge audit --live || echo "the running bridge is not what its log says"

    plexbridge audit --data-dir incident.zip --json
    """
    anchors = [] if anchor is None else read_anchors(anchor)
    with opened_log(data_dir) as reader, progress(reader.head().pos) as begin:
        begun = None if since is None else nearest_before(reader, _asked(reader, since))
        folding = None if begun is None else begun.folding
        more, not_beside = _beside(data_directory(data_dir), reader, port, live)
        report = audit(
            reader,
            projections=lambda: compare(reader, saved(reader), begun=folding),
            anchors=anchors,
            since=begun,
            more=more,
            not_beside=not_beside,
            progress=begin,
        )
    if as_json:
        json_line(report.as_json())
    else:
        _tell(report)
    raise typer.Exit(_code(report))


def _beside(
    directory: Path, reader: SqliteReader, port: int | None, live: bool | None
) -> tuple[tuple[Beside, ...], str]:
    """The running bridge to ask; where none is asked, why.

    Raises:
        Unreachable: it was asked for, and there is none.
    """
    if live is False:
        return (), "left out by --no-live"
    try:
        return (beside(directory, reader, port),), ""
    except NoBridge as none:
        if live:
            raise Unreachable(str(none)) from none
        return (), str(none)


def _asked(reader: SqliteReader, since: str) -> int:
    """The first position meant."""
    asked, head = first_at(reader, since), reader.head().pos
    if asked > head + 1:
        raise NotUnderstood(f"the log ends at #{head}, before #{asked}")
    return asked


def _tell(report: Report) -> None:
    if report.since is not None:
        line(_trusted(report.since, report.first))
    if report.first > 1:
        line(f"events before #{report.first} were pruned; what began earlier is not checked")
    for result in report.results:
        for finding in result.findings:
            line(_finding(finding))
        hidden = result.found + result.unchecked - len(result.findings)
        if hidden:
            line(f"  … and {hidden} more of {result.name}")
        if result.fine:
            line(f"✓ {result.promise}{_examined(result)}")
    if report.not_beside:
        line(f"- sockets: not compared, {report.not_beside}")
    line(f"head #{report.head.pos} {report.head.hash.hex()}")
    if not report.found and not report.unchecked:
        line("nothing found")
    else:
        line(f"{report.found} found, {report.unchecked} not checked")


def _trusted(since: Begun, first: int) -> str:
    if since.asked <= first:
        return f"checked from #{first} on, where this log begins"
    if since.trusted < first:
        return f"checked from #{first} on: no state was stored between there and #{since.asked}"
    return (
        f"checked from #{since.trusted + 1} on; taken on trust, and not checked: events #{first} "
        f"to #{since.trusted}, and the state stored there"
    )


def _finding(finding: Finding) -> str:
    place = "" if finding.pos is None else f"#{finding.pos} "
    return f"{_MARKS[finding.kind]} {finding.check}: {place}{finding.text}"


def _examined(result: Result) -> str:
    return f" ({result.examined:,})" if result.examined else ""


def _code(report: Report) -> int:
    if report.broken:
        return BROKEN
    if report.found:
        return FOUND
    return CANNOT_OPEN if report.unchecked else FINE
