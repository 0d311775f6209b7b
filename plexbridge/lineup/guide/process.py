"""The guide's worker process as the bridge sees it: given a job, its figures or its fault back."""

import asyncio
from typing import Any, Final

import orjson

from plexbridge.lineup.apart_process import NoAnswer, answer_of
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.job import Figures, Job

WORKER: Final = "plexbridge.lineup.guide.worker"

SECONDS_MAX: Final = 900.0
"""1 GB takes about two minutes; a small computer with a slow card is five times slower."""


async def build_apart(job: Job, *, seconds_max: float = SECONDS_MAX) -> Figures:
    """`build.build`, in a process of its own. Cancelled, it is killed and waited for.

    Raises:
        GuideFault: as `build`; or the process was killed, failed or took too long.
    """
    asked = await asyncio.to_thread(_as_json, job)
    try:
        answer = await answer_of(WORKER, asked, seconds_max=seconds_max)
    except NoAnswer as none:
        raise GuideFault("worker", none.why, none.remedy) from none
    document: dict[str, Any] = orjson.loads(answer)
    if "fault" in document:
        raise GuideFault(**document["fault"])
    return Figures(**document["figures"])


def _as_json(job: Job) -> bytes:
    return orjson.dumps(
        {
            "source": str(job.source.absolute()),
            "into": str(job.into.absolute()),
            "wanted": [(one.channel, one.tvg_id, one.name, one.chosen) for one in job.wanted],
            "begin": job.begin,
            "end": job.end,
            "about": job.about,
        }
    )
