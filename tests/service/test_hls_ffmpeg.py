"""HLS as ffmpeg makes it, read by ffmpeg again once it is one stream."""

import asyncio
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.hls_provider import LivePlaylist, ranged, serve_folder, text
from tests.service.hls_setup import opened
from tests.service.provider_stub import ProviderStub
from tests.service.relay_setup import until
from tests.service.ts_checker import TsChecker

Tool = Callable[[str], str]
VIDEO_FRAMES_PER_SEGMENT = 50
SOURCE = (
    "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=frequency=440 -t 12 "
    "-c:v libx264 -preset ultrafast -bf 2 -g 50 -b:v 300k -pix_fmt yuv420p -c:a aac -b:a 64k "
    "-f mpegts src.ts"
)
SEGMENTS = "-i src.ts -c copy -f hls -hls_time 2 -hls_list_size 0"
PLAIN = f"{SEGMENTS} -hls_segment_filename v%d.ts v.m3u8"
CLIP = (
    f"-ss 4 {SEGMENTS} -hls_ts_options "
    "mpegts_start_pid=0x200:mpegts_pmt_start_pid=0x1f0:mpegts_service_id=7 "
    "-hls_segment_filename c%d.ts c.m3u8"
)


async def run(program: str, arguments: list[str], folder: Path) -> tuple[str, str]:
    """What it wrote on stdout and stderr; it must end well."""
    child = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, err.decode()
    return out.decode(), err.decode()


async def make(tool: Tool, folder: Path, *commands: str) -> None:
    """Run ffmpeg in a folder."""
    for command in commands:
        arguments = ["-hide_banner", "-v", "error", "-y", *shlex.split(command)]
        await run(tool("ffmpeg"), arguments, folder)


async def frames(tool: Tool, path: Path, stream: str = "v:0") -> int:
    """How many packets of a stream ffprobe counts."""
    wanted = f"-v error -select_streams {stream} -count_packets -show_entries"
    out, err = await run(
        tool("ffprobe"),
        [*wanted.split(), "stream=nb_read_packets", "-of", "csv=p=0", path.name],
        path.parent,
    )
    assert err == ""
    return int(out.split()[0].rstrip(","))


async def complaints(tool: Tool, path: Path) -> tuple[str, int]:
    """What ffmpeg warns of when it copies a file, and how many jumps of counters it sees."""
    copy = ["-i", path.name, "-c", "copy", "-f", "null", "-"]
    _, warnings = await run(tool("ffmpeg"), ["-hide_banner", "-v", "warning", *copy], path.parent)
    _, debug = await run(tool("ffmpeg"), ["-hide_banner", "-v", "debug", *copy], path.parent)
    return warnings, debug.count("Continuity check failed")


async def test_ffmpeg_reads_a_live_channel_across_discontinuities(
    tool: Tool, tmp_path: Path
) -> None:
    """Other PIDs, another programme and other times in the middle, from a playlist that moves on:
    no warning, no jump of a counter, and every frame."""
    await make(tool, tmp_path, SOURCE, PLAIN, CLIP)
    order = ["v0", "v1", "c0", "c1", "v2", "v3", "v4"]
    fresh = {"c0", "v2"}
    async with ProviderStub() as stub:
        playlist = LivePlaylist(target_s=2, head=["#EXT-X-DISCONTINUITY-SEQUENCE:0"])

        def add(name: str) -> None:
            stub.on(f"/{name}.ts", ranged((tmp_path / f"{name}.ts").read_bytes()))
            tags = ["#EXT-X-DISCONTINUITY"] if name in fresh else []
            playlist.add(f"{name}.ts", *tags, duration_s=2)

        for name in order[:3]:
            add(name)
        async with opened(stub.on("/live.m3u8", playlist)) as (_, got):
            for later in (order[3:5], order[5:]):
                await until(lambda: len(stub.at(f"/{playlist.lines[-1][-1]}")) == 1)
                for name in later:
                    add(name)
                playlist.drop()
            playlist.ended = True
            assert await got.end() is None
            (tmp_path / "out.ts").write_bytes(got.data)
            checker = TsChecker().feed(got.data)
    assert checker.finish() == []
    assert set(checker.pids) - {0x11} == {0, 0x1000, 0x100, 0x101}
    assert await complaints(tool, tmp_path / "out.ts") == ("", 0)
    expected = sum([await frames(tool, tmp_path / f"{name}.ts") for name in order])
    assert await frames(tool, tmp_path / "out.ts") == expected
    assert expected == len(order) * VIDEO_FRAMES_PER_SEGMENT
    expected = sum([await frames(tool, tmp_path / f"{name}.ts", "a:0") for name in order])
    assert await frames(tool, tmp_path / "out.ts", "a:0") == expected


@pytest.mark.parametrize("encrypted", [False, True])
async def test_what_ffmpeg_cut_comes_out_as_it_was(
    tool: Tool, tmp_path: Path, encrypted: bool
) -> None:
    """A finite playlist, plain or AES-128, is the concatenation of its plain segments."""
    (tmp_path / "key.bin").write_bytes(bytes(range(16)))
    (tmp_path / "keyinfo").write_text("/key.bin\nkey.bin\n")
    key = "-hls_key_info_file keyinfo" if encrypted else ""
    cut = f"{SEGMENTS} {key} -hls_segment_filename e%d.ts e.m3u8"
    await make(tool, tmp_path, SOURCE, PLAIN, cut)
    async with ProviderStub() as stub:
        serve_folder(stub, tmp_path)
        url = stub.on("/e.m3u8", text((tmp_path / "e.m3u8").read_text()))
        assert ("METHOD=AES-128" in (tmp_path / "e.m3u8").read_text()) is encrypted
        async with opened(url) as (_, got):
            assert await got.end() is None
        plain = [(tmp_path / f"v{number}.ts").read_bytes() for number in range(6)]
        assert bytes(got.data) == b"".join(plain)
