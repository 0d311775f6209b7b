"""`projections ls|verify|rebuild`: what is folded and kept, compared with the log, made anew."""

import asyncio
from pathlib import Path
from typing import Final

import typer

from events.policy import Policy
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.projections import compare, saved
from plexbridge.audit.reading import Progress, recorded
from plexbridge.commands.exits import CANNOT_OPEN, FINE, FOUND, Unfoldable
from plexbridge.commands.moments import shown
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, data_directory
from plexbridge.commands.output import json_line, line, progress, table
from plexbridge.control import stored
from plexbridge.control.seals import beginning
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import Connection
from plexbridge.log.sqlite import SqliteLog
from projections.live import document

app = typer.Typer(help="What is folded from the log and kept.", no_args_is_help=True)

ROWS_SAVED_AT_ONCE: Final = 10_000
"""Session rows held while rebuilding, some 10 MB."""


@app.command()
def ls(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The states that are kept, and how far each lags behind the log."""
    with opened_log(data_dir) as reader:
        states, head = reader.query(stored.kept), reader.head().pos
    if as_json:
        for state in states:
            kept = state._asdict() | {"at": state.at // 1_000, "digest": state.digest.hex()}
            json_line(kept | {"lag_events": head - state.pos})
        return
    if not states:
        line("none kept yet: a bridge keeps them while it runs")
        return
    table(
        ("NAME", "VERSION", "POSITION", "TIME", "LAG", "DIGEST"),
        [
            (s.name, s.version, f"#{s.pos}", shown(s.at, None), head - s.pos, s.digest.hex()[:16])
            for s in states
        ],
    )


@app.command()
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Fold the log anew and compare. Exit code 1 where something differs."""
    with opened_log(data_dir) as reader, progress(reader.head().pos) as begin:
        there = saved(reader)
        findings = list(compare(reader, there, begin("Events")))
    if as_json:
        found = [finding.as_json() for finding in findings]
        json_line({"examined": there.examined, "findings": found})
    else:
        for finding in findings:
            line(f"{'?' if finding.kind is Kind.UNCHECKED else '✗'} {finding.text}")
        if not findings:
            line(f"✓ {there.examined} stored states and rows equal their rebuild")
    raise typer.Exit(_code(findings))


def _code(findings: list[Finding]) -> int:
    if any(finding.kind is not Kind.UNCHECKED for finding in findings):
        return FOUND
    return CANNOT_OPEN if findings else FINE


@app.command()
def rebuild(data_dir: DataDir = None) -> None:
    """Drop what is kept and fold the log anew. Not while a bridge runs on the directory."""
    with opened_log(data_dir) as reader:
        total = reader.head().pos
    path = data_directory(data_dir) / LOG_FILE
    with progress(total) as begin:
        count = asyncio.run(_rebuild(path, begin("Events")))
    line(f"rebuilt from {total} events: {count} sessions")


async def _rebuild(path: Path, advance: Progress) -> int:
    log = SqliteLog(path)
    try:
        await log.run_in_writer(stored.prepare)
        return await log.run_in_writer(lambda connection: _fold_anew(connection, log, advance))
    finally:
        await log.close()


def _fold_anew(connection: Connection, log: SqliteLog, advance: Progress) -> int:
    """In one transaction: either all of it is new, or nothing changed."""
    stored.clear(connection)
    folding = beginning(connection)
    last = log.reader.head().pos
    for row in recorded(log.reader, after=folding.position, until=last, progress=advance):
        try:
            folding.fold(row)
        except (AssertionError, KeyError, TypeError, ValueError) as fault:
            raise Unfoldable(row.pos, fault) from fault
        live = folding.shown.live
        due = row.pos == last or row.pos % stored.KEEP_EVERY == 0
        if due or len(live.touched) >= ROWS_SAVED_AT_ONCE:
            policy = Policy.from_payload(live.state["policy"])
            rows = [document(changed, policy) for changed in live.touched.values()]
            live.touched.clear()
            stored.save(connection, folding.dump(), folding.position, folding.shown.at, rows)
    [(sessions,)] = connection.execute("SELECT count(*) FROM sessions")
    return int(sessions)
