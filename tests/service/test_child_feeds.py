"""A child that is fed with what we fetched: picture and sound apart in, one MPEG-TS out."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from plexbridge.relay.child.pipes import PIPE_BYTES
from plexbridge.relay.ports import UpstreamFailed
from tests.service.child_rig import (
    CLIP,
    Received,
    children_alive,
    children_of,
    signal_child,
    until,
    upstream_at,
)

Tool = Callable[[str], str]
UPSTREAM = upstream_at("http://127.0.0.1/x.m3u8")
CHUNK_BYTES = 10_000


def fragmented(ffmpeg: str, path: Path, stream: str, *, start_s: float = 0) -> bytes:
    """One stream of the clip as fragmented MP4, its clock beginning at `start_s`."""
    subprocess.run(
        [
            *(ffmpeg, "-nostdin", "-loglevel", "error", "-i", str(CLIP), "-map", f"0:{stream}"),
            *("-c", "copy", "-bsf:a", "aac_adtstoasc"),
            *("-output_ts_offset", str(start_s), "-movflags"),
            *("delay_moov+default_base_moof+frag_keyframe", str(path)),
        ],
        check=True,
        timeout=30,
    )
    return path.read_bytes()


class Feed:
    """Bytes in chunks, and then what it is told; counts what was taken of it."""

    def __init__(self, body: bytes, then: Exception | None = None, *, hang: bool = False) -> None:
        self.taken_bytes = 0
        self.closed = False
        self._body = body
        self._then = then
        self._hang = hang

    async def chunks(self) -> AsyncIterator[bytes]:
        """What a child is given."""
        try:
            for at in range(0, len(self._body), CHUNK_BYTES):
                self.taken_bytes += CHUNK_BYTES
                yield self._body[at : at + CHUNK_BYTES]
            if self._hang:
                await asyncio.Event().wait()
            if self._then is not None:
                raise self._then
        finally:
            self.closed = True


def streams_of(tool: Tool, path: Path, data: bytes) -> list[dict[str, str]]:
    """What ffprobe finds in it."""
    path.write_bytes(data)
    shown = subprocess.run(
        [tool("ffprobe"), "-loglevel", "error", "-show_streams", "-of", "json", str(path)],
        capture_output=True,
        check=True,
        timeout=30,
    )
    found: list[dict[str, str]] = json.loads(shown.stdout)["streams"]
    return found


async def test_picture_and_sound_come_out_as_one(tool: Tool, tmp_path: Path) -> None:
    """Joined by their own clocks: sound that begins 2 s after the picture still does; and a body
    whose feeds were whole is whole."""
    ffmpeg = tool("ffmpeg")
    picture = Feed(fragmented(ffmpeg, tmp_path / "v.mp4", "v", start_s=100))
    sound = Feed(fragmented(ffmpeg, tmp_path / "a.mp4", "a", start_s=102))
    async with children_of() as (connector, _):
        received = Received()
        await connector.open_fed([picture.chunks(), sound.chunks()], UPSTREAM, received)
        await until(lambda: bool(received.ends))
        assert received.ends == [None]
    assert picture.closed
    assert sound.closed
    found = streams_of(tool, tmp_path / "o.ts", received.data)
    assert [stream["codec_name"] for stream in found] == ["h264", "aac"]
    apart_s = float(found[1]["start_time"]) - float(found[0]["start_time"])
    assert 1.8 < apart_s < 2.2


async def test_one_feed_brings_everything(tool: Tool, tmp_path: Path) -> None:
    """What it holds comes out, in MPEG-TS, whatever it was in."""
    feed = Feed(CLIP.read_bytes())
    tool("ffmpeg")
    async with children_of() as (connector, _):
        received = Received()
        await connector.open_fed([feed.chunks()], UPSTREAM, received)
        await until(lambda: bool(received.ends))
        assert received.ends == [None]
    assert len(streams_of(tool, tmp_path / "o.ts", received.data)) == 2


async def test_a_feed_waits_while_nobody_reads(tool: Tool) -> None:
    """Paused, a child takes what its pipes hold and not more; the loop goes on meanwhile."""
    tool("ffmpeg")
    feed = Feed(CLIP.read_bytes() * 60)
    async with children_of() as (connector, _):
        received = Received()
        body = await connector.open_fed([feed.chunks()], UPSTREAM, received)
        body.pause()
        taken = -1
        while taken != feed.taken_bytes:  # until it takes no more
            taken = feed.taken_bytes
            await asyncio.sleep(0.3)
        assert taken < 4 * PIPE_BYTES < len(CLIP.read_bytes() * 60)
        assert len(received.data) <= PIPE_BYTES
        body.resume()
        await until(lambda: bool(received.ends))
        assert received.ends == [None]


async def test_a_feed_that_fails_is_why_the_body_ends(tool: Tool) -> None:
    """Its own word, not that of the child, which is ended; and the other feed is closed."""
    tool("ffmpeg")
    lost = UpstreamFailed("stream_failed", "upstream_http_404")
    feeds = Feed(CLIP.read_bytes(), lost), Feed(CLIP.read_bytes(), hang=True)
    async with children_of() as (connector, _):
        received = Received()
        try:
            body = await connector.open_fed([f.chunks() for f in feeds], UPSTREAM, received)
            await until(lambda: bool(received.ends))
            assert received.ends == [lost]
            assert body.closed.done()
        except UpstreamFailed as failed:  # it failed before the child had said anything
            assert failed is lost  # noqa: PT017
        assert all(feed.closed for feed in feeds)
        assert children_alive() == []


async def test_a_child_that_dies_closes_its_feeds(tool: Tool) -> None:
    """Nothing is fetched for nobody; and that is a broken child, not a whole body."""
    tool("ffmpeg")
    feed = Feed(CLIP.read_bytes(), hang=True)
    async with children_of() as (connector, spawner):
        received = Received()
        body = await connector.open_fed([feed.chunks()], UPSTREAM, received)
        signal_child(spawner, signal.SIGKILL)
        await until(lambda: bool(received.ends), within_s=2.5)
        assert received.word() == ("process_closed", "ffmpeg_killed_9")
        async with asyncio.timeout(1):
            await body.closed
        assert feed.closed


async def test_closing_closes_feeds_and_child(tool: Tool) -> None:
    """`closed` tells when all of it is gone."""
    tool("ffmpeg")
    feed = Feed(CLIP.read_bytes(), hang=True)
    async with children_of() as (connector, _):
        body = await connector.open_fed([feed.chunks()], UPSTREAM, Received())
        body.close()
        async with asyncio.timeout(3):
            await body.closed
        assert feed.closed
        assert children_alive() == []


async def test_without_ffmpeg_nothing_is_fetched() -> None:
    """The feeds stay the caller's, untouched."""
    feed = Feed(CLIP.read_bytes())
    async with children_of("no-such-ffmpeg") as (connector, _):
        with pytest.raises(UpstreamFailed, match="ffmpeg_missing"):
            await connector.open_fed([feed.chunks()], UPSTREAM, Received())
    assert feed.taken_bytes == 0


async def test_a_fault_of_ours_in_a_feed_is_not_swallowed(tool: Tool) -> None:
    """It goes to the loop's handler; the child ends for want of input."""
    tool("ffmpeg")
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(context["exception"])
    )
    fault = KeyError("ours")
    async with children_of() as (connector, _):
        received = Received()
        await connector.open_fed([Feed(CLIP.read_bytes(), fault).chunks()], UPSTREAM, received)
        await until(lambda: bool(received.ends))
        assert received.word() == ("process_closed", "ffmpeg_ended")
    assert told == [fault]
