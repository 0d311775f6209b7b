"""`audit`: whether the log kept its promises."""

from pathlib import Path
from typing import Annotated

import typer

from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.projections import compare, saved
from plexbridge.audit.report import Report, Result, audit
from plexbridge.commands.exits import BROKEN, CANNOT_OPEN, FINE, FOUND
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir
from plexbridge.commands.output import json_line, line, progress
from plexbridge.log.anchors import read_anchors

_MARKS = {Kind.BROKEN: "✗", Kind.PROBLEM: "✗", Kind.UNCHECKED: "?"}


AnchorFile = Annotated[
    Path | None,
    typer.Option(
        "--anchor",
        metavar="FILE",
        help="Hashes kept elsewhere: of `events head`, of /api/log/head, or log lines.",
    ),
]


def audit_command(
    anchor: AnchorFile = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Check the chain, every step, ending, lease, limit, clean-up and projection.

    The chain alone cannot show a tail that was cut off, nor a log written anew; an anchor does.
    Exit code 0: all is well; 1: something was found; 3: something could not be checked; 4: the log
    is not what was written. Examples:

    plexbridge audit

    plexbridge audit --anchor /mnt/nas/plexbridge.anchors

    plexbridge audit --data-dir incident.zip --json
    """
    anchors = [] if anchor is None else read_anchors(anchor)
    with opened_log(data_dir) as reader, progress(reader.head().pos) as begin:
        report = audit(
            reader,
            projections=lambda: compare(reader, saved(reader)),
            anchors=anchors,
            progress=begin,
        )
    if as_json:
        json_line(report.as_json())
    else:
        _tell(report)
    raise typer.Exit(_code(report))


def _tell(report: Report) -> None:
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
    line(f"head #{report.head.pos} {report.head.hash.hex()}")
    if not report.found and not report.unchecked:
        line("nothing found")
    else:
        line(f"{report.found} found, {report.unchecked} not checked")


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
