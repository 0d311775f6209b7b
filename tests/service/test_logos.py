"""Logos: fetched once, by digest, raster forms only; nobody waits for them but who asks for one."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from events.ids import ChannelId, SourceId
from plexbridge.clock import ManualClock
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.logos import proxy
from plexbridge.logos.cache import LogoCache
from plexbridge.logos.index import LogoIndex, logo_digest
from plexbridge.logos.pictures import media_type
from plexbridge.logos.proxy import LOGO_BYTES_MAX, Logos, LogosBusy
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.reachable import Address
from plexbridge.relay.ports import Upstream
from plexbridge.server.listener import open_listener
from plexbridge.server.serve import Server, build_config
from plexbridge.tuner.device import lineup_m3u
from plexbridge.tuner.logos import logo_endpoint
from tests.service.panel import Panel, panel
from tests.service.relay_setup import until

KEY = b"k" * 32
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
PICTURES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(50),
    "image/gif": b"GIF89a" + bytes(50),
    "image/webp": b"RIFF\0\0\0\0WEBPVP8 " + bytes(50),
}


def channel(number: int, logo: str, upstream: str = "http://127.0.0.1/1.ts") -> Channel:
    source = Upstream(source=SourceId("s"), url=upstream, redacted="", digest="0")
    ident = ChannelId(f"{number:016x}")
    return Channel(
        id=ident, guide_number=str(number), guide_name="N", logo=logo, upstreams=(source,)
    )


class Rig:
    """Logos of a lineup with one channel for each URL."""

    def __init__(self, folder: Path, *urls: str, policy: OutboundPolicy | None = None) -> None:
        self.clock = ManualClock()
        self.lineup = Lineup(channel(at, url) for at, url in enumerate(urls, start=1))
        loopback = OutboundPolicy((ip_network("127.0.0.0/8"),))
        self._outbound = Outbound(policy or loopback)
        self.cache = LogoCache(folder / "logos")
        self.logos = Logos(
            self._outbound, self.cache, clock=self.clock, key=KEY, lineup=lambda: self.lineup
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        await self.logos.open()
        try:
            yield self
        finally:
            await self.logos.close()
            await self._outbound.close()

    async def get(self, url: str) -> bytes | None:
        logo = await self.logos.get(logo_digest(url, KEY))
        return None if logo is None else logo.body


@pytest.fixture
async def provider() -> AsyncIterator[Panel]:
    async with panel() as made:
        yield made


def rig(folder: Path, *urls: str, policy: OutboundPolicy | None = None) -> Rig:
    return Rig(folder, *urls, policy=policy)


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_known_by_its_first_bytes(kind: str) -> None:
    """Whatever its server calls it."""
    assert media_type(PICTURES[kind]) == kind


@pytest.mark.parametrize(
    "body", [b"", b"<svg xmlns='x'/>", b"<?xml?><svg/>", b"<html>", b"RIFF\0\0\0\0WAVE", b"BM\0\0"]
)
def test_anything_else_is_no_picture(body: bytes) -> None:
    """SVG is a document with scripts."""
    assert media_type(body) is None


async def test_a_logo_is_fetched_once_and_kept(tmp_path: Path, provider: Panel) -> None:
    """Also by the next run, without its provider; the file is its owner's alone."""
    url = provider.gives("/a.png", PNG)
    async with rig(tmp_path, url).running() as made:
        asked = await asyncio.gather(*(made.get(url) for _ in range(5)))
        assert asked == [PNG] * 5
        assert await made.get(url) == PNG
    provider.gives("/a.png", b"", status="500 No")
    async with rig(tmp_path, url).running() as made:
        assert await made.get(url) == PNG
    assert len(provider.heads) == 1
    (file,) = (tmp_path / "logos").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "0" * 16, "0" * 15, "G" * 16, "0" * 17])
async def test_only_logos_of_the_lineup_are_to_be_had(tmp_path: Path, digest: str) -> None:
    """Never an address somebody sends us, never a path."""
    async with rig(tmp_path, "http://h/a.png").running() as made:
        assert await made.logos.get(digest) is None


