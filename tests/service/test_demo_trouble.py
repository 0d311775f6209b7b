"""The pretend provider's special channels: HLS, one that stalls, one that fails over."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from plexbridge.clock import ManualClock
from plexbridge.demo.provider import DemoProvider
from plexbridge.demo.trouble import (
    DOWN_AT_S,
    DOWN_EVERY_S,
    DOWN_S,
    STALL_AT_S,
    STALL_EVERY_S,
    STALL_S,
)
from tests.end_to_end.running import RunningBridge
from tests.service.sources_rig import rig
from tests.service.ts_checker import TsChecker

DEADLINE_S = 20.0
WELL_S = 30


class Night:
    """A provider on a clock that moves when told to, and a client."""

    def __init__(self, demo: DemoProvider, clock: ManualClock, http: aiohttp.ClientSession) -> None:
        self.demo = demo
        self.clock = clock
        self.http = http

    def until(self, second: float, every_s: int) -> None:
        """Move to this second of the next round of so many."""
        self.clock.advance(every_s - self.clock.now() / 1_000_000 % every_s + second)

    async def get(self, path: str) -> aiohttp.ClientResponse:
        return await self.http.get(self.demo.base_url + path)

    async def whole(self, path: str) -> tuple[int, bytes]:
        async with await self.get(path) as answer:
            return answer.status, await answer.read()


async def something(answer: aiohttp.ClientResponse) -> bytes:
    return await asyncio.wait_for(answer.content.readany(), DEADLINE_S)


async def drained(answer: aiohttp.ClientResponse) -> int:
    """Bytes that come until nothing does for several of its steps (80 ms each). Time stands
    still meanwhile, so there is an end."""
    count = 0
    while True:
        try:
            piece = await asyncio.wait_for(answer.content.readany(), 0.5)
        except TimeoutError:
            return count
        assert piece, "it ended"
        count += len(piece)


@pytest.fixture
async def night() -> AsyncIterator[Night]:
    clock = ManualClock()
    demo = DemoProvider(clock)
    await demo.start()
    async with aiohttp.ClientSession() as http:
        made = Night(demo, clock, http)
        made.until(WELL_S, DOWN_EVERY_S)
        yield made
    await demo.close()


async def test_hls_is_a_list_of_segments_that_follow_each_other(night: Night) -> None:
    """Of any two lists, the segments of the same number are the same; one after the other they are
    one stream without a jump; what is not whole yet, or long gone, is not there."""
    bodies: dict[int, bytes] = {}
    for _ in range(3):
        _, text = await night.whole("/hls/7.m3u8")
        lines = text.decode().splitlines()
        assert lines[0] == "#EXTM3U"
        first = int(lines[3].removeprefix("#EXT-X-MEDIA-SEQUENCE:"))
        names = [line for line in lines if not line.startswith("#")]
        assert names == [f"7/{first + at}.ts" for at in range(4)]
        for number, name in enumerate(names, start=first):
            status, body = await night.whole(f"/hls/{name}")
            assert status == 200
            assert bodies.setdefault(number, body) == body
        night.clock.advance(8)
    assert len(bodies) == 6
    assert TsChecker().feed(b"".join(bodies[number] for number in sorted(bodies))).finish() == []
    for name in (f"{first + 6}", f"{first - 4}", "x", "-1", "", "9" * 30):
        assert (await night.whole(f"/hls/7/{name}.ts"))[0] == 404
    for path in ("/hls/1.m3u8", "/hls/8/1.ts", "/hls/", "/live/7.ts"):
        assert (await night.whole(path))[0] == 404


async def test_a_stalling_channel_is_silent_and_goes_on(night: Night) -> None:
    """Now and then nothing comes, on an open connection; the others are not concerned."""
    night.until(STALL_AT_S - 5, STALL_EVERY_S)
    async with await night.get("/stalling/8.ts") as answer, await night.get("/live/2.ts") as well:
        assert await drained(answer)
        night.clock.advance(5.5)
        assert await drained(answer) == 0, "though five seconds of programme are due"
        assert await something(well)
        night.clock.advance(1)
        assert await drained(answer) == 0
        night.clock.advance(STALL_S)
        assert await something(answer)


async def test_a_failing_upstream_ends_and_is_down_for_a_while(night: Night) -> None:
    """Who watches it is cut off, who asks for it is refused; its second upstream is well."""
    night.until(DOWN_AT_S - 5, DOWN_EVERY_S)
    async with await night.get("/failing/9.ts") as answer:
        assert await something(answer)
        night.clock.advance(6)
        async with asyncio.timeout(DEADLINE_S):
            await answer.content.read()
        assert answer.content.at_eof()
    assert (await night.whole("/failing/9.ts"))[0] == 503
    async with await night.get("/live/9.ts") as answer:
        assert (await something(answer))[:1] == b"G"
    night.clock.advance(DOWN_S)
    async with await night.get("/failing/9.ts") as answer:
        assert (await something(answer))[:1] == b"G"


async def test_its_channels_are_nine_and_one_has_two_upstreams(
    night: Night, tmp_path: Path
) -> None:
    """As a bridge reads its playlist."""
    async with rig(tmp_path, night.demo.playlist_url).running() as made:
        upstreams = [
            (one.guide_number, [upstream.url for upstream in one.upstreams])
            for one in made.sources.lineup.channels
        ]
    base = night.demo.base_url
    assert upstreams[6:] == [
        ("7", [f"{base}/hls/7.m3u8"]),
        ("8", [f"{base}/stalling/8.ts"]),
        ("9", [f"{base}/failing/9.ts", f"{base}/live/9.ts"]),
    ]
    assert len(upstreams) == 9


async def test_a_bridge_plays_each_of_them(tmp_path: Path) -> None:
    """The HLS one, the one that stalls, and the one that fails over, whichever moment it is."""
    with RunningBridge(tmp_path / "data", "--demo") as bridge:
        async with aiohttp.ClientSession() as http:
            for number in (7, 8, 9):
                async with asyncio.timeout(30), http.get(f"{bridge.base}/auto/v{number}") as answer:
                    assert answer.status == 200, number
                    body = await answer.content.readexactly(188 * 200)
                    assert TsChecker().feed(body).finish() == []
