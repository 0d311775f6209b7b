"""The pretend provider, over real sockets: what a player and a bridge get from it."""

import asyncio
import json
import logging
import socket
import struct
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
import uvloop

from events.ids import UnixMicros
from plexbridge.clock import Clock, ManualClock, SteadyClock
from plexbridge.demo import connection
from plexbridge.demo.channels import CHANNELS, TO_TRY_OUT
from plexbridge.demo.loop import LoopingClip
from plexbridge.demo.provider import DemoProvider

DEADLINE_S = 10.0
EVERY = (*CHANNELS, *TO_TRY_OUT)
NIGHT = datetime(2024, 2, 29, 23, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quiet_asyncio(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No exception of a connection ends up in asyncio's logger."""
    with caplog.at_level(logging.WARNING, logger="asyncio"):
        yield
    assert [record for record in caplog.get_records("call") if record.name == "asyncio"] == []


@pytest.fixture(autouse=True)
async def opened() -> AsyncIterator[None]:
    """No test leaves a player's socket behind, failed or not."""
    yield
    while Player.opened:
        writer = Player.opened.pop().writer
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(clock: Clock | None = None) -> AsyncIterator[DemoProvider]:
    provider = DemoProvider(clock or SteadyClock())
    await provider.start()
    try:
        yield provider
    finally:
        await provider.close()


class Player:
    """A raw HTTP client: one request, then the answer's head, then bytes as they come."""

    opened: ClassVar[list["Player"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.opened.append(self)

    async def head(self) -> tuple[int, dict[str, str]]:
        text = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), DEADLINE_S)).decode()
        status, *fields = text.strip().split("\r\n")
        return int(status.split(" ")[1]), dict(field.lower().split(": ", 1) for field in fields)

    async def read(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), DEADLINE_S)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), DEADLINE_S)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def asked(provider: DemoProvider, path: str, method: str = "GET") -> Player:
    return await said(provider, f"{method} {path} HTTP/1.1\r\nHost: demo\r\n\r\n".encode())


async def said(provider: DemoProvider, request: bytes) -> Player:
    where = urlsplit(provider.base_url)
    player = Player(*await asyncio.open_connection(where.hostname, where.port))
    player.writer.write(request)
    return player


async def fetched(provider: DemoProvider, path: str) -> str:
    player = await asked(provider, path)
    status, fields = await player.head()
    body = await player.rest()
    await player.close()
    assert status == 200
    assert int(fields["content-length"]) == len(body)
    return body.decode()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 (a provider tells nobody; it is asked)
            await asyncio.sleep(0.005)


def pids(packets: bytes) -> list[int]:
    return [
        int.from_bytes(packets[at + 1 : at + 3], "big") & 0x1FFF
        for at in range(0, len(packets), 188)
    ]


async def test_the_playlist_lists_its_channels_with_addresses_that_play() -> None:
    """Every entry has id, number, name and group, and its absolute address answers MPEG-TS."""
    async with serving() as provider:
        assert provider.playlist_url == f"{provider.base_url}/playlist.m3u"
        header, *lines = (await fetched(provider, "/playlist.m3u")).splitlines()
        assert header == f'#EXTM3U url-tvg="{provider.guide_url}"'
        lines, others = lines[: 2 * len(CHANNELS)], lines[2 * len(CHANNELS) :]
        assert [urlsplit(url).path for url in others[1::2]] == [
            *("/hls/7.m3u8", "/stalling/8.ts", "/failing/9.ts", "/live/9.ts")
        ]
        for channel, info, url in zip(CHANNELS, lines[::2], lines[1::2], strict=True):
            number = channel.number
            assert info.startswith(f'#EXTINF:-1 tvg-id="{number}.demo" tvg-chno="{number}" ')
            assert info.endswith(f'group-title="{channel.group}",{channel.name}')
            assert url == f"{provider.base_url}/live/{number}.ts"
            player = await asked(provider, urlsplit(url).path)
            status, fields = await player.head()
            assert (status, fields["content-type"]) == (200, "video/mp2t")
            assert "content-length" not in fields
            assert "transfer-encoding" not in fields
            assert pids(await player.read(3 * 188)) == [0, 0x1000, 0x100]
            await player.close()


