"""The worker process as the bridge sees it: started, given a job, waited for, killed if need be."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final

import orjson

from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.job import Figures, Job

WORKER: Final = "plexbridge.lineup.guide.worker"

SECONDS_MAX: Final = 900.0
"""1 GB takes about two minutes; a small computer with a slow card is five times slower."""

SAID_CHARS_MAX: Final = 200

_PACKAGES: Final = str(Path(__file__).parents[3])
"""Where `plexbridge` was imported from, for the worker to import the same."""

_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
"""What the worker sees of our environment; our keys are in the rest."""


async def build_apart(job: Job, *, seconds_max: float = SECONDS_MAX) -> Figures:
    """`build.build`, in a process of its own. Cancelled, it is killed and waited for.

    Raises:
        GuideFault: as `build`; or the process was killed, failed or took too long.
    """
    asked = await asyncio.to_thread(_as_json, job)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        WORKER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env=_environment(),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds_max):
            answer, said = await process.communicate(asked)
    except TimeoutError as late:
        raise GuideFault(
            "worker", f"was not read within {seconds_max:g} s", "try again later"
        ) from late
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _ended(process.returncode, said)
    document: dict[str, Any] = orjson.loads(answer)
    if "fault" in document:
        raise GuideFault(**document["fault"])
    return Figures(**document["figures"])


def _as_json(job: Job) -> bytes:
    return orjson.dumps(
        {
            "source": str(job.source.absolute()),
            "into": str(job.into.absolute()),
            "wanted": [(one.channel, one.tvg_id, one.name) for one in job.wanted],
            "begin": job.begin,
            "end": job.end,
            "about": job.about,
        }
    )


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONPATH": _PACKAGES, "LC_ALL": "C.UTF-8"}


def _ended(code: int, said: bytes) -> GuideFault:
    """A worker that ended without an answer: killed, or by our own fault."""
    if code < 0:
        why = f"the process that read it was ended by signal {-code}"
    else:
        lines = said.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        why = f"the process that read it failed and said: {lines[-1][:SAID_CHARS_MAX]}"
    return GuideFault("worker", why, "report it, if it happens again")
