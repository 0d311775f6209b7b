"""An HLS provider that misbehaves: every end has its word, and what can go on goes on."""

import asyncio
from itertools import pairwise

import pytest

from plexbridge.relay.hls.faults import NeedsRemux
from plexbridge.relay.hls.fetch import SEGMENT_BYTES_MAX
from plexbridge.relay.ports import UpstreamFailed
from tests.service.hls_maker import FRAME_TICKS, HlsMaker, decoding_times
from tests.service.hls_provider import LivePlaylist, ranged, served, text
from tests.service.hls_setup import opened
from tests.service.provider_stub import (
    Behaviour,
    Connection,
    ProviderStub,
    finite,
    html,
    refused_url,
    resets_after,
    stalls_after,
    status,
)
from tests.service.relay_setup import until
from tests.service.ts_checker import TsChecker

KEY_TAG = '#EXT-X-KEY:METHOD=AES-128,URI="/key"'


def live(stub: ProviderStub, count: int, **options: int) -> tuple[LivePlaylist, HlsMaker, str]:
    """A live playlist of so many segments, its encoder, and its address."""
    maker, playlist = HlsMaker(), LivePlaylist(**options)
    for number in range(count):
        stub.on(f"/{number}.ts", ranged(maker.segment()))
        playlist.add(f"{number}.ts")
    return playlist, maker, stub.on("/live.m3u8", playlist)


async def how_it_ends(url: str) -> tuple[str, str] | None:
    """At opening or later: a first segment may be bad from its first byte or not."""
    try:
        async with opened(url) as (_, got):
            return await got.end()
    except UpstreamFailed as failed:
        return failed.reason, failed.detail


async def failure_at_opening(url: str) -> tuple[str, str]:
    with pytest.raises(UpstreamFailed) as caught:
        async with opened(url):
            pass
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<html>", ("response_invalid", "hls_bad_playlist")),
        ("#EXTM3U\n#EXTINF:-1,One\nhttp://a/1\n", ("response_invalid", "hls_bad_playlist")),
        ("#EXTM3U\n" + "#" * 3_000_000, ("response_invalid", "hls_playlist_too_big")),
        ("#EXTM3U\n" + "\n" * 10_001, ("response_invalid", "hls_playlist_too_big")),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n/gone.m3u8\n",
            ("stream_failed", "hls_playlist_http_404"),
        ),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nrtsp://a/b\n",
            ("stream_failed", "hls_playlist_bad_url"),
        ),
        (
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-ENDLIST\n",
            ("response_invalid", "hls_empty"),
        ),
        (
            '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",'
            'KEYFORMAT="com.apple.streamingkeydelivery"\n#EXTINF:1\na.ts\n',
            ("response_invalid", "hls_drm"),
        ),
    ],
)
async def test_a_playlist_that_cannot_be_followed_fails_at_opening(
    body: str, expected: tuple[str, str]
) -> None:
    """With a word that says what is wrong with it, and no connection left behind."""
    async with ProviderStub() as stub:
        assert await failure_at_opening(stub.on("/x.m3u8", text(body))) == expected
        await until(lambda: stub.open == 0, within_s=5)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (status(404), ("stream_failed", "hls_segment_http_404")),
        (status(503), ("stream_failed", "hls_segment_http_503")),
        (html(50), ("response_invalid", "hls_not_mpeg_ts")),
        (finite(b"", declared=5_000), ("stream_failed", "hls_segment_cut_short")),
        (resets_after(b""), ("stream_failed", "hls_segment_reset")),
        (finite(b""), ("stream_failed", "hls_segment_empty")),
        (
            finite(HlsMaker().segment(tables=False)),
            ("response_invalid", "hls_no_tables"),
        ),
    ],
    ids=["404", "503", "html", "short", "reset", "empty", "no tables"],
)
async def test_segments_that_do_not_come_are_skipped_until_there_are_too_many(
    segment: Behaviour, expected: tuple[str, str]
) -> None:
    """Four in a row; then the upstream is lost, with the word of the last."""
    async with ProviderStub() as stub:
        playlist = LivePlaylist(ended=True)
        for number in range(9):
            playlist.add(f"{number}.ts")
            stub.on(f"/{number}.ts", segment)
        url = stub.on("/x.m3u8", playlist)
        assert await how_it_ends(url) == expected
        asked = {connection.path for connection in stub.connections}
        assert asked == {"/x.m3u8", "/0.ts", "/1.ts", "/2.ts", "/3.ts"}
        assert stub.peak_open == 1


async def test_one_segment_that_is_missing_is_skipped_without_a_jump() -> None:
    """The stream goes on in time and in counters."""
    async with ProviderStub() as stub:
        maker, playlist = HlsMaker(), LivePlaylist(ended=True)
        for number in range(4):
            served(stub, {f"/{number}.ts": maker.segment()})
            playlist.add(f"{number}.ts")
        stub.on("/1.ts", status(404))
        stub.on("/2.ts", resets_after(b""), ranged(maker.segment()))
        async with opened(stub.on("/x.m3u8", playlist)) as (_, got):
            assert await got.end() is None
        out = bytes(got.data)
        assert TsChecker().feed(out).finish() == []
        times = decoding_times(out)[0x100]
        assert {b - a for a, b in pairwise(times)} == {FRAME_TICKS}


