"""`healthcheck` and `version`: what a container asks."""

import platform

import typer

from events.machine import MACHINE_ID
from plexbridge.commands.exits import FINE, FOUND, Unreachable
from plexbridge.commands.options import AsJson, DataDir, Port, settings_for
from plexbridge.commands.output import json_line, line, note
from plexbridge.commands.running import ask
from plexbridge.log.driver import SQLITE_VERSION
from plexbridge.log.schema import SCHEMA_VERSION
from plexbridge.version import __version__

OK_STATUS = 200


def healthcheck(data_dir: DataDir = None, port: Port = None) -> None:
    """Whether the bridge on this machine is alive. Exit code 0 or 1."""
    try:
        answer = ask(settings_for(data_dir, port=port), "GET", "/livez")
    except Unreachable as unreachable:
        note(f"plexbridge: {unreachable}")
        raise typer.Exit(FOUND) from None
    if answer.status != OK_STATUS:
        note(f"plexbridge: /livez answers {answer.status}")
        raise typer.Exit(FOUND)
    line("alive")
    raise typer.Exit(FINE)


def version(as_json: AsJson = False) -> None:
    """The versions in force."""
    versions = {
        "plexbridge": __version__,
        "log_schema": str(SCHEMA_VERSION),
        "machine": MACHINE_ID,
        "python": platform.python_version(),
        "sqlite": ".".join(map(str, SQLITE_VERSION)),
    }
    if as_json:
        json_line(versions)
        return
    line(f"PlexBridge {__version__}")
    for name, text in list(versions.items())[1:]:
        line(f"  {name:<11} {text}")
