"""The bytes: what the provider sends is what the player gets, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end.running import RunningBridge, until
from tests.service.provider_stub import (
    ProviderStub,
    endless,
    ends_after,
    finite,
    html,
    looped,
    status,
)
from tests.service.ts_checker import TsChecker
from tests.service.ts_maker import TsMaker

WITHIN_S = 10.0
IN_FLIGHT_BYTES = 512 * 1024
"""More than a connection of a player holds: a block of the ring."""


@pytest.fixture
async def provider() -> AsyncIterator[ProviderStub]:
    async with ProviderStub() as stub:
        yield stub


async def bridge_for(provider: ProviderStub, tmp_path: Path, **environment: str) -> RunningBridge:
    """A bridge whose lineup is the provider's paths `/1`, `/2` and `/3`."""
    playlist = tmp_path / "list.m3u"
    lines = [
        f'#EXTINF:-1 tvg-chno="{n}" tvg-id="c{n}",Channel {n}\n{provider.url(f"/{n}")}\n'
        for n in (1, 2, 3)
    ]
    playlist.write_text("#EXTM3U\n" + "".join(lines))
    bridge = RunningBridge(
        tmp_path / "data",
        "--playlist",
        str(playlist),
        **{"PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8", **environment},
    )
    return await asyncio.to_thread(bridge.start)


async def read(response: aiohttp.ClientResponse, count: int) -> bytes:
    """Exactly so many bytes of a body."""
    async with asyncio.timeout(WITHIN_S):
        return await response.content.readexactly(count)


async def test_a_finite_programme_arrives_byte_for_byte(
    provider: ProviderStub, tmp_path: Path
) -> None:
    """Played from its beginning to its end, which ends the session as `completed`."""
    programme = TsMaker().packets(20_000)
    provider.on("/1", finite(programme))
    bridge = await bridge_for(provider, tmp_path)
    try:
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"{bridge.base}/auto/v1") as response,
        ):
            assert response.status == 200
            assert "Transfer-Encoding" not in response.headers
            session = response.headers["X-PlexBridge-Session"]
            body = await response.read()
        assert body == programme
        # The connection ends with the decision, what is shown follows when it is durable.
        await asyncio.to_thread(until, "it has ended", lambda: not bridge.sessions())
        ended = await asyncio.to_thread(bridge.get, f"/api/sessions/{session}")
        assert (ended["reason"], ended["detail"]) == ("disconnect", "completed")
        # What its connection still held in this process at the end was not accepted yet.
        assert len(programme) - IN_FLIGHT_BYTES <= ended["bytes"] <= len(programme)
    finally:
        await asyncio.to_thread(bridge.stop)


async def test_one_upstream_serves_every_player_of_a_channel(
    provider: ProviderStub, tmp_path: Path
) -> None:
    """The first player's bytes are the provider's, from the first on; three share one tuner."""
    provider.on("/1", endless(bits_per_s=8e6))
    bridge = await bridge_for(provider, tmp_path)
    try:
        async with aiohttp.ClientSession() as client:
            first = await client.get(f"{bridge.base}/auto/v1")
            second = await client.get(f"{bridge.base}/auto/v1")
            third = await client.get(f"{bridge.base}/tuner0/v1")
            body = await read(first, 188 * 2_000)
            assert body == bytes(provider.at("/1")[0].sent[: len(body)])
            for joiner in (second, third):
                joined = await read(joiner, 188 * 500)
                assert joined[0] == 0x47
            assert len(provider.at("/1")) == 1
            dashboard = await asyncio.to_thread(bridge.dashboard)
            assert len(dashboard["sessions"]) == 3
            assert sum(tuner["state"] == "active" for tuner in dashboard["tuners"]) == 1
            for response in (first, second, third):
                response.close()
    finally:
        await asyncio.to_thread(bridge.stop)


async def test_a_lost_upstream_comes_back_on_the_players_own_connection(
    provider: ProviderStub, tmp_path: Path
) -> None:
    """The provider ends a live stream: the session recovers, and the same response goes on."""
    maker = TsMaker()
    provider.on("/1", ends_after(maker.packets(3_000)), endless(maker=maker, bits_per_s=8e6))
    bridge = await bridge_for(provider, tmp_path)
    try:
        async with aiohttp.ClientSession() as client:
            response = await client.get(f"{bridge.base}/auto/v1")
            session = response.headers["X-PlexBridge-Session"]
            body = await read(response, 188 * 6_000)
            assert TsChecker().feed(body).finish() == [], "whole packets, in order"
            assert len(provider.at("/1")) == 2
            story = await asyncio.to_thread(bridge.get, f"/api/sessions/{session}/events")
            steps = [(event["type"], event["dst"]) for event in story]
            assert ("error", "recovering") in steps
            assert steps[-1] == ("activity", "active")
            response.close()
    finally:
        await asyncio.to_thread(bridge.stop)


