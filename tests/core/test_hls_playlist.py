"""Playlists as they are written, well and badly."""

import pytest

from plexbridge.relay.hls.faults import NeedsRemux, PlaylistInvalid, PlaylistTooBig, Protected
from plexbridge.relay.hls.parsing import (
    LINE_CHARS_MAX,
    PLAYLIST_LINES_MAX,
    parse_playlist,
)
from plexbridge.relay.hls.playlist import (
    ByteRange,
    MasterPlaylist,
    MediaPlaylist,
    choose_variant,
    separate_audio,
)
from plexbridge.relay.hls.sniff import looks_like_hls
from plexbridge.relay.hls.suitable import check_readable, check_stitchable

BASE = "http://edge.example/live/one/index.m3u8?token=1"

MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English, plain",DEFAULT=YES,URI="a/en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="Deutsch",LANGUAGE="de",AUTOSELECT=YES,URI="a/de.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="x",URI="s.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.4d401e,mp4a.40.2"
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=5000000,CODECS="avc1.640028,mp4a.40.2",AUDIO="aac"
/high/high.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2000000
https://cdn.example/mid.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9000000,URI="i.m3u8"
"""


def media(*lines: str, target: str = "6") -> MediaPlaylist:
    head = f"#EXTM3U\n#EXT-X-TARGETDURATION:{target}\n" if target else "#EXTM3U\n"
    playlist = parse_playlist(head + "\n".join(lines), BASE)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def master(text: str = MASTER) -> MasterPlaylist:
    playlist = parse_playlist(text, BASE)
    assert isinstance(playlist, MasterPlaylist)
    return playlist


def test_a_master_playlist_names_its_variants_by_absolute_uris() -> None:
    """Relative, rooted and foreign addresses; I-frame variants are none."""
    assert [(variant.uri, variant.bandwidth) for variant in master().variants] == [
        ("http://edge.example/live/one/low.m3u8", 800_000),
        ("http://edge.example/high/high.m3u8", 5_000_000),
        ("https://cdn.example/mid.m3u8", 2_000_000),
    ]
    assert master().variants[0].codecs == "avc1.4d401e,mp4a.40.2"


@pytest.mark.parametrize(
    ("bound", "bandwidth"), [(None, 5_000_000), (2_000_000, 2_000_000), (100, 800_000)]
)
def test_the_best_variant_within_the_bound_is_chosen(bound: int | None, bandwidth: int) -> None:
    """No bound: the best of all. None within the bound: the least of all."""
    assert choose_variant(master(), at_most_bits_per_s=bound).bandwidth == bandwidth


def test_audio_is_separate_only_where_it_has_an_address_of_its_own() -> None:
    """The author's default of the variant's own group counts."""
    found = separate_audio(master(), master().variants[1])
    assert found is not None
    assert (found.name, found.uri) == (
        "English, plain",
        "http://edge.example/live/one/a/en.m3u8",
    )
    assert separate_audio(master(), master().variants[0]) is None
    muxed = master(MASTER.replace(',URI="a/en.m3u8"', ""))
    assert separate_audio(muxed, muxed.variants[1]) is None


def test_a_media_playlist_says_which_segments_there_are() -> None:
    """Numbers, durations, discontinuities, gaps, and the end."""
    playlist = media(
        "#EXT-X-MEDIA-SEQUENCE:41",
        "#EXT-X-DISCONTINUITY-SEQUENCE:3",
        "#EXT-X-START:TIME-OFFSET=-12.5,PRECISE=YES",
        "#EXTINF:5.97,title, with a comma",
        "s41.ts?x=1",
        "#EXT-X-UNKNOWN:1",
        "# a comment",
        "#EXT-X-DISCONTINUITY",
        "#EXTINF:6",
        "s42.ts\r",
        "",
        "#EXT-X-GAP",
        "#EXTINF:6,",
        "s43.ts",
        "#EXT-X-ENDLIST",
    )
    assert (playlist.first_sequence, playlist.end_sequence) == (41, 44)
    assert (playlist.target_s, playlist.ended, playlist.start_offset_s) == (6, True, -12.5)
    assert playlist.counts_discontinuities
    assert [
        (part.sequence, part.duration_s, part.discontinuity, part.tagged, part.gap)
        for part in playlist.segments
    ] == [(41, 5.97, 3, False, False), (42, 6.0, 4, True, False), (43, 6.0, 4, False, True)]
    assert playlist.segments[0].uri == "http://edge.example/live/one/s41.ts?x=1"
    assert playlist.segments[1].uri == "http://edge.example/live/one/s42.ts"


def test_a_byte_range_without_an_offset_goes_on_from_the_last_one() -> None:
    """Within the same resource."""
    playlist = media(
        "#EXTINF:6", "#EXT-X-BYTERANGE:1000@500", "all.ts",
        "#EXTINF:6", "#EXT-X-BYTERANGE:200", "all.ts",
        "#EXTINF:6", "other.ts",
    )  # fmt: skip
    assert [part.byte_range for part in playlist.segments] == [
        ByteRange(500, 1000),
        ByteRange(1500, 200),
        None,
    ]


def test_a_key_holds_until_the_next_one() -> None:
    """METHOD=NONE ends it; of several for one segment the one we can use counts."""
    playlist = media(
        '#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0x0000000000000000000000000000000A',
        "#EXTINF:6", "a.ts", "#EXTINF:6", "b.ts",
        '#EXT-X-KEY:METHOD=AES-128,URI="k2"',
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"',
        "#EXTINF:6", "c.ts",
        "#EXT-X-KEY:METHOD=NONE",
        "#EXTINF:6", "d.ts",
    )  # fmt: skip
    keys = [part.key for part in playlist.segments]
    assert keys[0] is keys[1]
    assert keys[0] is not None
    assert (keys[0].uri, keys[0].iv) == ("http://edge.example/live/one/k1", b"\0" * 15 + b"\n")
    assert keys[2] is not None
    assert (keys[2].uri, keys[2].iv) == ("http://edge.example/live/one/k2", None)
    assert keys[3] is None


def test_an_initialisation_section_belongs_to_what_follows_it() -> None:
    """With its own byte range."""
    playlist = media('#EXT-X-MAP:URI="init.mp4",BYTERANGE="700@20"', "#EXTINF:6", "a.m4s")
    init = playlist.segments[0].init
    assert init is not None
    assert (init.uri, init.byte_range) == (
        "http://edge.example/live/one/init.mp4",
        ByteRange(20, 700),
    )
    with pytest.raises(NeedsRemux) as caught:
        check_stitchable(playlist)
    assert caught.value.why == "fmp4"
    check_readable(playlist)


def test_samples_encrypted_one_by_one_need_a_remuxer() -> None:
    """With a plain key; a DRM system's is out of reach for anybody, and an unknown one invalid."""
    key = '#EXT-X-KEY:METHOD={},URI="k",KEYFORMAT="{}"'
    sample_aes = media(key.format("SAMPLE-AES", "identity"), "#EXTINF:6", "a.ts")
    with pytest.raises(NeedsRemux) as caught:
        check_stitchable(sample_aes)
    assert caught.value.why == "sample_aes"
    for method in ("SAMPLE-AES", "AES-128"):
        drm = media(key.format(method, "com.widevine"), "#EXTINF:6", "a.ts")
        with pytest.raises(Protected):
            check_stitchable(drm)
    with pytest.raises(PlaylistInvalid):
        check_stitchable(media(key.format("ROT-13", "identity"), "#EXTINF:6", "a.ts"))


