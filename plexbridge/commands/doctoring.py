"""`doctor`: the first checks, told in lines."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from plexbridge.audit.redaction import Redaction
from plexbridge.commands.bundling import write_bundle
from plexbridge.commands.exits import FINE, FOUND, CannotWrite, NotUnderstood, Unreachable
from plexbridge.commands.options import AsJson, DataDir, Port, settings_for
from plexbridge.commands.output import json_line, line, note
from plexbridge.commands.running import ask
from plexbridge.doctor import Answer, State, examine
from plexbridge.settings import Settings

_MARKS = {State.FINE: "✓", State.NOTE: "▲", State.FAULT: "✗"}


SECRET_BYTES: Final = 32

Bundle = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FILE", help="Also one redacted file, for a maintainer."),
]
LogLines = Annotated[
    Path | None,
    typer.Option("--log", metavar="FILE", help="Log lines kept in a file, for the bundle."),
]


def doctor_command(
    bundle: Bundle = None,
    log: LogLines = None,
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Look at what a start needs, and say what to do. Exit code 1 when something is wrong.

    With --bundle what is said goes into a file as well, with the versions, every setting and where
    it comes from, and the newest events: without addresses, identifiers and logins. Every reading
    verb opens it. Examples:

    plexbridge doctor

    journalctl -u plexbridge -n 1000 > lines; plexbridge doctor --bundle plexbridge.zip --log lines
    """
    if log is not None and bundle is None:
        raise NotUnderstood("--log goes into a --bundle")
    settings = settings_for(data_dir, port=port)
    answers = examine(settings, lambda: bridge_answers(settings))
    if bundle is not None:
        _bundle(bundle, settings, answers, log)
    if as_json:
        json_line([answer.as_json() for answer in answers])
    else:
        for answer in answers:
            line(f"{_MARKS[answer.state]} {answer.subject:<14} {answer.text}")
    wrong = any(answer.state is State.FAULT for answer in answers)
    raise typer.Exit(FOUND if wrong else FINE)


def _bundle(path: Path, settings: Settings, answers: list[Answer], log: Path | None) -> None:
    redaction = Redaction(os.urandom(SECRET_BYTES))
    try:
        written = write_bundle(path, settings, answers, redaction, log)
    except OSError as error:
        where = error.filename or path
        raise CannotWrite(f"{where}: {error.strerror or error}") from error
    events = written.events
    told = f"no events: {written.why_no_events}" if events is None else f"{events.events} events"
    note(f"{path}: redacted; {told}, {written.lines} log lines")


def bridge_answers(settings: Settings) -> bool:
    """Whether a PlexBridge answers on the port of these settings."""
    try:
        return ask(settings, "GET", "/livez", port=settings.port).ours
    except Unreachable:
        return False
