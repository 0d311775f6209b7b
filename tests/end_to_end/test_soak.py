"""Steady players and a stream of short visits: afterwards nothing is left of the visits.

Short in every run, ten minutes in the long form: a leak of one descriptor, task or buffer per visit
is a thousand of them by then.
"""

import asyncio
import re
import socket
import struct
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.running import RunningBridge, until

STEADY = 16
VISITS_PER_S = 20
CHANNELS = 6
VISIT_BYTES = (1, 2_600, 60_000)
"""What a visit reads before it leaves: a probe of one byte, one of Plex's kind, a short look."""
GAP_S_MAX = 2.0
"""Of a steady player. The demo's clips come at a real channel's pace."""


@dataclass(frozen=True)
class Figures:
    """What the process holds."""

    descriptors: int
    tasks: int
    children: int
    drift: int
    sessions: int
    memory_mb: float


def figures(bridge: RunningBridge) -> Figures:
    """As the kernel and the bridge itself see it."""
    assert bridge.process is not None
    process = Path(f"/proc/{bridge.process.pid}")
    resident = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    assert resident is not None
    with urllib.request.urlopen(f"{bridge.base}/metrics", timeout=5) as answer:
        text = answer.read().decode()

    def figure(name: str) -> int:
        found = re.search(rf"^plexbridge_{name} (\S+)$", text, re.MULTILINE)
        assert found is not None, name
        return int(float(found[1]))

    return Figures(
        descriptors=len(list((process / "fd").iterdir())),
        tasks=figure("tasks"),
        children=figure("children"),
        drift=figure("session_drift"),
        sessions=len(bridge.sessions()),
        memory_mb=int(resident[1]) / 1_024,
    )


class Steady:
    """A player that stays, and keeps the longest silence it met."""

    def __init__(self) -> None:
        self.longest_gap_s = 0.0
        self.bytes = 0

    async def watch(self, host: str, port: int, channel: int) -> None:
        """Until cancelled."""
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(request(channel, "steady"))
            await reader.readuntil(b"\r\n\r\n")
            last = time.monotonic()
            while data := await reader.read(1 << 18):
                now = time.monotonic()
                self.longest_gap_s = max(self.longest_gap_s, now - last)
                last = now
                self.bytes += len(data)
            raise AssertionError("a steady player's stream ended")
        finally:
            writer.close()


def request(channel: int, agent: str) -> bytes:
    """A player's GET."""
    return f"GET /auto/v{channel} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n".encode()


async def visit(host: str, port: int, number: int) -> None:
    """One short visit; every third leaves by RST."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request(number % CHANNELS + 1, f"visitor/{number}"))
    wanted = VISIT_BYTES[number % len(VISIT_BYTES)]
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    await reader.readexactly(wanted)
    if number % 3 == 0:
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def churn(host: str, port: int, seconds: float, first: int) -> int:
    """So many visits a second for so long; how many there were."""
    visits: set[asyncio.Task[None]] = set()
    count = round(seconds * VISITS_PER_S)
    begun = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, begun + number / VISITS_PER_S - time.monotonic()))
        task = asyncio.create_task(visit(host, port, first + number))
        visits.add(task)
        task.add_done_callback(lambda done: (visits.discard(done), done.result()))
    async with asyncio.timeout(15):
        await asyncio.gather(*visits)
    return count


@asynccontextmanager
async def steady_players(host: str, port: int) -> AsyncIterator[list[Steady]]:
    """Sixteen on five of the six channels; they must not end."""
    players = [Steady() for _ in range(STEADY)]
    watching = [
        asyncio.create_task(player.watch(host, port, number % (CHANNELS - 1) + 1))
        for number, player in enumerate(players)
    ]
    try:
        async with asyncio.timeout(15):
            while not all(player.bytes for player in players):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.05)
        yield players
        assert not any(task.done() for task in watching)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


@pytest.mark.parametrize(
    ("seconds", "grown_mb"),
    [
        pytest.param(12, 24, id="short"),
        pytest.param(600, 24, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
async def test_visits_leave_nothing_behind(tmp_path: Path, seconds: int, grown_mb: int) -> None:
    """Descriptors, tasks, children and memory are where they were; the steady ones saw no gap;
    every session has one end, and every tuner is back."""
    environment = {"PLEXBRIDGE_LINGER": "100", "TUNER_COUNT": "8"}
    with RunningBridge(tmp_path / "data", "--demo", **environment) as bridge:
        place = urlsplit(bridge.base)
        assert place.hostname is not None
        assert place.port is not None
        host, port = place.hostname, place.port

        def calm() -> Figures | None:
            now = figures(bridge)
            return now if now.sessions == STEADY else None

        async with steady_players(host, port) as players:
            first = await churn(host, port, 5, 0)
            before = await asyncio.to_thread(until, "the first visitors are gone", calm)
            visits = first + await churn(host, port, seconds, first)
            await asyncio.sleep(0.5)  # the last relay lingers for a tenth of a second
            after = await asyncio.to_thread(until, "the visitors are gone", calm)
        # Fewer than before is no leak: of the first visitors a relay may still have been closing.
        assert after.descriptors - before.descriptors <= 2, (before, after)
        assert after.tasks - before.tasks <= 2, (before, after)
        assert (after.children, after.drift) == (before.children, 0)
        assert after.memory_mb - before.memory_mb <= grown_mb, (before, after)
        assert max(player.longest_gap_s for player in players) <= GAP_S_MAX
        until("every tuner is back", lambda: bridge.tuners_in_use() == 0)
        assert bridge.dashboard()["totals"]["sessions"] == visits + STEADY
        audit = bridge.command("audit")
        assert audit.returncode == 0, audit.stdout
