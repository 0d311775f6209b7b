"""`kill -9` in the middle of everything: what was acknowledged is there, and nothing is a ghost."""

import asyncio
import os
import statistics
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

import aiohttp
import orjson
import pytest

from events.machine import ENDED
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.reader import SqliteReader
from tests.end_to_end.running import RunningBridge
from tests.service.zapping import AccountOfOne, Answers, bridge_over, zaps

KILLS, KILLS_LONG = 10, 200
VIEWERS = 6
LOAD_S = (0.02, 0.5)
"""How long it runs under load before it is killed: from the first requests to well into them."""

START_S = 3.0
"""Longest start after a kill (DESIGN section 9), up to the first answer: in time of the process,
which other work on the machine does not lengthen."""


@pytest.fixture
async def provider() -> AsyncIterator[AccountOfOne]:
    async with AccountOfOne() as stub:
        yield stub


@dataclass(slots=True)
class Heard:
    """What the bridge has acknowledged to somebody."""

    events: dict[int, bytes] = field(default_factory=dict)
    """Position and id of each event the live feed told."""
    answers: Answers = field(default_factory=Answers)

    async def follow(self, base: str) -> None:
        """Listen to the live feed until it breaks off."""
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"{base}/api/live", headers={"Last-Event-ID": "0"}) as feed,
        ):
            async for line in feed.content:
                if line.startswith(b"data: "):
                    told = orjson.loads(line.removeprefix(b"data: "))
                    if "pos" in told:
                        self.events[told["pos"]] = UUID(told["id"]).bytes


async def under_load(bridge: RunningBridge, heard: Heard, random: Random) -> None:
    """Viewers zap and somebody follows the feed; then the bridge is killed."""
    work = [
        zaps(bridge.base, viewer, 10_000, Random(random.random()), heard.answers)
        for viewer in range(VIEWERS)
    ]
    tasks = [asyncio.create_task(one) for one in (*work, heard.follow(bridge.base))]
    await asyncio.sleep(random.uniform(*LOAD_S))
    await asyncio.to_thread(bridge.kill)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def check(data_dir: Path, heard: Heard) -> None:
    """The log beside the bridge that was just started holds what was acknowledged before."""
    with closing(SqliteReader(data_dir / LOG_FILE)) as reader:
        rows = reader.read(0, -1)
    stored = {row.pos: row.id for row in rows}
    missing = {pos for pos, id_ in heard.events.items() if stored.get(pos) != id_}
    assert not missing, f"told and not there: {sorted(missing)[:5]}"
    streams = {row.stream for row in rows}
    unknown = {name for name in heard.answers.sessions if f"session-{name}" not in streams}
    assert not unknown, f"given and not there: {unknown}"
    ended = {row.stream for row in rows if row.dst == ENDED}
    ghosts = {row.stream for row in rows if row.stream.startswith("session-")} - ended
    assert not ghosts, f"open after a start: {ghosts}"


def used_s(bridge: RunningBridge) -> float:
    """Processor time of the bridge so far, in seconds."""
    assert bridge.process is not None
    fields = Path(f"/proc/{bridge.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def kills(provider: AccountOfOne, directory: Path, count: int) -> list[float]:
    """Kill it so many times; what each start took, in seconds."""
    bridge = await bridge_over(
        provider, directory, PLEXBRIDGE_SOURCE_CONNECTIONS="2", PLEXBRIDGE_LINGER="300"
    )
    random, starts, heard = Random(4), list[float](), Heard()
    for _ in range(count):
        await under_load(bridge, heard, random)
        await asyncio.to_thread(bridge.start)
        starts.append(used_s(bridge))
        shown = await asyncio.to_thread(bridge.dashboard)
        assert shown["sessions"] == []
        assert {tuner["state"] for tuner in shown["tuners"]} == {"free"}
        await asyncio.to_thread(check, bridge.data_dir, heard)
    assert heard.answers.sessions, "somebody was served"
    assert heard.events, "somebody heard of it"
    assert await asyncio.to_thread(bridge.stop) == 0
    audit = await asyncio.to_thread(bridge.command, "audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    return starts


def tell(starts: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Say what starts took; none more than it may."""
    typical = statistics.median(starts)
    with capsys.disabled():
        print(f"\n{len(starts)} kills; start {typical:.2f} s (median), {max(starts):.2f} s (most)")
    assert max(starts) <= START_S


@pytest.mark.timeout(300)
async def test_killed_under_load_it_loses_nothing_and_has_no_ghosts(
    provider: AccountOfOne, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten times, at random moments, over one data directory."""
    tell(await kills(provider, tmp_path, KILLS), capsys)


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_killed_two_hundred_times(
    provider: AccountOfOne, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same, two hundred times."""
    tell(await kills(provider, tmp_path, KILLS_LONG), capsys)
