"""A disk that fails while people watch: they watch on, nobody new is let in, and it mends itself.

The faults are real ones as far as SQLite can tell: a limit on the size of files that the kernel
keeps, and a library between SQLite and the kernel that answers in its stead.
"""

import asyncio
import resource
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.end_to_end.running import RunningBridge
from tests.service.zapping import AccountOfOne, Answers, Request, bridge_over

FULL_BYTES = 1_024
MENDED_S = 30.0
HANGS_MS = 60_000
"""Longer than any test waits for an answer."""

_COMPILER = ("cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


@pytest.fixture
async def provider() -> AsyncIterator[AccountOfOne]:
    async with AccountOfOne() as stub:
        yield stub


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`failing_disk.c`, to be loaded before everything else."""
    built = tmp_path_factory.mktemp("disk") / "failing_disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    subprocess.run([*_COMPILER, "-o", str(built), str(source), "-ldl"], check=True)
    return built


class Disk:
    """Under one bridge: fine, until told otherwise."""

    def __init__(self, library: Path, note: Path) -> None:
        self._note = note
        self.environment = {"LD_PRELOAD": str(library), "DISK_FAULT": str(note)}

    def fails(self, bridge: RunningBridge, how: str) -> None:
        """`full`, `readonly`, `broken` or `slow MS`; `fine` mends it."""
        assert bridge.process is not None
        assert bridge.process.poll() is None
        _, hard = resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE)
        soft = FULL_BYTES if how == "full" else hard
        resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        self._note.unlink(missing_ok=True)
        if how not in ("full", "fine"):
            self._note.write_text(how + "\n")


@pytest.fixture
def disk(library: Path, tmp_path: Path) -> Disk:
    return Disk(library, tmp_path / "fault")


@asynccontextmanager
async def on_disk(
    provider: AccountOfOne, tmp_path: Path, disk: Disk
) -> AsyncIterator[RunningBridge]:
    """A bridge whose disk it is; stopped at the end, whatever the test found."""
    bridge = await bridge_over(provider, tmp_path, PLEXBRIDGE_LINGER="0", **disk.environment)
    try:
        yield bridge
    finally:
        if bridge.process is not None and bridge.process.poll() is None:
            disk.fails(bridge, "fine")
            await asyncio.to_thread(bridge.stop)


async def served(bridge: RunningBridge, channel: int, answers: Answers) -> Request:
    """Asks until it is."""
    async with asyncio.timeout(MENDED_S):
        while await (request := await Request.of(bridge.base, channel)).answered(answers) != 200:
            request.leaves()
            await asyncio.sleep(0.1)
    return request


async def ended_well(bridge: RunningBridge, left: str | None) -> None:
    """The session that was left has ended by its own reason, and the log holds together."""
    ended = await asyncio.to_thread(bridge.get, f"/api/sessions/{left}")
    assert (ended["state"], ended["reason"]) == ("ended", "client_disconnect")
    assert await asyncio.to_thread(bridge.stop) == 0
    audit = await asyncio.to_thread(bridge.command, "audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr


@pytest.mark.parametrize("how", ["full", "readonly", "broken"])
async def test_a_disk_that_fails_lets_viewers_watch_on_and_nobody_new_in(
    how: str, provider: AccountOfOne, disk: Disk, tmp_path: Path
) -> None:
    """`503` for who asks, bytes for who watches; served again when it is mended, and no event of
    what happened meanwhile is missing."""
    async with on_disk(provider, tmp_path, disk) as bridge:
        answers = Answers()
        watching, leaving = [await Request.of(bridge.base, channel) for channel in (1, 2)]
        assert await watching.answered(answers) == await leaving.answered(answers) == 200
        disk.fails(bridge, how)
        refused = await Request.of(bridge.base, 3)
        assert await refused.answered(answers) == 503
        refused.leaves()
        leaving.leaves()  # a fact that has to wait
        await watching.reads_on(1_000_000)
        again = await Request.of(bridge.base, 3)
        assert await again.answered(answers) == 503
        again.leaves()
        disk.fails(bridge, "fine")
        late = await served(bridge, 3, answers)
        await watching.reads_on(1_000_000)
        for request in (late, watching):
            request.leaves()
        await ended_well(bridge, leaving.session)


async def test_a_disk_that_is_slow_delays_who_asks_and_nobody_who_watches(
    provider: AccountOfOne, disk: Disk, tmp_path: Path
) -> None:
    """Every sync takes 0.4 s: new ones are served all the same."""
    async with on_disk(provider, tmp_path, disk) as bridge:
        answers = Answers()
        watching, leaving = [await Request.of(bridge.base, channel) for channel in (1, 2)]
        assert await watching.answered(answers) == await leaving.answered(answers) == 200
        disk.fails(bridge, "slow 400")
        late = await Request.of(bridge.base, 3)
        assert await late.answered(answers) == 200
        leaving.leaves()
        await watching.reads_on(1_000_000)
        disk.fails(bridge, "fine")
        for request in (late, watching):
            request.leaves()
        await ended_well(bridge, leaving.session)


async def test_a_disk_that_hangs_lets_viewers_watch_on_and_nobody_wait_for_ever(
    provider: AccountOfOne, disk: Disk, tmp_path: Path
) -> None:
    """Who asks is told so by the time a tuner has to answer; what the disk stores of it later is
    taken back."""
    async with on_disk(provider, tmp_path, disk) as bridge:
        answers = Answers()
        watching, leaving = [await Request.of(bridge.base, channel) for channel in (1, 2)]
        assert await watching.answered(answers) == await leaving.answered(answers) == 200
        disk.fails(bridge, f"slow {HANGS_MS}")
        refused = await Request.of(bridge.base, 3)
        assert await refused.answered(answers) == 503
        refused.leaves()
        leaving.leaves()
        await watching.reads_on(1_000_000)
        disk.fails(bridge, "fine")
        late = await served(bridge, 3, answers)
        for request in (late, watching):
            request.leaves()
        await ended_well(bridge, leaving.session)
