"""Where a job of a refresh is done: a small one in a thread, a large one in a process of its own.

Knows which jobs are worth a process; what a job is, `jobs` knows, and how a process is run,
`apart_process`.
"""

import asyncio
from dataclasses import asdict
from typing import Any, Final

import orjson
import structlog

from plexbridge.lineup.apart_process import NoAnswer, answer_of
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
    try:
        answer = await answer_of(WORKER, orjson.dumps(asked), seconds_max=SECONDS_MAX)
    except NoAnswer as none:
        raise WorkerFailed(place, none.why, none.remedy) from none
    document: dict[str, Any] = orjson.loads(answer)
    _log.info("Playlist worker done", job=asked["job"], peak_mib=document["peak_kib"] // 1024)
    if "fault" in document:
        raise FAULTS[document["kind"]](*document["fault"])
    done: dict[str, Any] = document["done"]
    return done
