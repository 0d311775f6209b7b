"""What players send, word for word, and what each must be answered to work."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from tests.service.provider_stub import endless
from tests.service.relay_setup import until
from tests.service.request_heads import DOCUMENTS, KODI, KODI_HEAD, PLEX_SCAN, STREAMS
from tests.service.station import Station, station

BITS_PER_S = 4_000_000
JSON = 'application/json; charset="utf-8"'
PATHS = {
    "/discover.json": JSON,
    "/lineup.json": JSON,
    "/lineup.json?show=found": JSON,
    "/lineup.json?show=all&tuning": JSON,
    "/lineup_status.json": JSON,
    "/status.json": JSON,
    "/lineup.xml": "text/xml; charset=utf-8",
    "/lineup.m3u": "audio/x-mpegurl",
    "/device.xml": "application/xml",
}


class Asked:
    """A raw connection on which one head was sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.first = ""
        self.fields: dict[str, str] = {}

    async def answered(self) -> int:
        """The status; the head is read."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        self.fields = {name.lower(): text for name, text in (x.split(": ", 1) for x in lines)}
        return int(self.first.split(" ")[1])

    async def body(self) -> bytes:
        """All that was announced."""
        return await self.reader.readexactly(int(self.fields["content-length"]))

    def resets(self) -> None:
        """Leaves as players do that have seen enough: with RST."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def asks(on_air: Station, head: str, path: str) -> AsyncIterator[Asked]:
    """Send a head; the connection is closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", on_air.port)
    writer.write(head.replace("{path}", path).replace("{port}", str(on_air.port)).encode())
    try:
        yield Asked(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("player", STREAMS)
async def test_every_player_gets_plain_packets(player: str) -> None:
    """200 whatever range it names, no length, no chunks, no compression; the first byte of the
    body is a packet's, for HTTP/1.0 as well."""
    async with station() as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        async with asks(on_air, STREAMS[player], "/auto/v1") as asked:
            assert await asked.answered() == 200
            packets = await asked.reader.readexactly(188 * 20)
            assert set(packets[::188]) == {0x47}
        assert asked.fields["content-type"] == "video/mpeg"
        assert asked.fields["connection"] == "close"
        assert asked.fields["x-hdhomerun-resource"] == "tuner0"
        never = {"transfer-encoding", "content-length", "content-encoding", "accept-ranges"}
        assert not never & set(asked.fields)


@pytest.mark.parametrize("player", STREAMS)
async def test_every_player_is_refused_in_hdhomerun_terms(player: str) -> None:
    """The number, a frequency, or a tuner that there is not; with an empty body."""
    async with station() as on_air:
        for path in ("/auto/v99", "/auto/ch473000000-3", "/tuner9/v1", "/tuner0/ch33", "/auto/"):
            async with asks(on_air, STREAMS[player], path) as asked:
                assert await asked.answered() == 404, path
                assert asked.fields["x-hdhomerun-error"] == "801 Unknown Channel"
                assert await asked.body() == b""


@pytest.mark.parametrize("player", DOCUMENTS)
async def test_every_document_is_answered_as_a_whole(player: str) -> None:
    """With its length and type, never in chunks or compressed; the addresses in it are those of
    the connection, and queries that name other lists change nothing."""
    async with station() as on_air:
        bodies = {}
        for path, kind in PATHS.items():
            async with asks(on_air, DOCUMENTS[player], path) as asked:
                assert await asked.answered() == 200, path
                bodies[path] = await asked.body()
            assert asked.fields["content-type"] == kind
            assert asked.fields["access-control-allow-origin"] == "*"
            assert not {"transfer-encoding", "content-encoding"} & set(asked.fields)
        base = f"http://127.0.0.1:{on_air.port}"
        discovered = json.loads(bodies["/discover.json"])
        assert (discovered["BaseURL"], type(discovered["TunerCount"])) == (base, int)
        lineup = json.loads(bodies["/lineup.json"])
        assert [row["URL"] for row in lineup] == [f"{base}/auto/v{n}" for n in (1, 2, 3)]
        assert bodies["/lineup.json?show=found"] == bodies["/lineup.json"]
        assert bodies["/lineup.json?show=all&tuning"] == bodies["/lineup.json"]
        assert json.loads(bodies["/lineup_status.json"])["ScanInProgress"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("scan=start&source=Cable", 200),
        ("scan=abort", 200),
        ("favorite=+1", 200),
        ("favorite=%2B1", 200),
        ("favorite=-1", 200),
        ("favorite=x1", 200),
        ("favorite=+99", 400),
        ("favorite=1", 400),
        ("favorite=", 400),
        ("", 400),
    ],
)
async def test_a_scan_and_marks_are_taken(query: str, status: int) -> None:
    """Plex insists on 200 for a scan; what names no channel of ours is not taken."""
    head = PLEX_SCAN.replace("scan=start&source=Cable", query)
    async with station() as on_air, asks(on_air, head, "") as asked:
        assert await asked.answered() == status
        assert await asked.body() == b""