async def test_a_refused_player_is_told_in_hdhomeruns_terms(
    provider: ProviderStub, tmp_path: Path
) -> None:
    """805 when tuners are out, 801 and 404 for an unknown channel, 806 and 807 for a provider's
    fault; an empty body each time, and nothing of a web page is ever forwarded."""
    provider.on("/1", looped(TsMaker().packets(7_000)))
    provider.on("/2", status(404))
    provider.on("/3", html())
    bridge = await bridge_for(provider, tmp_path, TUNER_COUNT="1", PLEXBRIDGE_ADMISSION_WAIT="100")
    try:
        async with aiohttp.ClientSession() as client:
            for path, code, error in (
                ("/auto/v99", 404, "801 Unknown Channel"),
                ("/auto/v2", 503, "806 Tune Failed"),
                ("/auto/v3", 503, "807 No Video Data"),
                ("/tuner7/v1", 404, "801 Unknown Channel"),
            ):
                async with client.get(bridge.base + path) as refused:
                    told = (refused.status, refused.headers["X-HDHomeRun-Error"])
                    assert told == (code, error), path
                    assert await refused.read() == b""
            watching = await client.get(f"{bridge.base}/auto/v1")
            await read(watching, 188)
            async with client.get(f"{bridge.base}/auto/v2") as refused:
                assert refused.headers["X-HDHomeRun-Error"] == "805 All Tuners In Use"
            watching.close()
        # The player is told at once; what is recorded of it is shown when it is durable.
        await asyncio.to_thread(
            until,
            "the refusal is counted",
            lambda: bridge.dashboard()["totals"]["refused"].get("all_tuners_in_use") == 1,
        )
    finally:
        await asyncio.to_thread(bridge.stop)


async def test_head_costs_nothing(provider: ProviderStub, tmp_path: Path) -> None:
    """Neither tuner nor upstream nor session."""
    bridge = await bridge_for(provider, tmp_path)
    try:
        async with aiohttp.ClientSession() as client:
            async with client.head(f"{bridge.base}/auto/v1") as known:
                assert (known.status, known.headers["Content-Type"]) == (200, "video/mpeg")
            async with client.head(f"{bridge.base}/auto/v99") as unknown:
                assert unknown.status == 404
        assert (await asyncio.to_thread(bridge.dashboard))["totals"]["sessions"] == 0
        assert provider.at("/1") == []
    finally:
        await asyncio.to_thread(bridge.stop)


async def test_a_zap_on_the_last_tuner_is_served_within_the_wait(
    provider: ProviderStub, tmp_path: Path
) -> None:
    """A media server opens the new channel before it closes the old one: it waits, and gets it."""
    for path in ("/1", "/2"):
        provider.on(path, looped(TsMaker().packets(7_000)))
    bridge = await bridge_for(provider, tmp_path, TUNER_COUNT="1")
    headers = {"User-Agent": "Lavf/60.16.100"}
    try:
        async with aiohttp.ClientSession(headers=headers) as client:
            old = await client.get(f"{bridge.base}/auto/v1")
            await read(old, 188)
            new = asyncio.ensure_future(client.get(f"{bridge.base}/auto/v2"))
            await asyncio.sleep(0.2)
            assert not new.done(), "it waits for the release"
            old.close()
            response = await new
            assert response.status == 200
            assert (await read(response, 188))[0] == 0x47
            response.close()
        audited = await asyncio.to_thread(bridge.command, "audit")
        assert audited.returncode == 0, audited.stdout
    finally:
        await asyncio.to_thread(bridge.stop)


async def test_a_page_that_breaks_never_touches_a_stream(
    provider: ProviderStub, tmp_path: Path
) -> None:
    """Feeds that reset, stall or flood: the player's bytes are the provider's all the same."""
    provider.on("/1", endless(bits_per_s=8e6))
    bridge = await bridge_for(provider, tmp_path)
    try:
        host, port = bridge.base.removeprefix("http://").split(":")
        async with aiohttp.ClientSession() as client:
            response = await client.get(f"{bridge.base}/auto/v1")
            for _ in range(20):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /api/live?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                await writer.drain()
                await reader.read(100)
                writer.transport.abort()
            async with client.ws_connect(f"{bridge.base}/ws?rooms=streaming,metrics") as socket:
                await socket.send_str("x" * 10_000)
            body = await read(response, 188 * 4_000)
            assert body == bytes(provider.at("/1")[0].sent[: len(body)])
            response.close()
    finally:
        await asyncio.to_thread(bridge.stop)
