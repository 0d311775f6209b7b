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
        "broken; 4: the log was changed.",
        ("audit", "replay --all", "bisect", "projections verify", "events head"),
    ),
    (
        "## Tell a maintainer\n\nOne file, without addresses, identifiers and logins, that every "
        "verb opens.",
        (
            "incident --around 2023-11-15T03:12:00Z --minutes 5 -o night.zip",
            "replay --all --data-dir night.zip",
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
