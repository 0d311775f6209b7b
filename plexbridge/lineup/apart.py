"""Where a job of a refresh is done: a small one in a thread, a large one in a process of its own.

Knows how such a process is started, asked and ended; what a job is, `jobs` knows.
"""

import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from plexbridge.lineup.errors import FAULTS, WorkerFailed
from plexbridge.lineup.jobs import Assigned, AssignJob, TakeJob, TakenIn, assign_all, take_in

_log = structlog.get_logger(__name__)

WORKER: Final = "plexbridge.lineup.worker"

SMALL_BYTES: Final = 1024 * 1024
"""Of a list: some 6,000 channels, a tenth of a second in a thread. Starting a process takes longer,
and most households' lists are shorter."""

SMALL_ENTRIES: Final = 6_000

SECONDS_MAX: Final = 600.0
"""A million entries take half a minute; a small computer with a slow card is five times slower."""

SAID_CHARS_MAX: Final = 200

_PACKAGES: Final = str(Path(__file__).parents[2])
"""Where `plexbridge` was imported from, for the worker to import the same."""

_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
"""What the worker sees of our environment; our keys are in the rest."""


async def take_in_apart(job: TakeJob, size_bytes: int) -> TakenIn:
    """`jobs.take_in` of a body of this size. Cancelled, a process is killed and waited for.

    Raises:
        LineupError: as there; `WorkerFailed` where the process was killed or took too long.
    """
    if size_bytes <= SMALL_BYTES:
        return await asyncio.to_thread(take_in, job)
    done = await _ask({"job": "take", **asdict(job)}, job.place)
    done["first_odd"] = [(line, what) for line, what in done["first_odd"]]
    return TakenIn(**done)


async def assign_apart(job: AssignJob, entries: int) -> Assigned:
    """`jobs.assign_all` of so many entries. Cancelled, a process is killed and waited for.

    Raises:
        LineupError: as there; `WorkerFailed` where the process was killed or took too long.
    """
    if entries <= SMALL_ENTRIES:
        return await asyncio.to_thread(assign_all, job)
    return Assigned(**await _ask({"job": "assign", **asdict(job)}, "lineup"))


async def _ask(asked: dict[str, Any], place: str) -> dict[str, Any]:
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
        async with asyncio.timeout(SECONDS_MAX):
            answer, said = await process.communicate(orjson.dumps(asked))
    except TimeoutError as late:
        raise WorkerFailed(
            place, f"was not read within {SECONDS_MAX:g} s", "try again later"
        ) from late
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _ended(place, process.returncode, said)
    document: dict[str, Any] = orjson.loads(answer)
    _log.info("Playlist worker done", job=asked["job"], peak_mib=document["peak_kib"] // 1024)
    if "fault" in document:
        raise FAULTS[document["kind"]](*document["fault"])
    done: dict[str, Any] = document["done"]
    return done


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONPATH": _PACKAGES, "LC_ALL": "C.UTF-8"}


def _ended(place: str, code: int, said: bytes) -> WorkerFailed:
    """A worker that ended without an answer: killed, or by our own fault."""
    if code < 0:
        why = f"the process that read it was ended by signal {-code}"
    else:
        lines = said.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        why = f"the process that read it failed and said: {lines[-1][:SAID_CHARS_MAX]}"
    return WorkerFailed(place, why, "report it, if it happens again")
