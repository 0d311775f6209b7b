"""Guides that lists name: taken when they appear or change, and never a way into the house."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from plexbridge.clock import ManualClock
from plexbridge.lineup.guide import in_force
from plexbridge.lineup.guide.download import GuideFetcher, Validators
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.in_force import guide_key
from plexbridge.lineup.guide.place import GuidePlace
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.reachable import Address
from tests.service.panel import Panel, panel
from tests.service.sources_rig import LOOPBACK, rig
from tests.service.test_guide_refresh import KEY, Rig, guide, until


class OneHostIsPublic(OutboundPolicy):
    """The internet at 127.0.0.1 and a home at 127.0.0.2."""

    def is_public(self, address: Address) -> bool:
        return address == ip_address("127.0.0.1")


POLICY = OneHostIsPublic(LOOPBACK)


@pytest.fixture
async def provider() -> AsyncIterator[Panel]:
    async with panel() as made:
        yield made


def playlist(guide_url: str) -> bytes:
    return f'#EXTM3U url-tvg="{guide_url}"\n#EXTINF:-1,a\nhttp://h/a\n'.encode()


async def test_a_public_list_leads_to_no_guide_in_the_house(
    tmp_path: Path, provider: Panel
) -> None:
    """Neither by naming it nor by a redirect; a person, or a list in the house, may name it."""
    home = await asyncio.start_server(provider.serve, "127.0.0.2", provider.port)
    provider.gives("/guide.xml", b"<tv></tv>")
    inside = provider.url("/guide.xml").replace("127.0.0.1", "127.0.0.2")
    away = provider.gives("/away", b"", status=f"302 Found\r\nLocation: {inside}")
    outbound = Outbound(POLICY)
    fetcher = GuideFetcher(outbound)
    for url, from_public in ((inside, True), (away, False), (away, True)):
        with pytest.raises(GuideFault, match="may not be reached"):
            await fetcher.fetch(GuidePlace("g", url, from_public), tmp_path / "g", Validators())
    assert not [head for head in provider.heads if "127.0.0.2" in head]
    for url, from_public in ((inside, False), (provider.url("/guide.xml"), True)):
        fetched = await fetcher.fetch(
            GuidePlace("g", url, from_public), tmp_path / "g", Validators()
        )
        assert fetched is not None
    await outbound.close()
    home.close()


async def test_it_is_known_where_a_list_that_names_a_guide_came_from(
    tmp_path: Path, provider: Panel
) -> None:
    """Over HTTP from a public host, from the house, from a file; still after a restart."""
    home = await asyncio.start_server(provider.serve, "127.0.0.2", provider.port)
    out = provider.gives("/out.m3u", playlist("http://out/guide"), etag='"1"')
    inside = provider.gives("/in.m3u", playlist("http://in/guide")).replace("0.0.1", "0.0.2")
    file = tmp_path / "list.m3u"
    file.write_bytes(playlist("http://file/guide"))
    named = {"http://out/guide": True, "http://in/guide": False, "http://file/guide": False}
    for _ in range(2):
        async with rig(tmp_path, out, inside, str(file), policy=POLICY).running() as made:
            assert made.sources.guide_urls == named
    home.close()


async def test_a_guide_that_a_list_names_anew_is_named_at_once(
    tmp_path: Path, provider: Panel
) -> None:
    """One that appears, changes, and goes again: looked at whenever the list is read."""
    url = provider.gives("/list.m3u", playlist(""))
    async with rig(tmp_path, url).running() as made:
        for named in ([], ["http://h/1"], ["http://h/2"], []):
            provider.gives("/list.m3u", playlist(",".join(named)))
            await made.sources.refresh(made.ids[0])
            assert list(made.sources.guide_urls) == named


async def test_guides_follow_what_is_named(
    tmp_path: Path, provider: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guide that appears is read; one that is no longer named gives nothing any more; one that
    stays is not read again."""
    monkeypatch.setattr(in_force, "LOOK_S", 0.02)
    clock = ManualClock()
    places = {
        name: GuidePlace(guide_key(url, KEY), url)
        for name, url in (
            ("one", provider.gives("/1.xml", guide(clock, a="One"))),
            ("two", provider.gives("/2.xml", guide(clock, b="Two"))),
        )
    }
    async with Rig(tmp_path, [], clock).running() as made:
        made.named = [places["one"]]
        await until(lambda: made.titles() == {"1": "One"})
        made.named = [places["one"], places["two"]]
        await until(lambda: made.titles() == {"1": "One", "2": "Two"})
        made.named = [places["two"]]
        await until(lambda: made.titles() == {"2": "Two"})
    assert provider.asked() == ["/1.xml", "/2.xml"]
