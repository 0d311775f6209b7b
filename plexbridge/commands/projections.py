"""`projections ls|verify|rebuild`: what is folded and kept, compared with the log, made anew."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.projections import compare, saved
from plexbridge.audit.reading import Progress
from plexbridge.audit.standing import Standing, standings
from plexbridge.commands.exits import CANNOT_OPEN, FINE, FOUND, Unfoldable
from plexbridge.commands.moments import shown
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, data_directory
from plexbridge.commands.output import json_line, line, progress, table
from plexbridge.control import beside, stored
from plexbridge.control.building import Build
from plexbridge.control.stored import Kept
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import Connection
from plexbridge.log.sqlite import SqliteLog

app = typer.Typer(
    help="What is folded from the log and kept. A changed version is built beside the one in "
    "force and takes its place when it is level.",
    no_args_is_help=True,
)

AllKept = Annotated[
    bool, typer.Option("--kept", help="Every state that is kept, not only the newest.")
]


@app.command()
def ls(data_dir: DataDir = None, as_json: AsJson = False, every: AllKept = False) -> None:
    """How each projection stands: the version in force, the one being built, position and lag."""
    with opened_log(data_dir) as reader:
        found, kept = standings(reader), reader.query(stored.kept)
    if as_json:
        documents = _kept_json(kept, found[0].head) if every else [one.as_json() for one in found]
        for document in documents:
            json_line(document)
        return
    if not kept and not any(one.building for one in found):
        line("none kept yet: a bridge keeps them while it runs")
        return
    if every:
        table(
            ("NAME", "VERSION", "POSITION", "TIME", "DIGEST"),
            [
                (s.name, s.version, f"#{s.pos}", shown(s.at, None), s.digest.hex()[:16])
                for s in kept
            ],
        )
        return
    table(
        ("NAME", "IN FORCE", "BEING BUILT", "POSITION", "LAG", "KEPT", "STATUS"),
        [_row(one) for one in found],
    )


def _row(one: Standing) -> tuple[object, ...]:
    return (
        one.name,
        "none" if one.newest is None else f"version {one.newest.version}",
        None if one.building is None else f"version {one.building.version}",
        None if one.newest is None else f"#{one.newest.pos}",
        one.lag_events,
        one.kept,
        one.status,
    )


def _kept_json(kept: list[Kept], head: int) -> list[dict[str, object]]:
    return [
        one._asdict()
        | {"at": one.at // 1_000, "digest": one.digest.hex(), "lag_events": head - one.pos}
        for one in kept
    ]


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
    """Fold the log anew, beside what is kept, and put it in its place when it is level; what was
    interrupted changes nothing. Not while a bridge runs on the directory."""
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
        build = Build(log, decided=True)
        await build.begin()
        try:
            last = (await asyncio.to_thread(log.reader.head)).pos
            await build.advance(last)
            while build.position < last:
                advance(build.position)
                await build.advance(last)
        except (AssertionError, KeyError, TypeError, ValueError) as fault:
            await log.run_in_writer(beside.abandon)
            raise Unfoldable(build.position + 1, fault) from fault
        await build.switch()
        return await log.run_in_writer(_sessions)
    finally:
        await log.close()


def _sessions(connection: Connection) -> int:
    [(count,)] = connection.execute("SELECT count(*) FROM sessions")
    return int(count)
