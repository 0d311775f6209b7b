"""`docs/audit.md`: a walk through one bad night, its commands run and their output written down.

`python -m tests.docs.audit_walk` writes the page; a test makes it again and compares.
"""

import contextlib
import io
import shlex
import sys
import tempfile
from pathlib import Path

from plexbridge.cli import run
from tests.docs.bad_night import bad_night
from tests.service.written_logs import write

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"

_TITLE = """# Ask the log: one bad night

Everything that happened to a viewing session is in the event log, with its cause; so every
question about the past has an answer. This page asks them of one recorded night: a provider that
breaks off, a viewer who zaps, one who is refused, and a bridge that is killed. The commands were
run on that log, and their output is as they printed it; a test runs them again at every change.

Each verb reads a data directory (`--data-dir`), beside a running bridge or without one, or a file
that `events export`, `events archive` or `incident` wrote. Moments are times (`03:12`, `'2h
ago'`, ISO 8601) or positions (`'#46'`). `--json` gives each answer to programs.
"""

_PRUNED = """## Keep less

Old events leave from the front: `events archive --before '90d ago' -o 2026-q3.ndjson.zst` writes
them into a file that every verb reads, `events prune --before '90d ago'` takes them out of the
log. The running bridge does that by itself each night, by age and by size
(`PLEXBRIDGE_RETENTION_DAYS`, `PLEXBRIDGE_RETENTION_MB`). What stood at the cut is sealed, so that
everything later is answered as before; what was taken is an event. A session that is open is
never cut.

## Keep a copy

`backup create -o plexbridge.zip` puts the log, the channels' edits, settings, sources, logins and
keys into one file, beside a running bridge or without one: for its owner's eyes only. `backup
verify` checks every digest and the chain; `backup restore` makes an empty directory into what was
kept, and never writes over anything.

## When a release folds otherwise

What is shown is kept as states and as one row a session, under the version of their fold. A
release that folds otherwise begins with the old ones in force: what is decided on is right before
anybody is answered, and the new dashboard is built beside it, page by page, while players are
served. When it is level with the log, one transaction puts it in the place of the old one. Until
then `/api/dashboard` and the pages say how far it is (503 `being_built`) and no number of it; the
old rows stay, so that the release before can still open the file. What a crash interrupts goes
on, or begins again. `projections ls` shows the version in force and the one being built;
`projections rebuild` does the same without a bridge; `projections verify` compares all of it with
the log.

## For notebooks

The same functions are there in Python, with docstrings: `plexbridge.audit` (`whatif`, `why`,
`bisect`, `story`, `incident`, …) over a `plexbridge.log.reader.SqliteReader`. The file itself is
plain SQLite: `sqlite-utils` and Datasette open `plexbridge.db`; table `events` has one row an
event (`data` is JSON), table `sessions` one document a session.
"""

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "## What was going on at 03:12?\n\nThe page of that moment, folded from the log.",
        ("at 2023-11-15T03:12:00Z --utc",),
    ),
    (
        "## What changed until the bridge was back?",
        ("at 2023-11-15T03:12:00Z --diff 2023-11-15T03:16:30Z --utc",),
    ),
    (
        "## Who watched, and why did it end?\n\nThe story of the living room: a reconnect in vain, "
        "a failover to the other account, and a crash.",
        ("sessions ls --utc", "sessions show 0001 --utc"),
    ),
    (
        "## How did it go, step by step?\n\nEach event with how things stood before it and what it "
        "changed: as it happened and so many times faster (`--speed`), or at the press of a key "
        "(`--step`).",
        ("replay 0001 --speed 1000000 --utc",),
    ),
    (
        "## Why was somebody refused, and who held the tuners?",
        (
            "events tail --type refused --utc",
            "why refused refusal8 --utc",
            "why tuner 2 busy --at 2023-11-15T03:11:45Z --utc",
        ),
    ),
    (
        "## Which events speak of the other account?",
        ("events grep spare --utc",),
    ),
    (
        "## Would one tuner more have helped?\n\nThe recorded inputs, decided again under another "
        "policy. With the recorded one, the log comes out again exactly.",
        ("whatif --policy tuners=4", "whatif --policy tuners=3"),
    ),
    (
        "## Does the log keep its promises?\n\nExit code 0: nothing found; 1: a promise was "
        "broken; 3: something could not be checked; 4: the log was changed.\n\nBeside a running "
        "bridge the audit also asks it what it holds open (`--live` insists on it): connections, "
        "relays, leases and child processes, compared with the log in both directions. `--since` "
        "begins at the nearest stored state before a moment, and says what it takes on trust.",
        ("audit", "replay --all", "bisect", "projections verify", "events head"),
    ),
    (
        "## Tell a maintainer\n\nOne file, without addresses, identifiers and logins, that every "
        "verb opens; with `--as-test` a history that `tests/histories` runs at every change, from "
        "the middle of a log too. `doctor --bundle FILE` is the same of how things are now: what "
        "the doctor says, versions, settings and where they come from, the newest events.",
        (
            "incident --around 2023-11-15T03:12:00Z --minutes 5 -o night.zip",
            "replay --all --data-dir night.zip",
            "incident --around 2023-11-15T03:12:00Z --minutes 3 --as-test -o night.ndjson",
        ),
    ),
)


def asked(words: str, data_dir: Path) -> str:
    """One command, and what it printed on stdout."""
    told = io.StringIO()
    arguments = shlex.split(words)
    if "--data-dir" not in arguments:
        arguments += ["--data-dir", str(data_dir)]
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(io.StringIO()):
        code = run(arguments)
    shown = "\n".join(line.rstrip() for line in told.getvalue().rstrip().splitlines())
    end = f"\n(exit code {code})" if code else ""
    return f"$ plexbridge {words}\n{shown}{end}"


def page() -> str:
    """The whole page."""
    parts = [_TITLE]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        data_dir = Path(folder) / "data"
        write(data_dir, bad_night())
        for prose, commands in STEPS:
            parts.append(prose)
            for words in commands:
                parts.append(f"```console\n{asked(words, data_dir)}\n```")
    return "\n\n".join([*parts, _PRUNED]).replace("\n\n\n", "\n\n")


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE.name} is written\n")
