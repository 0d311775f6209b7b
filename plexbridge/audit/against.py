"""Recorded commands decided by another version: the first difference of each session.

The other version's `events` package runs in a process of its own, under the interpreter of its
checkout where it has one. Each decision is judged on the recorded state, so that one difference
does not make others: Temporal's replayer, for one's own history.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import orjson

from events.decide import decide
from events.envelope import Recorded
from events.machine import IllegalStep
from events.refusals import Refused
from events.world import World
from plexbridge.audit import elsewhere
from plexbridge.audit.inputs import Input, Inputs, same

SCHEMA: Final = "plexbridge.against/1"

DIFFERENCES_KEPT_MAX: Final = 1_000
"""Sessions whose first difference is kept; all are counted."""


class CannotDecideElsewhere(Exception):
    """The other version does not start, or cannot fold this log; one line that says why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that came out otherwise."""

    pos: int
    about: str
    """A session's id, or the stream where none is concerned."""
    command: str
    kind: str
    """`decision`, or `fields`: only names that one version does not have."""
    recorded: tuple[str, ...]
    decided: tuple[str, ...]
    as_recorded_here: bool
    """Whether this version decides as recorded."""

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "pos": self.pos,
            "about": self.about,
            "command": self.command,
            "kind": self.kind,
            "recorded": list(self.recorded),
            "decided": list(self.decided),
            "as_recorded_here": self.as_recorded_here,
        }


@dataclass(slots=True)
class Against:
    """What the comparison came to."""

    machine: str = ""
    """The other version's."""
    commands: int = 0
    decisions: int = 0
    """Differences of outcome; all, not only the first of each session."""
    fields: int = 0
    first: dict[str, Difference] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "schema": SCHEMA,
            "machine": self.machine,
            "commands": self.commands,
            "differences": self.decisions,
            "differences_of_fields": self.fields,
            "first": [one.as_json() for one in self.first.values()],
        }


def against(path: Path, rows: Iterable[Recorded]) -> Against:
    """Decide the commands of a log, from its first event, with the `events` of `path`. Blocks.

    Raises:
        CannotDecideElsewhere: as said.
        Unexplained, NewerLog, ValueError, AssertionError, KeyError: see `Inputs`.
    """
    process = _started(path)
    assert process.stdin is not None, "asked for"
    assert process.stdout is not None, "asked for"
    assert process.stderr is not None, "asked for"
    with process, ThreadPoolExecutor(1) as thread:
        # A thread of its own writes, or both would wait for the other to read.
        feeding = thread.submit(_feed, process.stdin, Inputs(rows))
        try:
            result = _compared(path, process.stdout, process.stderr)
        finally:
            process.kill()
        result.commands = feeding.result()
        return result


def _started(path: Path) -> "subprocess.Popen[bytes]":
    if not (path / "events" / "decide.py").is_file():
        raise CannotDecideElsewhere(f"{path} holds no `events` package")
    own = path / ".venv" / "bin" / "python"
    return subprocess.Popen(
        # -P: or the directory of the script itself would come first on the path.
        [str(own) if own.exists() else sys.executable, "-B", "-P", elsewhere.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(path.absolute()), "PATH": os.environ.get("PATH", "")},
    )


def _feed(pipe: IO[bytes], inputs: Inputs) -> int:
    """Give over every command with what was recorded of it; how many."""
    count = 0
    with suppress(BrokenPipeError), pipe:  # broken: it has stopped, and says why
        for given in inputs:
            pipe.write(_line(given, inputs.world))
            count += 1
    return count


def _line(given: Input, world: World) -> bytes:
    try:
        here = same(decide(given.command, world).drafts, given.append)
    except (Refused, IllegalStep):
        here = False
    document = {
        "pos": given.pos,
        "here": here,
        "kind": type(given.command).__name__,
        "command": given.command,
        "facts": [
            (one.stream, one.type, one.src, one.dst, one.at, one.payload, one.ver)
            for one in given.append
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def _compared(path: Path, answers: IO[bytes], complaints: IO[bytes]) -> Against:
    result, done = Against(), False
    for text in answers:
        answer: dict[str, Any] = orjson.loads(text)
        if "machine" in answer:
            result.machine = answer["machine"]
            if not Path(answer["events"]).is_relative_to(path.absolute()):
                raise CannotDecideElsewhere(f"{path}: another `events` package was loaded")
        elif "stopped" in answer:
            raise CannotDecideElsewhere(
                f"{path} cannot fold command {answer['stopped'] + 1}: {answer['error']}"
            )
        elif "difference" in answer:
            _differs(result, answer)
        else:
            done = True
    if not done:
        said = complaints.read().decode(errors="replace").strip().splitlines()
        why = said[-1] if said else "it said nothing"
        raise CannotDecideElsewhere(f"{path}: its interpreter stopped before the end: {why}")
    return result


def _differs(result: Against, answer: dict[str, Any]) -> None:
    found = answer["difference"]
    decided = found.get("decided", [])
    if found["kind"] == "fields":
        result.fields += 1
    else:
        result.decisions += 1
    about = _about(answer["facts"]) or _about(decided) or answer["facts"][0][0]
    before = result.first.get(about)
    first = before is None or (before.kind == "fields" and found["kind"] != "fields")
    if not first or (before is None and len(result.first) >= DIFFERENCES_KEPT_MAX):
        return
    result.first[about] = Difference(
        pos=answer["pos"],
        about=about,
        command=answer["kind"],
        kind=found["kind"],
        recorded=tuple(map(_told, answer["facts"])),
        decided=(found["error"],) if "error" in found else tuple(map(_told, decided)),
        as_recorded_here=answer["here"],
    )


def _about(facts: list[list[Any]]) -> str:
    """The first session among these events."""
    streams = (str(fact[0]) for fact in facts)
    found = (stream for stream in streams if stream.startswith("session-"))
    return next(found, "").removeprefix("session-")


def _told(fact: list[Any]) -> str:
    stream, type_, src, dst, _, payload = fact[:6]
    step = f" {src} → {dst}" if dst else ""
    names = ("rule", "reason", "detail", "why", "tuner", "source", "bytes")
    words = " ".join(str(payload[name]) for name in names if name in payload)
    return f"{stream} {type_}{step} {words}".rstrip()