async def test_a_playlist_that_does_not_change_any_more_is_stale() -> None:
    """After all of it was played."""
    async with ProviderStub() as stub:
        _, _, url = live(stub, 3)
        async with opened(url) as (body, got):
            assert body.silence_ms >= 6_000
            began = asyncio.get_running_loop().time()
            assert await got.end() == ("timeout", "hls_stale")
            assert 5.5 < asyncio.get_running_loop().time() - began < 8
        asked = [connection.opened_at for connection in stub.at("/live.m3u8")]
        assert all(b - a > 0.45 for a, b in pairwise(asked))


async def test_a_reload_that_fails_is_tried_again() -> None:
    """A server that is just writing the file; the stream does not notice."""
    async with ProviderStub() as stub:
        playlist, maker, url = live(stub, 3)
        stub.on("/live.m3u8", playlist, text(""), status(503), playlist)
        async with opened(url) as (_, got):
            stub.on("/3.ts", ranged(maker.segment()))
            playlist.add("3.ts")
            await until(lambda: len(stub.at("/3.ts")) == 1)
            await until(lambda: len(got.data) == maker.serial.value * 188 + 4 * 2 * 188)
            assert not got.over.done()


async def test_numbers_that_start_anew_are_followed() -> None:
    """An encoder was restarted: other numbers, another time, one stream."""
    async with ProviderStub() as stub:
        playlist, maker, url = live(stub, 3, first=900)
        async with opened(url) as (_, got):
            again = HlsMaker(maker.serial, decoding=5)
            playlist.first, playlist.lines = 0, []
            stub.on("/new.ts", ranged(again.segment()))
            playlist.add("new.ts")
            await until(lambda: len(got.data) >= maker.serial.value * 188)
            checker = TsChecker().feed(got.data)
            assert checker.finish() == []
            assert checker.jumps == []


async def test_an_endless_segment_has_a_bound() -> None:
    """In bytes; what it gave until then was passed on, and the next one goes on."""
    async with ProviderStub() as stub:
        block = HlsMaker().segment(frames=1_000)

        async def endless(connection: Connection) -> None:
            connection.keep = False
            await connection.answer()
            while True:
                await connection.send(block)

        playlist = LivePlaylist(ended=True)
        stub.on("/0.ts", endless)
        playlist.add("0.ts")
        async with opened(stub.on("/x.m3u8", playlist)) as (_, got):
            assert await got.end() is None
            assert len(got.data) <= SEGMENT_BYTES_MAX
        assert stub.open == 0


async def test_a_segment_that_stalls_is_left_and_the_next_one_goes_on() -> None:
    """After five seconds without a byte; what it gave was passed on, and nothing jumps."""
    async with ProviderStub() as stub:
        maker, playlist = HlsMaker(), LivePlaylist(ended=True)
        first, second = maker.segment(), maker.segment()
        stub.on("/0.ts", stalls_after(first))
        stub.on("/1.ts", ranged(second))
        playlist.add("0.ts")
        playlist.add("1.ts")
        async with opened(stub.on("/x.m3u8", playlist)) as (_, got):
            assert await got.end() is None
            assert bytes(got.data) == first + second
        assert stub.peak_open == 1


@pytest.mark.parametrize(
    ("key", "detail"),
    [(status(403), "hls_key_http_403"), (finite(b"x" * 15), "hls_key_wrong_length")],
)
async def test_a_key_that_does_not_come_is_said(key: Behaviour, detail: str) -> None:
    """As is one of a wrong length."""
    async with ProviderStub() as stub:
        playlist = LivePlaylist(ended=True)
        for number in range(5):
            playlist.add(f"{number}.ts", KEY_TAG)
        stub.on("/key", key)
        assert (await failure_at_opening(stub.on("/x.m3u8", playlist)))[1] == detail


async def test_a_provider_that_is_gone_is_said_in_its_own_word() -> None:
    """Segments on a host that refuses."""
    async with ProviderStub() as stub:
        playlist = LivePlaylist(ended=True)
        for _ in range(5):
            playlist.add(refused_url())
        expected = ("stream_failed", "hls_segment_refused")
        assert await failure_at_opening(stub.on("/x.m3u8", playlist)) == expected


@pytest.mark.parametrize(
    ("body", "segment", "why"),
    [
        ('#EXT-X-MAP:URI="i.mp4"\n#EXTINF:1\n0.m4s\n', b"", "fmp4"),
        ("#EXTINF:1\n0.ts\n", b"\0\0\0\x20ftypisom".ljust(500, b"\0"), "fmp4"),
        ("#EXTINF:1\n0.ts\n", b"ID3\x04".ljust(500, b"\0"), "packed_audio"),
        ("#EXTINF:1\n0.ts\n", b"\xff\xf1".ljust(500, b"\0"), "packed_audio"),
        ('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n#EXTINF:1\n0.ts\n', b"", "sample_aes"),
    ],
)
async def test_what_segments_cannot_give_is_a_remuxers_business(
    body: str, segment: bytes, why: str
) -> None:
    """It is known before anything is delivered."""
    async with ProviderStub() as stub:
        stub.on("/0.ts", ranged(segment))
        url = stub.on("/x.m3u8", text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + body))
        with pytest.raises(NeedsRemux) as caught:
            async with opened(url):
                pass
        assert caught.value.why == why
        await until(lambda: stub.open == 0, within_s=5)


async def test_separate_audio_is_a_remuxers_business() -> None:
    """Where the chosen variant has none of its own."""
    async with ProviderStub() as stub:
        master = (
            '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a.m3u8"\n'
            '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv.m3u8\n'
        )
        with pytest.raises(NeedsRemux) as caught:
            async with opened(stub.on("/x.m3u8", text(master))):
                pass
        assert caught.value.why == "audio_group"
