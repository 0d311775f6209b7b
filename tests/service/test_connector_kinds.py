"""Which kind an upstream is, and what the kinds may not do to each other."""

import asyncio
import os

import pytest

from plexbridge.clock import SteadyClock
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.relay.child.connector import ChildConnector
from plexbridge.relay.child.process import Spawner
from plexbridge.relay.hls.renditions import Rendition, open_renditions
from plexbridge.relay.kinds import UpstreamConnector, bytes_of
from plexbridge.relay.ports import UpstreamFailed
from tests.service.hls_provider import LivePlaylist, served, text
from tests.service.hls_setup import Received
from tests.service.provider_stub import ProviderStub
from tests.service.relay_setup import LOOPBACK, upstream_at
from tests.service.test_playlist_fetch import OneHostIsPublic


async def opened(outbound: Outbound, policy: OutboundPolicy, url: str) -> None:
    """Open an upstream of whatever kind; it is expected to fail."""
    spawner = Spawner("ffmpeg", os.environ)
    clock = SteadyClock()
    connector = UpstreamConnector(outbound, ChildConnector(spawner, policy, clock), clock)
    try:
        await connector.open(upstream_at(url), Received())
    finally:
        await spawner.close()
        await outbound.close()


async def test_a_public_playlist_does_not_lead_into_the_house() -> None:
    """Its segments are named on a network that is allowed, for whoever asks for it by name."""
    policy = OneHostIsPublic(LOOPBACK.allow)
    async with ProviderStub() as stub:
        playlist = LivePlaylist(ended=True)
        for number in range(5):
            playlist.add(f"http://127.0.0.2:{stub.port}/{number}.ts")
        url = stub.on("/x.m3u8", playlist)
        with pytest.raises(UpstreamFailed, match="hls_segment_forbidden_address"):
            await opened(Outbound(policy), policy, url)
        assert [connection.path for connection in stub.connections] == ["/x.m3u8"]


async def test_a_chain_of_playlists_stays_public_once_it_was() -> None:
    """A playlist at home names one on a public host: what that one names is a stranger's."""
    policy = OneHostIsPublic(LOOPBACK.allow)
    async with ProviderStub() as stub:
        home = await asyncio.start_server(stub._accepted, "127.0.0.2", stub.port)
        public = LivePlaylist(ended=True)
        for number in range(5):
            public.add(f"http://127.0.0.2:{stub.port}/{number}.ts")
        away = stub.on("/away.m3u8", public)
        stub.on("/home.m3u8", text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{away}\n"))
        with pytest.raises(UpstreamFailed, match="hls_segment_forbidden_address"):
            await opened(Outbound(policy), policy, f"http://127.0.0.2:{stub.port}/home.m3u8")
        assert [one.path for one in stub.connections] == ["/home.m3u8", "/away.m3u8"]
        home.close()


async def test_samples_encrypted_one_by_one_are_refused_by_name() -> None:
    """A child would be fed what only the keys make a stream of."""
    async with ProviderStub() as stub:
        playlist = LivePlaylist(ended=True)
        playlist.add("a.ts", '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key"')
        with pytest.raises(UpstreamFailed, match="hls_sample_aes"):
            await opened(Outbound(LOOPBACK), LOOPBACK, stub.on("/x.m3u8", playlist))


async def feed(rendition: Rendition, fed: list[bytes]) -> None:
    """What a child gets, also where it ends with a fault."""
    async for piece in bytes_of(rendition):
        fed.append(piece)


async def test_a_child_is_fed_until_the_form_changes() -> None:
    """Behind a new initialisation section, or a break in time, another child begins."""
    outbound = Outbound(LOOPBACK)
    async with ProviderStub() as stub:
        served(stub, {"/i1": b"one", "/i2": b"two", "/a": b"A", "/b": b"B", "/c": b"C"})
        playlist = LivePlaylist(ended=True)
        playlist.add("a", '#EXT-X-MAP:URI="i1"')
        playlist.add("b")
        playlist.add("c", "#EXT-X-DISCONTINUITY", '#EXT-X-MAP:URI="i2"')
        renditions = await open_renditions(
            upstream_at(stub.on("/x.m3u8", playlist)), outbound=outbound, clock=SteadyClock()
        )
        fed: list[bytes] = []
        with pytest.raises(UpstreamFailed, match="hls_changed"):
            await feed(renditions.main, fed)
        assert fed == [b"one", b"A", b"B"]
        renditions.close()
    await outbound.close()