@pytest.mark.parametrize(
    ("lines", "line", "what"),
    [
        (["a.ts"], 3, "a URI without EXTINF"),
        (["#EXTINF:-1,One", "a.ts"], 3, "EXTINF is no duration"),
        (["#EXTINF:nan", "a.ts"], 3, "EXTINF is no duration"),
        (["#EXTINF:9999", "a.ts"], 3, "EXTINF is no duration"),
        (["#EXT-X-MEDIA-SEQUENCE:-1"], 3, "not a whole number"),
        (["#EXT-X-MEDIA-SEQUENCE:" + "9" * 21], 3, "not a whole number"),
        (["#EXTINF:6", "a.ts", "#EXT-X-MEDIA-SEQUENCE:1"], 5, "EXT-X-MEDIA-SEQUENCE after"),
        (["#EXTINF:6", "#EXT-X-BYTERANGE:10", "a.ts"], 5, "a byte range without an offset"),
        (["#EXTINF:6", "#EXT-X-BYTERANGE:x@1"], 4, "not a whole number"),
        (["#EXT-X-KEY:METHOD=AES-128"], 3, "a URI is missing"),
        (['#EXT-X-KEY:METHOD=AES-128,URI="k",IV=12'], 3, "IV is not 128 bits"),
        (['#EXT-X-KEY:METHOD="AES'], 3, "not an attribute list"),
        (["#EXT-X-START:PRECISE=YES"], 3, "EXT-X-START without"),
        (["#EXTINF:6", "http://[bad/a.ts"], 4, "a URI that is none"),
        (["#EXT-X-STREAM-INF:BANDWIDTH=1", "v.m3u8"], 0, "both variants and segments"),
        (["#EXT-X-STREAM-INF:BANDWIDTH=x", "v.m3u8"], 4, "not a whole number"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_line(
    lines: list[str], line: int, what: str
) -> None:
    """A channel list (EXTINF:-1) is no media playlist either."""
    with pytest.raises(PlaylistInvalid) as caught:
        media(*lines)
    assert caught.value.line == line
    assert what in caught.value.what


@pytest.mark.parametrize("text", ["", "<html>", "\n\n", "#EXTM3U\n", "#EXTM3U\n#EXTINF:1\na.ts"])
def test_what_is_no_playlist_is_refused(text: str) -> None:
    """Nothing, a page, and a list without its target duration."""
    with pytest.raises(PlaylistInvalid):
        parse_playlist(text, BASE)


def test_a_playlist_has_bounds() -> None:
    """In lines, and in the length of each."""
    with pytest.raises(PlaylistTooBig) as caught:
        media("\n" * PLAYLIST_LINES_MAX)
    assert (caught.value.what, caught.value.limit) == ("lines", PLAYLIST_LINES_MAX)
    with pytest.raises(PlaylistTooBig) as caught:
        media("#" + "x" * LINE_CHARS_MAX)
    assert caught.value.count == LINE_CHARS_MAX + 1


@pytest.mark.parametrize(("text", "seconds"), [("0", 1), ("5.6", 6), ("86400", 60)])
def test_a_target_duration_is_kept_within_reason(text: str, seconds: int) -> None:
    """It is what the reader waits by."""
    assert media(target=text).target_s == seconds


@pytest.mark.parametrize(
    ("content_type", "path", "head", "expected"),
    [
        ("application/vnd.apple.mpegurl", "/x", b"", True),
        ("Audio/MPEGURL; charset=utf-8", "/x", b"", True),
        ("application/x-mpegURL", "/x", b"", True),
        ("video/mp2t", "/x.m3u8", b"", False),
        ("", "/live/1.m3u8", b"", True),
        ("application/octet-stream", "/live/1.ts", b"", False),
        ("video/mp2t", "/x.ts", b"#EXTM3U\n", True),
        ("video/mp2t", "/x.ts", b"\xef\xbb\xbf#EXTM3U\n", True),
        ("application/vnd.apple.mpegurl", "/x.m3u8", b"\x47\x40\x00", False),
    ],
)
def test_a_playlist_is_known_by_its_type_or_its_first_line(
    content_type: str, path: str, head: bytes, expected: bool
) -> None:
    """The body has the last word."""
    assert looks_like_hls(content_type, path, head) is expected