BAD = {
    "svg": b"<svg onload='x()'/>",
    "page": b"<!DOCTYPE html>",
    "too large": PNG + bytes(LOGO_BYTES_MAX),
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_logo_is_not_given_and_not_asked_for_again(
    tmp_path: Path, provider: Panel, name: str
) -> None:
    """For an hour; then it may have been mended."""
    url = provider.gives("/a", BAD[name])
    async with rig(tmp_path, url).running() as made:
        for _ in range(3):
            assert await made.get(url) is None
        assert len(provider.heads) == 1
        assert list((tmp_path / "logos").iterdir()) == []
        provider.gives("/a", PNG)
        made.clock.advance(proxy.FAILED_S + 1)
        assert await made.get(url) == PNG


async def test_a_logo_that_redirects_to_a_file_is_none(tmp_path: Path, provider: Panel) -> None:
    """Nor one that cannot be reached."""
    url = provider.url("/r")
    head = "HTTP/1.1 302 Go\r\nLocation: file:///etc/passwd\r\n\r\n"
    provider.answers["/r"] = head.encode()
    async with rig(tmp_path, url, "http://127.0.0.1:9/x").running() as made:
        assert await made.get(url) is None
        assert await made.get("http://127.0.0.1:9/x") is None


class LoopbackIsHome(OutboundPolicy):
    """A map of the world in which 127.0.0.1 is in the house, and may be reached."""

    def is_public(self, address: Address) -> bool:
        return address != ip_address("127.0.0.1")


async def test_a_strangers_playlist_does_not_have_us_ask_in_the_house(
    tmp_path: Path, provider: Panel
) -> None:
    """A private address only for a channel that comes from the house, or from that very host."""
    url = provider.gives("/a.png", PNG)
    home = LoopbackIsHome((ip_network("127.0.0.0/8"),))
    async with rig(tmp_path, url, policy=home).running() as made:
        for upstream, given in (
            ("http://iptv.example.com/1.ts", None),
            ("http://93.184.215.14/1.ts", None),
            ("http://192.168.1.9/1.ts", PNG),
        ):
            made.lineup = Lineup([channel(1, url, upstream)])
            made.clock.advance(proxy.FAILED_S + 1)
            assert await made.get(url) == given
    assert len(provider.heads) == 1


async def test_a_logo_is_asked_for_again_after_a_week(tmp_path: Path, provider: Panel) -> None:
    """The old one is given meanwhile, and stays when the new one is none."""
    url = provider.gives("/a.png", PNG)
    async with rig(tmp_path, url).running() as made:
        assert await made.get(url) == PNG
        (file,) = (tmp_path / "logos").iterdir()
        old_s = made.clock.now() / 1_000_000 - proxy.FRESH_S - 1
        os.utime(file, (old_s, old_s))
        provider.gives("/a.png", b"<svg/>")
        assert await made.get(url) == PNG
        await until(lambda: len(provider.heads) == 2)
        assert await made.get(url) == PNG
        provider.gives("/a.png", PNG + b"new")
        made.clock.advance(proxy.FAILED_S + 1)
        assert await made.get(url) == PNG
        await until(lambda: file.read_bytes() == PNG + b"new")


async def test_a_logo_that_is_slow_comes_later(
    tmp_path: Path, provider: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks is told to come again; the download goes on."""
    monkeypatch.setattr(proxy, "WAIT_S", 0.05)
    url = provider.gives("/a.png", PNG)
    provider.hold = asyncio.Event()
    async with rig(tmp_path, url).running() as made:
        with pytest.raises(LogosBusy):
            await made.get(url)
        provider.hold.set()
        monkeypatch.setattr(proxy, "WAIT_S", 10.0)
        assert await made.get(url) == PNG
    assert len(provider.heads) == 1


async def test_few_are_fetched_at_once_and_not_too_many_waited_for(
    tmp_path: Path, provider: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page with hundreds of logos is no attack on their host."""
    monkeypatch.setattr(proxy, "WAITING_MAX", 10)
    urls = [provider.gives(f"/{number}.png", PNG) for number in range(11)]
    provider.hold = asyncio.Event()
    async with rig(tmp_path, *urls).running() as made:
        asks = [asyncio.create_task(made.get(url)) for url in urls[:10]]
        await until(lambda: len(provider.heads) == proxy.FETCHES_MAX)
        with pytest.raises(LogosBusy):
            await made.get(urls[10])
        assert len(provider.heads) == proxy.FETCHES_MAX
        provider.hold.set()
        assert await asyncio.gather(*asks) == [PNG] * 10


def test_the_least_wanted_leave_when_room_is_short(tmp_path: Path) -> None:
    """By when they were wanted last; what a crash left goes at the start."""
    cache = LogoCache(tmp_path, bytes_max=250)
    cache.open()
    names = [f"{number:016x}" for number in range(3)]
    for name in names[:2]:
        cache.keep(name, bytes(100))
    assert cache.read(names[0]) is not None
    cache.keep(names[2], bytes(100))
    assert [cache.read(name) is not None for name in names] == [True, False, True]
    (tmp_path / f"{names[1]}.new").write_bytes(b"half")
    (tmp_path / "notes.txt").write_bytes(b"somebody's")
    again = LogoCache(tmp_path, bytes_max=100)
    again.open()
    kept = [path.name for path in tmp_path.iterdir()]
    assert len(kept) == 2
    assert "notes.txt" in kept


async def test_a_disk_that_is_full_costs_no_logo(tmp_path: Path, provider: Panel) -> None:
    """It is fetched each time."""
    url = provider.gives("/a.png", PNG)
    (tmp_path / "logos").write_bytes(b"a file in the way")
    async with rig(tmp_path, url).running() as made:
        for _ in range(2):
            assert await made.get(url) == PNG


def test_the_index_knows_every_logo_of_a_lineup() -> None:
    """And none beside them."""
    lineup = Lineup(channel(at, f"http://h/{at}.png" if at % 3 else "") for at in range(1, 200))
    index = LogoIndex(lineup, KEY)
    for one in lineup.channels:
        if one.logo:
            found = index.find(logo_digest(one.logo, KEY))
            assert found is not None
            assert found.url == one.logo
    assert index.find(logo_digest("http://h/3.png", KEY)) is None
    assert index.find("f" * 16) is None


def test_the_playlist_names_our_logos_only() -> None:
    """Under our address, by digest; a channel without one names none."""
    url = "http://iptv.example.com/secret/logo.png"
    lineup = Lineup([channel(1, url), channel(2, "")])
    text = lineup_m3u(lineup, "http://b:1", lambda logo: logo_digest(logo, KEY)).decode()
    assert f'tvg-logo="http://b:1/logos/{logo_digest(url, KEY)}"' in text
    assert text.count("tvg-logo") == 1
    assert "secret" not in text


async def test_a_logo_over_http_is_a_picture_and_nothing_else(
    tmp_path: Path, provider: Panel
) -> None:
    """By its own type, with headers that let no browser take it for a page; conditional; HEAD."""
    urls = [provider.gives(f"/{kind}", body) for kind, body in PICTURES.items()]
    async with rig(tmp_path, *urls).running() as made, aiohttp.ClientSession() as client:
        app = Starlette(routes=[Route("/logos/{digest}", logo_endpoint(made.logos))])
        listener = open_listener("127.0.0.1", 0)
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = Server(build_config(app, version="1"), on_draining=lambda: None)
        serving = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        for url, (kind, body) in zip(urls, PICTURES.items(), strict=True):
            path = f"{base}/logos/{logo_digest(url, KEY)}"
            async with client.get(path) as answer:
                assert await answer.read() == body
                assert answer.headers["Content-Type"] == kind
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "sandbox" in answer.headers["Content-Security-Policy"]
                tag = answer.headers["ETag"]
            async with client.get(path, headers={"If-None-Match": tag}) as answer:
                assert answer.status == 304
            async with client.head(path) as answer:
                assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(body)))
        async with client.get(f"{base}/logos/{'0' * 16}") as answer:
            assert (answer.status, await answer.read()) == (404, b"")
        server.stop()
        await serving