async def test_the_guide_covers_the_day_and_its_neighbours_without_a_gap() -> None:
    """Three UTC days from the injected clock, each channel gapless, in valid XMLTV times."""
    async with serving(ManualClock(UnixMicros(int(NIGHT.timestamp()) * 1_000_000))) as provider:
        tree = ET.fromstring(await fetched(provider, "/guide.xml"))
    midnight = NIGHT.replace(hour=0, minute=0)
    assert [c.get("id") for c in tree.iter("channel")] == [c.tvg_id for c in EVERY]
    assert [c.findtext("display-name") for c in tree.iter("channel")] == [c.name for c in EVERY]
    for channel in EVERY:
        shown = [p for p in tree.iter("programme") if p.get("channel") == channel.tvg_id]
        expected = midnight - timedelta(days=1)
        for programme in shown:
            assert programme.get("start") == expected.strftime("%Y%m%d%H%M%S +0000")
            expected = datetime.strptime(programme.get("stop") or "", "%Y%m%d%H%M%S %z")
            assert programme.findtext("title")
            assert programme.findtext("desc")
            assert programme.findtext("category")
        assert expected == midnight + timedelta(days=2)
        numbers = [
            (p.findtext("title"), number.text)
            for p in shown
            for number in p.iter("episode-num")
            if number.get("system") == "xmltv_ns"
        ]
        assert len(set(numbers)) == len(numbers) > 0, "an episode is shown once"


async def test_all_viewers_of_a_channel_see_the_same_moment() -> None:
    """One who comes later joins where the first one is: the same packets, byte for byte."""
    async with serving() as provider:
        first = await asked(provider, "/live/3.ts")
        await first.head()
        seen = bytearray(await first.read(200 * 188))
        second = await asked(provider, "/live/3.ts")
        await second.head()
        joined = await second.read(100 * 188)
        key_frame_onwards = joined[2 * 188 :]
        while key_frame_onwards not in seen:
            seen += await first.read(50 * 188)
            assert len(seen) < 4_000_000
        await first.close()
        await second.close()


async def test_a_channel_is_paced_by_its_clock_after_a_small_burst() -> None:
    """At once one to two seconds of programme, then exactly what time brings."""
    clock = ManualClock()
    clip = resources.files("plexbridge.demo").joinpath("clips/1.ts").read_bytes()
    began_90k = clock.now() * 9 // 100
    pieces = LoopingClip(clip).play(began_90k - 90_000)
    upcoming = next(pieces)
    assert 90_000 <= began_90k - upcoming.due_90k < 180_000
    async with serving(clock) as provider:
        player = await asked(provider, "/live/1.ts")
        await player.head()
        for elapsed_s in (0, 3, 8):
            now_90k = began_90k + elapsed_s * 90_000
            expected = bytearray()
            while upcoming.due_90k <= now_90k:
                expected += upcoming.packets
                upcoming = next(pieces)
            assert await player.read(len(expected)) == expected
            await assert_nothing_comes(player)
            clock.advance({0: 3, 3: 5, 8: 0}[elapsed_s])
        await player.close()


