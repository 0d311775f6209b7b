"""A disk that is full while people watch: they watch on, nobody new is let in, and it mends itself.

The limit on the size of files is a real one, set on the running process: SQLite is refused by the
kernel, as on a full disk.
"""

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.running import RunningBridge
from tests.service.zapping import AccountOfOne, Answers, Request, bridge_over

FULL_BYTES = 1_024
MENDED_S = 15.0


@pytest.fixture
async def provider() -> AsyncIterator[AccountOfOne]:
    async with AccountOfOne() as stub:
        yield stub


def file_size(bridge: RunningBridge, most: int | None) -> None:
    """No file of the bridge may grow beyond this; None lifts it."""
    assert bridge.process is not None
    _, hard = resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE)
    soft = hard if most is None else most
    resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_lets_viewers_watch_on_and_nobody_new_in(
    provider: AccountOfOne, tmp_path: Path
) -> None:
    """`503` for who asks, bytes for who watches; served again when there is room, and no event of
    what happened meanwhile is missing."""
    bridge = await bridge_over(provider, tmp_path, PLEXBRIDGE_LINGER="0")
    answers = Answers()
    watching, leaving = [await Request.of(bridge.base, channel) for channel in (1, 2)]
    assert await watching.answered(answers) == await leaving.answered(answers) == 200
    file_size(bridge, FULL_BYTES)
    refused = await Request.of(bridge.base, 3)
    assert await refused.answered(answers) == 503
    refused.leaves()
    leaving.leaves()  # a fact that has to wait
    await watching.reads_on(1_000_000)
    again = await Request.of(bridge.base, 3)
    assert await again.answered(answers) == 503
    again.leaves()
    file_size(bridge, None)
    async with asyncio.timeout(MENDED_S):
        while await (served := await Request.of(bridge.base, 3)).answered(answers) != 200:
            served.leaves()
            await asyncio.sleep(0.1)
    await watching.reads_on(1_000_000)
    for request in (served, watching):
        request.leaves()
    ended = await asyncio.to_thread(bridge.get, f"/api/sessions/{leaving.session}")
    assert (ended["state"], ended["reason"]) == ("ended", "client_disconnect")
    assert await asyncio.to_thread(bridge.stop) == 0
    audit = await asyncio.to_thread(bridge.command, "audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
