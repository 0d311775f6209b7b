"""The `plexbridge` command: joins the verbs, and turns faults of the world into one line.

A fault that no command expected is our bug and shows its traceback.
"""

import os
import sys
from collections.abc import Sequence

import typer

from plexbridge.commands import (
    backing_up,
    channels,
    events,
    guide,
    importing,
    key,
    moment,
    projections,
    sessions,
    sources,
    why,
)
from plexbridge.commands.auditing import audit_command
from plexbridge.commands.bisect import bisect_command
from plexbridge.commands.doctoring import doctor_command
from plexbridge.commands.exits import FINE, WORLD, code_of
from plexbridge.commands.health import healthcheck, version
from plexbridge.commands.incident import incident_command
from plexbridge.commands.output import note
from plexbridge.commands.replaying import replay_command
from plexbridge.commands.serving import serve
from plexbridge.commands.whatif import whatif_command

app = typer.Typer(
    name="plexbridge",
    help="IPTV playlists in, an HDHomeRun tuner out, every viewing session on an event log.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve")(serve)
app.add_typer(sessions.app, name="sessions")
app.command("at")(moment.at_command)
app.add_typer(events.app, name="events")
app.command("replay")(replay_command)
app.command("audit")(audit_command)
app.command("whatif")(whatif_command)
app.command("bisect")(bisect_command)
app.add_typer(why.app, name="why")
app.command("incident")(incident_command)
app.add_typer(projections.app, name="projections")
app.add_typer(channels.app, name="channels")
app.add_typer(guide.app, name="guide")
app.add_typer(sources.app, name="sources")
app.add_typer(backing_up.app, name="backup")
app.add_typer(importing.app, name="import")
app.add_typer(key.app, name="key")
app.command("doctor")(doctor_command)
app.command("healthcheck")(healthcheck)
app.command("version")(version)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code (DESIGN 8.1)."""
    try:
        app(list(arguments), prog_name="plexbridge")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else FINE
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except WORLD as fault:
        for text in str(fault).splitlines():
            note(f"plexbridge: {text}")
        return code_of(fault)
    return FINE


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
