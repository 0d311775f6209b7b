"""The process that reads one guide: a job on stdin, one JSON line on stdout.

Apart from the bridge because parsing hundreds of megabytes would hold its interpreter for seconds,
and because whatever a hostile guide does to a process ends with this one. It has no login: it is
given a file, not a URL.
"""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from plexbridge.lineup.guide.build import build
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.job import Figures, Job, Wanted
from plexbridge.lineup.guide.memory import peak_kib

ADDRESS_SPACE_BYTES: Final = 768 * 1024**2
"""The kernel's bound, above our own (`parse.MEMORY_KIB_MAX`): what is mapped is far more than what
is resident."""

NICENESS: Final = 10
"""Whoever watches comes first."""

_PR_SET_PDEATHSIG: Final = 1


def main() -> int:
    """Read the job, do it, say what came of it."""
    _confine(os.getppid())
    try:
        answer = {"figures": asdict(_do(orjson.loads(sys.stdin.buffer.read())))}
    except GuideFault as fault:
        answer = {"fault": {"kind": fault.kind, "fault": fault.fault, "remedy": fault.remedy}}
    except MemoryError:
        kind, remedy = "refused", "check what the provider sends"
        fault_text = "needs more memory to be read than a guide should"
        answer = {"fault": {"kind": kind, "fault": fault_text, "remedy": remedy}}
    sys.stdout.buffer.write(orjson.dumps(answer))
    return 0


def _do(asked: dict[str, Any]) -> Figures:
    figures = build(
        Job(
            source=Path(asked["source"]),
            into=Path(asked["into"]),
            wanted=[Wanted(*one) for one in asked["wanted"]],
            begin=asked["begin"],
            end=asked["end"],
            about=asked["about"],
        )
    )
    figures.peak_kib = peak_kib()
    return figures


def _confine(parent: int) -> None:
    """Little memory, no core dump, low priority, and no life after the bridge's."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    os.nice(NICENESS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it was heard
            sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
