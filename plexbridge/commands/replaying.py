"""`replay`: recorded sessions folded again through the machines that decided them."""

from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from events.ids import session_stream
from events.machine import MACHINE_ID
from plexbridge.audit.reading import recorded
from plexbridge.audit.replaying import Replay, Step, replay, steps
from plexbridge.audit.steps import SESSION_PREFIX
from plexbridge.commands.against import decide_against
from plexbridge.commands.exits import CANNOT_OPEN, FINE, FOUND, INTERRUPTED, NotUnderstood
from plexbridge.commands.moments import shown
from plexbridge.commands.opened import opened_log, session_meant
from plexbridge.commands.options import AsJson, DataDir, Utc
from plexbridge.commands.output import json_line, line, progress, table
from plexbridge.commands.stepping import Walk, pace
from plexbridge.log.reader import SqliteReader

Session = Annotated[str | None, typer.Argument(help="A session id, or a part at either end of it.")]
Everything = Annotated[bool, typer.Option("--all", help="Every session.")]
Elsewhere = Annotated[
    Path | None,
    typer.Option("--against", metavar="PATH", help="A checkout of another version."),
]

ByStep = Annotated[bool, typer.Option("--step", help="One event at each key press.")]
Speed = Annotated[
    float | None,
    typer.Option(
        "--speed",
        metavar="N",
        min=0.01,
        max=1_000_000,
        help="One event after the other as they came, N times faster.",
    ),
]

SESSION_EVENTS_MAX = 100_000
"""More steps than any session has: one a second for a day."""


def replay_command(
    session: Session = None,
    everything: Everything = False,
    against: Elsewhere = None,
    step: ByStep = False,
    speed: Speed = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Fold recorded steps again, and say where one was not allowed. Exit code 1 if so.

    With --step or --speed each event is shown with how things stood before it and what it changed:
    at the press of a key, or as it happened, so many times faster (never more than 10 s apart).
    With --against, another version decides the recorded commands, and the first difference of each
    session is shown. Examples:

    plexbridge replay 7GZ

    plexbridge replay 7GZ --step

    plexbridge replay --all --speed 60

    plexbridge replay --all

    plexbridge replay --against ../plexbridge-2.1
    """
    if (step, speed is not None, against is not None).count(True) > 1:
        raise NotUnderstood("--step, --speed and --against exclude each other")
    if against is not None:
        if session is not None and everything:
            raise NotUnderstood("replay one SESSION, or --all")
        raise typer.Exit(decide_against(against, session, data_dir, as_json))
    if (session is None) is not everything:
        raise NotUnderstood("replay one SESSION, or --all")
    zone = UTC if utc else None
    with opened_log(data_dir) as reader:
        if step or speed is not None:
            raise typer.Exit(_paced(reader, session, step, speed, as_json, zone))
        result = _at_once(reader, session, as_json, zone)
    if as_json:
        json_line(_document(result))
    else:
        _tell(result, listed=session is None)
    raise typer.Exit(_code(result))


def _at_once(
    reader: SqliteReader, session: str | None, as_json: bool, zone: tzinfo | None
) -> Replay:
    """All sessions, or one, whose steps are then told."""
    if session is None:
        head = reader.head().pos
        with progress(head) as begin:
            return replay(recorded(reader, until=head, progress=begin("Events")))
    meant = session_meant(reader, session)
    rows = reader.read_stream(session_stream(meant), 0, SESSION_EVENTS_MAX)
    if not as_json:
        table(
            ("POSITION", "TIME", "STEP", "FROM", "TO", "VERDICT"),
            [
                (
                    f"#{taken.row.pos}",
                    shown(taken.row.at, zone),
                    taken.row.type,
                    taken.row.src,
                    taken.row.dst,
                    _verdict(taken),
                )
                for taken in steps(rows)
            ],
        )
    return replay(rows)


def _paced(
    reader: SqliteReader,
    session: str | None,
    step: bool,
    speed: float | None,
    as_json: bool,
    zone: tzinfo | None,
) -> int:
    """At a person's pace; the exit code, of what was seen."""
    meant = None if session is None else session_meant(reader, session)
    try:
        with pace(step, speed) as go_on:
            result = Walk(go_on, as_json, zone, _verdict).through(reader, meant)
    except KeyboardInterrupt:
        return INTERRUPTED
    if not as_json:
        _tell(result, listed=False)
    return _code(result)


def _verdict(step: Step) -> str:
    if step.verdict.legal:
        return "legal"
    return f"{'ILLEGAL' if step.verdict.legal is False else 'UNKNOWN'}: {step.verdict.text}"


def _tell(result: Replay, *, listed: bool) -> None:
    if listed:
        for step in result.wrong:
            line(f"#{step.row.pos} {step.row.stream}#{step.row.ver} {_verdict(step)}")
        hidden = result.illegal + result.unknown - len(result.wrong)
        if hidden:
            line(f"… and {hidden} more")
    decided = ", ".join(
        f"{machine}{' (this version)' if machine == MACHINE_ID else ''}: {count}"
        for machine, count in sorted(result.machines.items())
    )
    line(
        f"{len(result.sessions)} sessions, {result.open} of them open, {result.events} steps: "
        f"{result.illegal} illegal, {result.unknown} not checkable"
    )
    if decided:
        line(f"steps decided by machine {decided}")


def _document(result: Replay) -> dict[str, Any]:
    return {
        "sessions": len(result.sessions),
        "open": result.open,
        "steps": result.events,
        "illegal": result.illegal,
        "unknown": result.unknown,
        "machines": result.machines,
        "wrong": [
            {
                "pos": step.row.pos,
                "session": step.row.stream.removeprefix(SESSION_PREFIX),
                "type": step.row.type,
                "src": step.row.src,
                "dst": step.row.dst,
                "machine": step.row.machine,
                "legal": step.verdict.legal,
                "text": step.verdict.text,
            }
            for step in result.wrong
        ],
    }


def _code(result: Replay) -> int:
    if result.illegal:
        return FOUND
    return CANNOT_OPEN if result.unknown else FINE
