"""The process that does one job of `jobs`: asked on stdin, one JSON line on stdout.

Apart from the bridge because a list of a million lines holds an interpreter for seconds, and
because its memory is given back whole when the process ends. What it is asked holds logins: it
comes over a pipe, never as an argument.
"""

import sys
from dataclasses import asdict
from typing import Any, Final

import orjson

from plexbridge.lineup.confined import confine
from plexbridge.lineup.errors import FAULTS
from plexbridge.lineup.guide.memory import peak_kib
from plexbridge.lineup.jobs import AssignJob, Panel, TakeJob, assign_all, take_in

ADDRESS_SPACE_BYTES: Final = 1024**3
"""The kernel's bound. A million entries take a third of it."""


def main() -> int:
    """Read the job, do it, say what came of it."""
    confine(ADDRESS_SPACE_BYTES)
    asked: dict[str, Any] = orjson.loads(sys.stdin.buffer.read())
    try:
        answer: dict[str, Any] = {"done": _do(asked)}
    except tuple(FAULTS.values()) as error:
        answer = {
            "kind": type(error).__name__,
            "fault": [error.place, error.fault, error.remedy],
        }
    except MemoryError:
        fault = "needs more memory to be read than a playlist should"
        answer = {
            "kind": "WorkerFailed",
            "fault": [asked.get("place", ""), fault, "ask the provider for live channels only"],
        }
    answer["peak_kib"] = peak_kib()
    sys.stdout.buffer.write(orjson.dumps(answer))
    return 0


def _do(asked: dict[str, Any]) -> dict[str, Any]:
    if asked.pop("job") == "assign":
        return asdict(assign_all(AssignJob(**asked)))
    panel = asked.pop("panel")
    return asdict(take_in(TakeJob(**asked, panel=Panel(**panel) if panel else None)))


if __name__ == "__main__":
    sys.exit(main())
