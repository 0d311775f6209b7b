"""`/api/sources/{id}/options` and its page, of a running bridge: what they take and never tell."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import ProviderStub, endless, status

SECRET = "token-of-the-house"
AS_JSON = {"Content-Type": "application/json"}


class Station:
    """A bridge on a list of one channel, and a client."""

    def __init__(
        self, bridge: RunningBridge, stub: ProviderStub, client: aiohttp.ClientSession
    ) -> None:
        self.bridge = bridge
        self.stub = stub
        self.client = client
        self.path = ""

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
        """Status, document and text."""
        sent = None if body is None else orjson.dumps(body)
        async with self.client.request(
            method, self.bridge.base + path, data=sent, headers=AS_JSON
        ) as answer:
            text = await answer.text()
            page = answer.content_type == "text/html"
            return answer.status, None if page else orjson.loads(text), text

    async def put(self, body: Any) -> tuple[int, Any, str]:
        return await self.ask("PUT", f"/api{self.path}/options", body)


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with ProviderStub() as stub, aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{stub.port}"
        body = f"#EXTM3U\n#EXTINF:-1,a\n{url}/a.ts\n".encode()
        stub.on("/list.m3u", status(200, body=body))
        stub.on("/a.ts", endless(bits_per_s=4e6))
        bridge = RunningBridge(
            tmp_path / "data",
            PLEXBRIDGE_PLAYLIST=f"{url}/list.m3u|X-Old={SECRET}",
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
        )
        await asyncio.to_thread(bridge.start)
        made = Station(bridge, stub, client)
        _, (source,), _ = await made.ask("GET", "/api/sources")
        made.path = f"/sources/{source['id']}"
        yield made
        await asyncio.to_thread(bridge.stop)
        logged = bridge.output + (tmp_path / "data.stderr").read_text()
        assert SECRET not in logged


async def test_options_are_set_and_told_without_their_secrets(station: Station) -> None:
    """What is set, what is in force, and no header's value in either form nor in any event."""
    wanted = {"user_agent": "VLC/3", "headers": {"X-New": SECRET}, "settle_ms": 40}
    code, told, _ = await station.put(wanted)
    assert code == 200
    none = {"refresh_hours": None, "refresh_jitter": None, "max_connections": None}
    assert told["set"] == {"user_agent": "VLC/3", "headers": ["X-New"], "settle_ms": 40, **none}
    assert told["in_force"] == {
        "user_agent": "VLC/3",
        "headers": ["X-Old", "X-New"],
        "max_connections": 0,
        "refresh_hours": 12,
        "refresh_jitter": 10,
        "settle_ms": 40,
    }
    code, document, text = await station.ask("GET", f"/api{station.path}/options")
    assert (code, document) == (200, told)
    code, _, page = await station.ask("GET", station.path)
    assert code == 200
    assert "X-New: ***" in page
    assert 'value="VLC/3"' in page
    async with station.client.get(f"{station.bridge.base}/api/events") as events:
        assert SECRET not in text + page + await events.text()
    code, _, _ = await station.ask("POST", f"/api{station.path}/refresh")
    assert code == 200
    async with station.client.get(f"{station.bridge.base}/auto/v1") as answer:
        assert await answer.content.readexactly(188)
    heads = [connection.head for connection in station.stub.at("/a.ts")]
    assert f"X-New: {SECRET}" in heads[-1]


async def test_what_cannot_be_set_is_said_and_changes_nothing(station: Station) -> None:
    """Which option, and not the value; a source that is none; a body that is no JSON."""
    for body, option in (
        ({"headers": {"Host": SECRET}}, "headers"),
        ({"refresh_hours": "soon"}, "refresh_hours"),
        ([], "body"),
        ({"surprise": 1}, "body"),
    ):
        code, told, text = await station.put(body)
        assert (code, told["error"], told["option"]) == (400, "option_invalid", option)
        assert SECRET not in text
    async with station.client.put(
        f"{station.bridge.base}/api{station.path}/options", data=b"{", headers=AS_JSON
    ) as answer:
        assert answer.status == 400
    for method, path in (
        ("GET", "/sources/none"),
        ("GET", "/api/sources/none/options"),
        ("PUT", "/api/sources/none/options"),
    ):
        code, told, _ = await station.ask(method, path, {"settle_ms": 1})
        assert (code, told["error"]) == (404, "unknown_source")
    _, told, _ = await station.ask("GET", f"/api{station.path}/options")
    assert told["set"]["headers"] == []
