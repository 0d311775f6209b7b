"""What the beginning of things costs: of a session, and of a bridge whose log is long.

A session's start is one decision and one durable append of its events, by a real door on a real
log. A bridge that was killed finds its log as it was left, with all that was folded of it but the
last seconds; one whose folds were lost has to fold everything anew.
"""

import asyncio
import itertools
import os
import signal
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from plexbridge.log.sqlite import SqliteLog
from tests.bench.figures import Figure, quantile
from tests.bench.folds import Story
from tests.end_to_end.running import RunningBridge
from tests.service.door_rig import Rig, door_over

PLAYERS = (1, 16)
STARTS, QUICK_STARTS = 1_000, 40
EVENTS, QUICK_EVENTS = 1_000_000, 2_000
BATCH_EVENTS = 2_000
STARTS_OF_A_BRIDGE = 3


def measure(quick: bool) -> list[Figure]:
    """Sessions first, then bridges."""
    figures = [_sessions(players, QUICK_STARTS if quick else STARTS) for players in PLAYERS]
    return figures + _bridges(QUICK_EVENTS if quick else EVENTS, 1 if quick else STARTS_OF_A_BRIDGE)


def _sessions(players: int, starts: int) -> Figure:
    waits: list[float] = []

    async def one_after_another(rig: Rig, player: int) -> None:
        for _ in range(starts // players):
            begun = time.perf_counter()
            session = await rig.watching(str(player))
            waits.append((time.perf_counter() - begun) * 1_000)
            left = rig.leaves(session)
            assert left is not None, "it was watching"
            await left

    async def all_at_once(path: Path) -> float:
        async with (
            door_over(SqliteLog(path), tuners=players, linger_ms=0) as rig,
            asyncio.TaskGroup() as asking,
        ):
            begun = time.process_time()
            for player in range(players):
                asking.create_task(one_after_another(rig, player))
        return (time.process_time() - begun) / starts * 1_000

    with tempfile.TemporaryDirectory() as folder:
        cpu_ms = asyncio.run(all_at_once(Path(folder) / "plexbridge.db"))
    return Figure(
        f"a session's start: decided, stored and given, {players} at once",
        f"p50 {statistics.median(waits):.2f} ms, p99 {quantile(waits, 0.99):.2f} ms; "
        f"with its end {cpu_ms:.2f} ms of processor time",
    )


def _bridges(events: int, starts: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        asyncio.run(_written(data / "plexbridge.db", events))
        lineup = Path(folder) / "one.m3u"
        lineup.write_text("#EXTM3U\n#EXTINF:-1,One\nhttp://192.0.2.1/1\n", encoding="utf-8")
        _started(data, lineup, forget=False)
        killed = [_started(data, lineup, forget=False) for _ in range(starts)]
        anew = [_started(data, lineup, forget=True) for _ in range(starts)]
    return [
        Figure(
            f"start after a kill, {events:,} events", f"{statistics.median(killed):.1f} s", "3 s"
        ),
        Figure("… and nothing kept of what was folded", f"{statistics.median(anew):.1f} s"),
    ]


async def _written(path: Path, events: int) -> None:
    """A log of that many events, as the door would have written them."""
    log = SqliteLog(path, durability="relaxed")
    story = Story()
    story.begin()
    stored = 0
    for number in itertools.count(1):
        story.session(number)
        if len(story.written) >= BATCH_EVENTS:
            stored += len(await log.append(story.written))
            story.written.clear()
            if stored >= events:
                break
    await log.close()


def _started(data: Path, lineup: Path, *, forget: bool) -> float:
    """Seconds until a bridge says where its page is; it is killed then."""
    if forget:
        with closing(sqlite3.connect(data / "plexbridge.db")) as file, file:
            file.execute("DELETE FROM projections")
    begun = time.perf_counter()
    bridge = RunningBridge(data, "--playlist", str(lineup)).start()
    seconds = time.perf_counter() - begun
    assert bridge.process is not None
    os.kill(bridge.process.pid, signal.SIGKILL)
    bridge.process.wait()
    bridge.stop()
    return seconds
