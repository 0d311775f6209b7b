"""HLS over real sockets: playlists and segments in, one MPEG-TS body out."""

import asyncio
import base64
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from plexbridge.relay.hls.reader import PUSH_BYTES_MAX
from tests.service.hls_maker import FRAME_TICKS, HlsMaker, Serial, decoding_times
from tests.service.hls_provider import LivePlaylist, answer_with, ranged, served, text
from tests.service.hls_setup import opened
from tests.service.provider_stub import Connection, ProviderStub, redirect
from tests.service.relay_setup import until
from tests.service.ts_checker import TsChecker

KEY = bytes(range(16))


def finite(*names: str, tags: dict[str, list[str]] | None = None) -> LivePlaylist:
    """A playlist with an end."""
    playlist = LivePlaylist(ended=True)
    for name in names:
        playlist.add(name, *(tags or {}).get(name, []))
    return playlist


def encrypted(plain: bytes, iv: bytes) -> bytes:
    """AES-128-CBC with PKCS#7."""
    left = 16 - len(plain) % 16
    cipher = Cipher(algorithms.AES128(KEY), modes.CBC(iv)).encryptor()
    return cipher.update(plain + bytes([left]) * left) + cipher.finalize()


async def test_a_finite_playlist_is_read_whole_and_byte_for_byte() -> None:
    """From its first segment, whatever its length, one request at a time; then it is over."""
    async with ProviderStub() as stub:
        maker = HlsMaker()
        parts = {f"/v/{number}.ts": maker.segment() for number in range(6)}
        served(stub, parts)
        url = stub.on("/v/index.m3u8", finite(*(f"{number}.ts" for number in range(6))))
        async with opened(url) as (_, got):
            assert await got.end() is None
            assert bytes(got.data) == b"".join(parts.values())
        assert stub.peak_open == 1
        assert len(stub.at("/v/index.m3u8")) == 1


async def test_the_best_variant_is_read_by_the_address_redirects_led_to() -> None:
    """Relative addresses are relative to where a playlist finally was."""
    async with ProviderStub() as stub:
        segment = HlsMaker().segment()
        served(stub, {"/deep/er/1.ts": segment})
        stub.on("/deep/er/hi.m3u8", finite("1.ts"))
        stub.on("/deep/hi", redirect("er/hi.m3u8"))
        stub.on(
            "/deep/master.m3u8",
            text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlo\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhi\n"),
        )
        url = stub.on("/start", redirect("/deep/master.m3u8"))
        async with opened(url) as (_, got):
            assert await got.end() is None
            assert bytes(got.data) == segment


async def test_a_live_playlist_is_followed_over_a_discontinuity_without_losing_a_packet() -> None:
    """Other PIDs, counters and times; the window moves on; the listener sees one stream."""
    async with ProviderStub() as stub:
        serial = Serial()
        main = HlsMaker(serial)
        clip = HlsMaker(serial, pmt_pid=0x99, video_pid=0x200, audio_pid=0x201, decoding=7)
        playlist = LivePlaylist(head=["#EXT-X-DISCONTINUITY-SEQUENCE:0"])
        url = stub.on("/live.m3u8", playlist)

        def add(name: str, maker: HlsMaker, *tags: str) -> None:
            stub.on(f"/{name}", ranged(maker.segment()))
            playlist.add(name, *tags)

        for number in range(3):
            add(f"{number}.ts", main)
        async with opened(url) as (_, got):
            await until(lambda: serial.value * 188 <= len(got.data))
            add("c1.ts", clip, "#EXT-X-DISCONTINUITY")
            playlist.drop()
            await until(lambda: serial.value * 188 <= len(got.data))
            add("c2.ts", clip)
            add("3.ts", main, "#EXT-X-DISCONTINUITY")
            playlist.drop(2)
            await until(lambda: serial.value * 188 <= len(got.data))
            checker = TsChecker().feed(got.data)
            assert checker.finish() == []
            assert checker.jumps == []
            assert set(checker.pids) == {0, 0x1000, 0x100, 0x101}
            times = decoding_times(bytes(got.data))[0x100]
            assert {b - a for a, b in pairwise(times)} == {FRAME_TICKS}
            assert not got.over.done()
        assert stub.peak_open == 1


