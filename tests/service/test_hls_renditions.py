"""Renditions for a remuxer: what ffmpeg made comes out so that ffmpeg can read it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from plexbridge.clock import SteadyClock
from plexbridge.outbound import Outbound
from plexbridge.relay.hls.renditions import Rendition, Renditions, open_renditions
from plexbridge.relay.ports import UpstreamFailed
from tests.service.hls_provider import LivePlaylist, serve_folder, served, text
from tests.service.provider_stub import ProviderStub, status
from tests.service.relay_setup import LOOPBACK, until, upstream_at
from tests.service.test_hls_ffmpeg import SOURCE, frames, make

Tool = Callable[[str], str]


async def collected(rendition: Rendition) -> list[tuple[bytes, bool, bool]]:
    """Everything a finite rendition gives."""
    return [(piece.data, piece.is_init, piece.fresh) async for piece in rendition.pieces()]


async def open_at(outbound: Outbound, url: str) -> Renditions:
    return await open_renditions(upstream_at(url), outbound=outbound, clock=SteadyClock())


async def test_fragmented_mp4_with_separate_audio_comes_as_two_renditions(
    tool: Tool, tmp_path: Path
) -> None:
    """Read at the same time, one request at a time, each a file that ffmpeg understands."""
    await make(
        tool,
        tmp_path,
        SOURCE,
        "-i src.ts -map 0:v -map 0:a -c copy -bsf:a aac_adtstoasc -f hls -hls_time 2 "
        "-hls_list_size 0 -hls_segment_type fmp4 -master_pl_name master.m3u8 -var_stream_map "
        "'a:0,agroup:aud,default:yes,name:a v:0,agroup:aud,name:v' "
        "-hls_segment_filename %v_%d.m4s %v.m3u8",
    )
    outbound = Outbound(LOOPBACK)
    async with ProviderStub() as stub:
        serve_folder(stub, tmp_path)
        renditions = await open_at(outbound, stub.url("/master.m3u8"))
        assert renditions.audio is not None
        main, audio = await asyncio.gather(collected(renditions.main), collected(renditions.audio))
        assert stub.peak_open == 1
    await outbound.close()
    for name, pieces in (("main.mp4", main), ("audio.mp4", audio)):
        assert [is_init for _, is_init, _ in pieces] == [True] + [False] * (len(pieces) - 1)
        (tmp_path / name).write_bytes(b"".join(data for data, _, _ in pieces))
    assert await frames(tool, tmp_path / "main.mp4") == 300
    expected = await frames(tool, tmp_path / "src.ts", "a:0")
    assert await frames(tool, tmp_path / "audio.mp4", "a:0") == expected


async def test_an_initialisation_section_comes_again_when_it_has_changed() -> None:
    """And a segment that does not come is left out, and said by what follows."""
    outbound = Outbound(LOOPBACK)
    async with ProviderStub() as stub:
        served(stub, {"/i1": b"one", "/i2": b"xtwo", "/a": b"A", "/b": b"B", "/d": b"D"})
        stub.on("/c", status(404))
        playlist = LivePlaylist(ended=True)
        playlist.add("a", '#EXT-X-MAP:URI="i1"')
        playlist.add("b")
        playlist.add("c", "#EXT-X-DISCONTINUITY", '#EXT-X-MAP:URI="i2",BYTERANGE="3@1"')
        playlist.add("d")
        renditions = await open_at(outbound, stub.on("/x.m3u8", playlist))
        assert renditions.audio is None
        assert await collected(renditions.main) == [
            (b"one", True, True),
            (b"A", False, True),
            (b"B", False, False),
            (b"two", True, True),
            (b"D", False, True),
        ]
        renditions.close()
        await until(lambda: stub.open == 0, within_s=5)
    await outbound.close()


async def test_renditions_fail_with_the_words_of_the_stitcher() -> None:
    """At opening, and in between."""
    outbound = Outbound(LOOPBACK)
    async with ProviderStub() as stub:
        with pytest.raises(UpstreamFailed, match="hls_playlist_http_403"):
            await open_at(outbound, stub.on("/403", status(403)))
        with pytest.raises(UpstreamFailed, match="hls_bad_playlist"):
            await open_at(outbound, stub.on("/bad", text("#EXTM3U")))
        playlist = LivePlaylist(ended=True)
        for _ in range(5):
            playlist.add("gone")
        renditions = await open_at(outbound, stub.on("/x", playlist))
        with pytest.raises(UpstreamFailed, match="hls_segment_http_404"):
            await collected(renditions.main)
    await outbound.close()