async def assert_nothing_comes(player: Player) -> None:
    """Time stands still, so does the programme: for several of its steps (80 ms each)."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(player.reader.read(1), 0.3)


async def test_a_restarted_provider_goes_on_where_the_clock_is() -> None:
    """Position and timestamps come from wall time, so two providers send the same bytes."""
    starts = []
    for _ in range(2):
        async with serving(ManualClock()) as provider:
            player = await asked(provider, "/live/2.ts")
            await player.head()
            starts.append(await player.read(100 * 188))
            await player.close()
    assert starts[0] == starts[1]


@pytest.mark.parametrize("leaves", [Player.close, Player.reset], ids=["fin", "rst"])
async def test_a_viewer_who_leaves_is_counted_out(
    leaves: Callable[[Player], Awaitable[None]],
) -> None:
    """By FIN or by RST, the line is free again; peak and total remember."""
    async with serving() as provider:
        players = [await asked(provider, f"/live/{n}.ts") for n in (1, 1, 2)]
        for player in players:
            await player.head()
        assert provider.open_connections == 3
        await leaves(players[0])
        await until(lambda: provider.open_connections == 2)
        stats = json.loads(await fetched(provider, "/stats"))
        assert (stats["open"], stats["peak"], stats["total"]) == (2, 3, 3)
        assert stats["channels"]["1"] == {"open": 1, "peak": 2, "total": 2}
        assert stats["channels"]["2"] == {"open": 1, "peak": 1, "total": 1}
        assert stats["channels"]["6"] == {"open": 0, "peak": 0, "total": 0}
        for player in players[1:]:
            await player.close()
        await until(lambda: provider.open_connections == 0)


async def test_head_is_answered_without_counting_a_viewer() -> None:
    """A probe gets the fields and no programme."""
    async with serving() as provider:
        for path, kind in [("/live/1.ts", "video/mp2t"), ("/guide.xml", "application/xml")]:
            player = await asked(provider, path, "HEAD")
            status, fields = await player.head()
            assert status == 200
            assert fields["content-type"].startswith(kind)
            assert await player.rest() == b""
            await player.close()
        assert json.loads(await fetched(provider, "/stats"))["total"] == 0


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /live/7.ts HTTP/1.1\r\n\r\n", 404),
        (b"GET /live/../provider.py HTTP/1.1\r\n\r\n", 404),
        (b"POST /playlist.m3u HTTP/1.1\r\n\r\n", 405),
        (b"\x16\x03\x01 hello\r\n\r\n", 400),
        (b"GET /" + b"x" * 9_000, 431),
    ],
)
async def test_what_cannot_be_answered_is_refused(request_head: bytes, status: int) -> None:
    """A status that says so, and the connection ends; the provider goes on."""
    async with serving() as provider:
        player = await said(provider, request_head)
        assert (await player.head())[0] == status
        assert await player.rest() == b""
        await player.close()
        assert "#EXTM3U" in await fetched(provider, "/playlist.m3u")


async def test_a_request_may_come_in_pieces_and_a_query_is_ignored() -> None:
    """Nothing is answered before the blank line."""
    async with serving() as provider:
        player = await said(provider, b"GET /playlist.m3u?user=a HT")
        player.writer.write(b"TP/1.1\r\nHost: demo\r\n\r")
        await player.writer.drain()
        player.writer.write(b"\n")
        assert (await player.head())[0] == 200
        await player.close()


async def test_a_reader_who_stopped_reading_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for one viewer is bounded; the others go on."""
    monkeypatch.setattr(connection, "_UNSENT_LIMIT_BYTES", 100_000)
    clock = ManualClock()
    async with serving(clock) as provider:
        sleeper = await asked(provider, "/live/1.ts")
        await sleeper.head()
        sleeper.writer.transport.pause_reading()  # type: ignore[attr-defined]
        reader = await asked(provider, "/live/1.ts")
        await reader.head()
        reading = asyncio.create_task(drained(reader))
        async with asyncio.timeout(DEADLINE_S):
            while provider.open_connections == 2:
                clock.advance(1)
                await asyncio.sleep(0.005)
        assert provider.open_connections == 1
        assert not reading.done()
        await reader.close()
        await reading


async def drained(player: Player) -> None:
    while await asyncio.wait_for(player.reader.read(65_536), DEADLINE_S):
        pass


def test_it_serves_in_uvloop_too() -> None:
    """The bridge runs on uvloop, whose transports are a family of their own."""

    async def scenario() -> None:
        async with serving() as provider:
            player = await asked(provider, "/live/4.ts")
            assert (await player.head())[0] == 200
            assert pids(await player.read(3 * 188)) == [0, 0x1000, 0x100]
            assert provider.open_connections == 1
            await player.close()
            await until(lambda: provider.open_connections == 0)
            assert "#EXTM3U" in await fetched(provider, "/playlist.m3u")
            for left_open in Player.opened:
                await left_open.close()
            Player.opened.clear()

    uvloop.run(scenario())


async def test_closing_ends_every_connection() -> None:
    """After `close` nothing listens and nobody is counted."""
    provider = DemoProvider(SteadyClock())
    await provider.start()
    watching = await asked(provider, "/live/1.ts")
    await watching.head()
    silent = await said(provider, b"")
    await provider.close()
    await provider.close()
    assert provider.open_connections == 0
    for player in (watching, silent):
        await drained(player)
        await player.close()
    with pytest.raises(ConnectionRefusedError):
        await asked(provider, "/stats")


async def test_it_listens_on_loopback_only() -> None:
    """A pretend provider is nobody else's business."""
    async with serving() as provider:
        assert urlsplit(provider.base_url).hostname == "127.0.0.1"
