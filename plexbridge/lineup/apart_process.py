"""A process that does one job apart from the bridge: asked on stdin, answering on stdout.

Knows how such a process is started, asked and ended; nothing of jobs. Whatever a hostile body does
to a process ends with this one, and the loop goes on meanwhile.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

SAID_CHARS_MAX: Final = 200

_PACKAGES: Final = str(Path(__file__).parents[2])
"""Where `plexbridge` was imported from, for the process to import the same."""

_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
"""What the process sees of our environment; our keys are in the rest."""


class NoAnswer(Exception):
    """It ended without one, or took too long. `why` and `remedy` are for a person."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(f"{why}; {remedy}")
        self.why = why
        self.remedy = remedy


async def answer_of(module: str, asked: bytes, *, seconds_max: float) -> bytes:
    """What `python -m module` answers. Cancelled, it is killed and waited for.

    Raises:
        NoAnswer: it was killed, failed, or took longer than `seconds_max`.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
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
        raise NoAnswer(f"was not read within {seconds_max:g} s", "try again later") from late
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise NoAnswer(_ended(process.returncode, said), "report it, if it happens again")
    return answer


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONPATH": _PACKAGES, "LC_ALL": "C.UTF-8"}


def _ended(code: int, said: bytes) -> str:
    """How it ended: killed, or by our own fault."""
    if code < 0:
        return f"the process that read it was ended by signal {-code}"
    lines = said.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
    return f"the process that read it failed and said: {lines[-1][:SAID_CHARS_MAX]}"
