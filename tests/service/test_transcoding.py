"""Previews through a real ffmpeg: what comes out, what is accepted, how many, and how it ends."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from events.commands import Progress
from events.ids import ConnectionId, UnixMicros
from events.payloads import EndData
from plexbridge.relay.child.pipes import PIPE_BYTES
from plexbridge.relay.child.process import Spawner
from plexbridge.tuner.transcoding import (
    TRANSCODES_MAX,
    Transcode,
    TranscodedViewer,
    Transcodes,
    TranscodesInUse,
)
from tests.service.child_rig import CLIP, children_alive, signal_child, until
from tests.service.socket_player import SocketPlayer, SocketSink

Tool = Callable[[str], str]
CHUNK_BYTES = 188 * 350


@asynccontextmanager
async def transcodes_of(program: str = "ffmpeg") -> AsyncIterator[tuple[Transcodes, Spawner]]:
    """Places whose children are all gone at the end."""
    spawner = Spawner(program, os.environ)
    try:
        yield Transcodes(spawner), spawner
    finally:
        async with asyncio.timeout(5):
            await spawner.close()
        assert children_alive() == []


@dataclass
class Given:
    """How much was written so far."""

    bytes: int = 0


async def written(transcode: Transcode, data: bytes, given: Given | None = None) -> None:
    """Write like a relay: no more than it takes."""
    given = given or Given()
    room = asyncio.Event()
    transcode.on_writable = room.set
    for at in range(0, len(data), CHUNK_BYTES):
        while not transcode.writable:
            room.clear()
            await room.wait()
        transcode.write(data[at : at + CHUNK_BYTES])
        given.bytes += CHUNK_BYTES


def picture_of(tool: Tool, path: Path, data: bytes) -> dict[str, dict[str, str]]:
    """Streams by their kind, as ffprobe finds them."""
    path.write_bytes(data)
    arguments = ("-loglevel", "error", "-show_streams", "-of", "json", str(path))
    shown = subprocess.run([tool("ffprobe"), *arguments], capture_output=True, check=True)
    return {stream["codec_type"]: stream for stream in json.loads(shown.stdout)["streams"]}


def broadcast(ffmpeg: str, path: Path) -> bytes:
    """What no browser plays: interlaced MPEG-2 of 1080 lines with MPEG audio."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25", "-f", "lavfi")
    interlaced = ("-flags", "+ildct+ilme", "-top", "1", "-b:v", "6M", "-c:a", "mp2")
    subprocess.run(
        [
            *(ffmpeg, "-nostdin", "-loglevel", "error", *picture, "-i", "sine=sample_rate=48000"),
            *("-t", "3", "-vf", "setfield=tff", "-c:v", "mpeg2video", *interlaced),
            *("-f", "mpegts", str(path)),
        ],
        check=True,
        timeout=60,
    )
    return path.read_bytes()


async def test_a_browser_gets_what_it_plays(tool: Tool, tmp_path: Path) -> None:
    """Broadcast MPEG-2, interlaced, of 1080 lines: H.264 of 720 lines, progressive, and AAC. What
    is accepted is what the player's socket took of it, not what the relay gave."""
    clip = broadcast(tool("ffmpeg"), tmp_path / "in.ts")
    player = (await SocketPlayer.open()).play()
    failures: list[str] = []
    async with transcodes_of() as (transcodes, _):
        transcode = transcodes.take()
        transcode.begin(player.sink, failures.append)
        await written(transcode, clip)
        await until(lambda: len(player.got) > 50_000, within_s=30)
        assert transcode.accepted() == player.sink.accepted() <= len(clip)
        transcode.close()
        await transcode.closed
        found = picture_of(tool, tmp_path / "out.ts", bytes(player.got))
    await player.close()
    assert failures == []
    video, audio = found["video"], found["audio"]
    assert (video["codec_name"], video["height"], video["width"]) == ("h264", 720, 1280)
    assert video["field_order"] == "progressive"
    assert (audio["codec_name"], audio["channels"]) == ("aac", 2)


async def test_a_fourth_is_refused_with_the_number(tool: Tool) -> None:
    """And has its place as soon as a child is gone, not before."""
    tool("ffmpeg")
    async with transcodes_of() as (transcodes, spawner):
        player = (await SocketPlayer.open()).play()
        taken = [transcodes.take() for _ in range(TRANSCODES_MAX)]
        with pytest.raises(TranscodesInUse, match="3 previews") as refused:
            transcodes.take()
        assert refused.value.limit == TRANSCODES_MAX == 3
        taken[0].close()  # never begun: free at once
        taken[0] = transcodes.take()
        taken[1].begin(player.sink, lambda word: None)
        await until(lambda: spawner.children == 1)
        taken[1].close()
        with pytest.raises(TranscodesInUse):
            transcodes.take()
        await taken[1].closed
        assert spawner.children == 0
        transcodes.take().close()
        for transcode in taken:
            transcode.close()
        assert transcodes.in_use == 0
        await player.close()