@pytest.mark.parametrize("explicit", [True, False])
async def test_encrypted_segments_are_decrypted(explicit: bool) -> None:
    """With the IV of the playlist, or the segment's number; the key is asked for once."""
    async with ProviderStub() as stub:
        maker, parts = HlsMaker(), []
        tag = '#EXT-X-KEY:METHOD=AES-128,URI="/key"' + (",IV=0x" + "0b" * 16) * explicit
        playlist = LivePlaylist(first=300, ended=True)
        for number in range(300, 303):
            parts.append(maker.segment(frames=200))
            iv = b"\x0b" * 16 if explicit else number.to_bytes(16, "big")
            stub.on(f"/{number}.ts", ranged(encrypted(parts[-1], iv)))
            playlist.add(f"{number}.ts", *[tag] * (number == 300))

        async def key(connection: Connection) -> None:
            await answer_with(connection, KEY, "application/octet-stream")

        stub.on("/key", key)
        async with opened(stub.on("/x.m3u8", playlist)) as (_, got):
            assert await got.end() is None
            assert bytes(got.data) == b"".join(parts)
        assert len(stub.at("/key")) == 1
        assert stub.peak_open == 1


@pytest.mark.parametrize("ignored", [True, False])
async def test_segments_that_are_parts_of_one_file_are_read_as_such(ignored: bool) -> None:
    """Also from a server that ignores `Range` and sends all of it."""
    async with ProviderStub() as stub:
        maker = HlsMaker()
        parts = [maker.segment(frames=frames) for frames in (10, 20, 30)]
        stub.on("/all.ts", ranged(b"x" * 77 + b"".join(parts), ignored=ignored))
        playlist = LivePlaylist(ended=True)
        for number, part in enumerate(parts):
            playlist.add("all.ts", f"#EXT-X-BYTERANGE:{len(part)}" + "@77" * (number == 0))
        async with opened(stub.on("/x.m3u8", playlist)) as (_, got):
            assert await got.end() is None
            assert bytes(got.data) == b"".join(parts)


async def test_a_paused_body_reads_nothing_and_goes_on_where_it_was() -> None:
    """No push, no request; in pieces small enough to pause in time."""
    async with ProviderStub() as stub:
        maker = HlsMaker()
        names = [f"{number}.ts" for number in range(5)]
        parts = {f"/{name}": maker.segment(frames=500) for name in names}
        served(stub, parts)
        async with opened(stub.on("/x.m3u8", finite(*names))) as (body, got):
            body.pause()
            await until(lambda: len(stub.connections) == 2)
            before = len(got.data)
            await asyncio.sleep(0.3)
            assert len(got.data) == before
            assert len(stub.connections) == 2
            body.resume()
            assert await got.end() is None
            assert bytes(got.data) == b"".join(parts.values())
            assert max(got.pushes) <= PUSH_BYTES_MAX


async def test_a_closed_body_lets_go_of_its_socket_and_asks_for_nothing_more() -> None:
    """In the middle of a segment; the receiver hears nothing."""
    async with ProviderStub() as stub:
        part = HlsMaker().segment()

        async def hanging(connection: Connection) -> None:
            await connection.answer()
            await connection.send(part)
            await connection.hang()

        stub.on("/0.ts", hanging)
        async with opened(stub.on("/x.m3u8", finite("0.ts", "1.ts"))) as (body, got):
            await until(lambda: len(got.data) == len(part))
            body.close()
            await asyncio.wait_for(body.closed, 1)
            await until(lambda: stub.open == 0, within_s=5)
            assert not got.over.done()
        assert len(stub.connections) == 2


async def test_headers_and_logins_go_to_their_own_origin_only() -> None:
    """The player's headers go everywhere; the login of the URL, its cookie and an
    `Authorization` to nobody else's segments."""
    async with ProviderStub() as stub, ProviderStub() as other:
        maker = HlsMaker()
        served(stub, {"/0.ts": maker.segment()})
        served(other, {"/1.ts": maker.segment()})
        playlist = finite("0.ts", other.url("/1.ts"))

        async def with_cookie(connection: Connection) -> None:
            body = playlist.text().encode()
            await answer_with(connection, body, "audio/mpegurl", **{"Set-Cookie": "s=1; Path=/"})

        sent = {"User-Agent": "Box", "Referer": "r", "Proxy-Authorization": "p"}
        url = stub.on("/x.m3u8", with_cookie).replace("//", "//me:secret@")
        async with opened(url, headers=sent) as (_, got):
            assert await got.end() is None
        login = base64.b64encode(b"me:secret").decode()
        own, foreign = stub.at("/0.ts")[0].head, other.at("/1.ts")[0].head
        assert f"Authorization: Basic {login}" in own
        assert "Cookie: s=1" in own
        assert "Proxy-Authorization: p" in own
        for head in (own, foreign):
            assert "User-Agent: Box" in head
            assert "Referer: r" in head
        assert "Authorization" not in foreign
        assert "Cookie" not in foreign
