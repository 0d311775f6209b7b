"""`/api/sources` of a bridge with an Xtream account, and what players notice of a refresh."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.end_to_end.running import RunningBridge
from tests.service.panel import QUERY, SECRET, USER, stream
from tests.service.provider_stub import ProviderStub, endless, status

WITHIN_S = 10.0


class Station:
    """A bridge, its provider, and a client."""

    def __init__(
        self, bridge: RunningBridge, stub: ProviderStub, client: aiohttp.ClientSession
    ) -> None:
        self.bridge = bridge
        self.stub = stub
        self.client = client

    async def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        async with self.client.request(method, self.bridge.base + path) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def source(self) -> dict[str, Any]:
        status, (document,) = await self.ask("/api/sources")
        assert status == 200
        return dict(document)

    async def refresh(self, query: str = "") -> tuple[int, Any]:
        source = await self.source()
        return await self.ask(f"/api/sources/{source['id']}/refresh{query}", "POST")

    async def tune(self, number: str) -> aiohttp.ClientResponse:
        return await self.client.get(f"{self.bridge.base}/auto/v{number}")


def lists(stub: ProviderStub, *channels: dict[str, Any], **user_info: Any) -> None:
    info = {"auth": 1, "status": "Active", "max_connections": "1", "exp_date": "1800000000"}
    documents = {
        "": {"user_info": {**info, **user_info}},
        "&action=get_live_categories": [],
        "&action=get_live_streams": list(channels),
    }
    for action, document in documents.items():
        stub.on(f"/player_api.php?{QUERY}{action}", status(200, body=orjson.dumps(document)))


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with ProviderStub() as stub, aiohttp.ClientSession() as client:
        lists(stub, stream(1, "a"), stream(2, "b"))
        for number in (101, 102):
            stub.on(f"/live/{USER}/{SECRET}/{number}.ts", endless(bits_per_s=4e6))
        bridge = RunningBridge(
            tmp_path / "data",
            PLEXBRIDGE_PLAYLIST=f"xtream+http://{USER}:{SECRET}@127.0.0.1:{stub.port}",
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
            PLEXBRIDGE_ADMISSION_WAIT="0",
            PLEXBRIDGE_LINGER="0",
        )
        await asyncio.to_thread(bridge.start)
        yield Station(bridge, stub, client)
        await asyncio.to_thread(bridge.stop)
        logged = bridge.output + (tmp_path / "data.stderr").read_text()
        assert SECRET not in logged


async def test_a_source_is_shown_with_its_account(station: Station) -> None:
    """Kind, place, entries, limit and expiry; the login nowhere."""
    source = await station.source()
    assert source["kind"] == "xtream"
    assert source["place"] == f"xtream+http://127.0.0.1:{station.stub.port}"
    assert (source["entries"], source["connections"], source["allowed"]) == (2, 0, 1)
    assert (source["status"], source["expires_at"]) == ("Active", 1_800_000_000_000)
    assert source["problem"] is None
    assert source["refreshed_at"] > 0
    assert 0 < source["next_refresh_ms"] <= 13.2 * 3_600_000


async def test_an_accounts_connections_are_a_limit(station: Station) -> None:
    """With one allowed, the second channel is refused, and the provider never saw two."""
    first = await station.tune("1")
    assert first.status == 200
    await first.content.readexactly(188)
    second = await station.tune("2")
    assert second.status == 503
    assert second.headers["X-HDHomeRun-Error"].startswith("805")
    async with asyncio.timeout(WITHIN_S):
        while (await station.source())["connections"] != 1:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.02)
    assert station.stub.at(f"/live/{USER}/{SECRET}/102.ts") == []
    first.close()


async def test_who_watches_a_channel_that_vanishes_watches_on(station: Station) -> None:
    """It is gone from the lineup, and nobody can tune to it any more; its session goes on."""
    watching = await station.tune("1")
    await watching.content.readexactly(188)
    lists(station.stub, stream(2, "b"), stream(3, "c"))
    code, answer = await station.refresh()
    assert (code, answer["problem"], answer["entries"]) == (200, None, 2)
    async with station.client.get(f"{station.bridge.base}/lineup.json") as lineup:
        names = [row["GuideName"] for row in orjson.loads(await lineup.read())]
    assert names == ["b", "c"]
    async with asyncio.timeout(WITHIN_S):
        await watching.content.readexactly(188 * 10_000)
    assert (await station.tune("1")).status == 404
    watching.close()


async def test_a_refresh_that_changes_nothing_says_why(station: Station) -> None:
    """502 with the reason, and how it stands; fewer channels when they are accepted."""
    lists(station.stub, *(stream(number, f"n{number}") for number in range(1, 9)))
    assert (await station.refresh())[0] == 200
    lists(station.stub, stream(1, "n1"))
    code, answer = await station.refresh()
    assert (code, answer["error"]) == (502, "refresh_failed")
    assert "lists 1 channels where there were 8" in answer["detail"]
    assert answer["source"]["entries"] == 8
    assert (await station.refresh("?accept=fewer"))[1]["entries"] == 1
    assert (await station.refresh("?accept=all"))[0] == 400
    assert (await station.ask("/api/sources/other/refresh", "POST"))[0] == 404