async def test_a_player_that_does_not_read_holds_the_relay_back(tool: Tool) -> None:
    """Nothing is piled up for it: child and pipes come to a stop, and the sink says that it takes
    no more, so that the relay skips it forward as it would any slow player. When the player reads
    on, so does it."""
    tool("ffmpeg")
    player = await SocketPlayer.open(small=True)
    async with transcodes_of() as (transcodes, _):
        transcode = transcodes.take()
        transcode.begin(player.sink, lambda word: None)
        given = Given()
        writing = asyncio.get_running_loop().create_task(
            written(transcode, CLIP.read_bytes() * 40, given)
        )
        await until(lambda: not player.sink.writable, within_s=30)
        pushed = player.sink.written_bytes
        seen = -1
        while seen != given.bytes:  # until everything stands still
            seen = given.bytes
            await asyncio.sleep(0.5)
        assert not transcode.writable
        assert player.sink.written_bytes == pushed
        stuck = transcode.accepted()
        player.play()
        await until(lambda: transcode.accepted() > stuck + PIPE_BYTES, within_s=30)
        writing.cancel()
        transcode.close()
        await transcode.closed
    await player.close()


class Watcher(SocketSink):
    """A `Viewer` on a real connection; remembers how it was closed."""

    connection = ConnectionId(7)
    closed_with: EndData | None = None

    def progress(self) -> Progress:
        return Progress(bytes=self.accepted(), accepted_at=UnixMicros(0))

    def acknowledging(self) -> bool:
        return True

    def close(self, end: EndData) -> None:
        self.closed_with = end

    def supersede(self) -> None:
        raise AssertionError("nobody supersedes it here")


async def test_to_control_it_is_the_players_connection(tool: Tool) -> None:
    """Progress is the player's own; its close ends the child too."""
    tool("ffmpeg")
    player = (await SocketPlayer.open()).play()
    inner = Watcher()
    inner.transport = player.sink.transport
    async with transcodes_of() as (transcodes, spawner):
        viewer = TranscodedViewer(inner, transcodes.take(), lambda word: None)
        await until(lambda: viewer.writable)
        viewer.write(CLIP.read_bytes())
        await until(lambda: len(player.got) > 10_000)
        assert viewer.connection == 7
        assert viewer.progress().bytes == viewer.accepted() == inner.accepted() > 0
        end = EndData(reason="manual", detail="manual")  # type: ignore[typeddict-item]
        viewer.close(end)
        assert inner.closed_with is end
        await until(lambda: spawner.children == 0)
        assert transcodes.in_use == 0
    await player.close()


async def test_a_child_that_dies_is_told_in_a_word(tool: Tool) -> None:
    """Once, within a second; nothing is written to the player afterwards, and the place is free."""
    tool("ffmpeg")
    player = (await SocketPlayer.open()).play()
    failures: list[str] = []
    async with transcodes_of() as (transcodes, spawner):
        transcode = transcodes.take()
        transcode.begin(player.sink, failures.append)
        await written(transcode, CLIP.read_bytes())
        await until(lambda: len(player.got) > 0)
        signal_child(spawner, signal.SIGKILL)
        await until(lambda: bool(failures), within_s=2.5)
        assert failures == ["transcode_ffmpeg_killed_9"]
        assert transcode.closed.done()
        transcode.write(b"ignored")
        assert not transcode.writable
        transcode.close()
        assert failures == ["transcode_ffmpeg_killed_9"]
        assert transcodes.in_use == 0
    await player.close()


async def test_without_ffmpeg_it_says_so() -> None:
    """The word is the one of every child."""
    player = await SocketPlayer.open()
    failures: list[str] = []
    async with transcodes_of("no-such-ffmpeg") as (transcodes, _):
        transcode = transcodes.take()
        transcode.begin(player.sink, failures.append)
        await until(lambda: bool(failures))
        assert failures == ["ffmpeg_missing"]
        assert transcodes.in_use == 0
    await player.close()


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
async def test_closing_at_any_moment_leaves_nothing(tool: Tool, turns: int) -> None:
    """Before the child was started, while, and after: it is gone, its place free, nobody told."""
    tool("ffmpeg")
    player = await SocketPlayer.open()
    failures: list[str] = []
    async with transcodes_of() as (transcodes, _):
        transcode = transcodes.take()
        transcode.begin(player.sink, failures.append)
        for _ in range(turns):
            await asyncio.sleep(0)
        transcode.close()
        async with asyncio.timeout(3):
            await transcode.closed
        assert transcodes.in_use == 0
        assert children_alive() == []
    assert failures == []
    assert player.sink.on_writable is None
    await player.close()
