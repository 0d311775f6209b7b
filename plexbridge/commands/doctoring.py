"""`doctor`: the first checks, told in lines."""

import typer

from plexbridge.commands.exits import FINE, FOUND, Unreachable
from plexbridge.commands.options import AsJson, DataDir, Port, settings_for
from plexbridge.commands.output import json_line, line
from plexbridge.commands.running import ask
from plexbridge.doctor import State, examine
from plexbridge.settings import Settings

_MARKS = {State.FINE: "✓", State.NOTE: "▲", State.FAULT: "✗"}


def doctor_command(data_dir: DataDir = None, port: Port = None, as_json: AsJson = False) -> None:
    """Look at what a start needs, and say what to do. Exit code 1 when something is wrong."""
    settings = settings_for(data_dir, port=port)
    answers = examine(settings, lambda: bridge_answers(settings))
    if as_json:
        json_line([answer.as_json() for answer in answers])
    else:
        for answer in answers:
            line(f"{_MARKS[answer.state]} {answer.subject:<14} {answer.text}")
    wrong = any(answer.state is State.FAULT for answer in answers)
    raise typer.Exit(FOUND if wrong else FINE)


def bridge_answers(settings: Settings) -> bool:
    """Whether a PlexBridge answers on the port of these settings."""
    try:
        return ask(settings, "GET", "/livez").ours
    except Unreachable:
        return False