async def test_plex_adds_the_tuner() -> None:
    """Its whole conversation: what it is, what it has, a scan that is over at once, the lineup,
    and a first stream."""
    async with station() as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        plex = DOCUMENTS["Plex"]
        steps = [(plex, "/discover.json"), (plex, "/lineup_status.json"), (PLEX_SCAN, "")]
        for head, path in [*steps, (plex, "/lineup_status.json"), (plex, "/lineup.json")]:
            async with asks(on_air, head, path) as asked:
                assert await asked.answered() == 200
                body = await asked.body()
        url = json.loads(body)[0]["URL"].removeprefix(f"http://127.0.0.1:{on_air.port}")
        # It appends a profile; an identifier makes its viewers known from each other.
        async with asks(on_air, STREAMS["Plex"], f"{url}?transcode=none") as asked:
            assert await asked.answered() == 200
            await asked.reader.readexactly(188)


async def test_kodi_tunes_with_a_single_tuner() -> None:
    """Three connections, the second of which is still open when the real one comes."""
    async with station(tuners=1) as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        async with asks(on_air, KODI, "/auto/v1") as probe:
            assert await probe.answered() == 200
            probe.resets()
        async with (
            asks(on_air, KODI, "/auto/v1") as probe,
            asks(on_air, KODI, "/auto/v1") as real,
        ):
            assert await probe.answered() == 200
            assert await real.answered() == 200
            probe.resets()
            await real.reader.readexactly(188 * 200)
            await until(lambda: len(on_air.sessions()) == 1)
        await until(lambda: on_air.provider.open == 0)


async def test_kodi_changes_channel_with_a_single_tuner() -> None:
    """A probe of the new channel, then its second probe, and only then it lets go of the old."""
    async with station(tuners=1) as on_air:
        for path in ("/1", "/2"):
            on_air.provider.on(path, endless(bits_per_s=BITS_PER_S))
        async with asks(on_air, KODI, "/auto/v1") as old:
            assert await old.answered() == 200
            await old.reader.readexactly(188)
            async with asks(on_air, KODI, "/auto/v2") as probe:
                assert await probe.answered() == 200
                probe.resets()
            async with asks(on_air, KODI, "/auto/v2") as probe:
                assert await probe.answered() == 200
                old.resets()
                async with asks(on_air, KODI, "/auto/v2") as real:
                    assert await real.answered() == 200
                    probe.resets()
                    await real.reader.readexactly(188 * 200)
                    await until(lambda: len(on_air.sessions()) == 1)


async def test_kodis_simple_client_looks_first() -> None:
    """HEAD, GET, HEAD, GET: a look takes no tuner and opens nothing."""
    async with station() as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        for _ in range(2):
            before = len(on_air.types())
            async with asks(on_air, KODI_HEAD, "/stream/c1.ts") as look:
                assert await look.answered() == 200
                assert look.fields["content-type"] == "video/mpeg"
            assert len(on_air.types()) == before
            async with asks(on_air, KODI, "/stream/c1.ts") as probe:
                assert await probe.answered() == 200
                await probe.reader.readexactly(2_632)
                probe.resets()
            await until(lambda: not on_air.sessions())
