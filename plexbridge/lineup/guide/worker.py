"""The process that reads one guide: a job on stdin, one JSON line on stdout.

Apart from the bridge because parsing hundreds of megabytes would hold its interpreter for seconds,
and because whatever a hostile guide does to a process ends with this one. It has no login: it is
given a file, not a URL.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from plexbridge.lineup.confined import confine
from plexbridge.lineup.guide.build import build
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.job import Figures, Job, Wanted
from plexbridge.lineup.guide.memory import peak_kib

ADDRESS_SPACE_BYTES: Final = 768 * 1024**2
"""The kernel's bound, above our own (`parse.MEMORY_KIB_MAX`): what is mapped is far more than what
is resident."""


def main() -> int:
    """Read the job, do it, say what came of it."""
    confine(ADDRESS_SPACE_BYTES)
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


if __name__ == "__main__":
    sys.exit(main())
