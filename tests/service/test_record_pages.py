"""The pages of what is recorded, as programs see them: their JSON, and what cannot be asked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from plexbridge.web.answers import ApiError
from plexbridge.web.asking import typed_time
from tests.end_to_end.running import RunningBridge, until

UNKNOWN = "0" * 26
NOW_MS = 1_800_000_000_000


class Watched:
    """A bridge on which one session ended and one goes on."""

    def __init__(self, bridge: RunningBridge, client: aiohttp.ClientSession) -> None:
        self.bridge = bridge
        self.client = client
        self.ended = self.open = ""

    async def get(self, path: str, status: int = 200) -> Any:
        """The JSON at a path."""
        async with self.client.get(self.bridge.base + path) as answer:
            assert answer.status == status, await answer.text()
            return orjson.loads(await answer.read())

    async def page(self, path: str) -> str:
        """The text of a page."""
        async with self.client.get(self.bridge.base + path) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html"), await answer.text()
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            return await answer.text()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """Of the demo's channels."""
    bridge = RunningBridge(tmp_path / "data", "--demo")
    await asyncio.to_thread(bridge.start)
    async with aiohttp.ClientSession() as client:
        made = Watched(bridge, client)
        headers = {"X-Plex-Client-Identifier": "kept-secret", "User-Agent": "VLC/3"}
        first = await client.get(f"{bridge.base}/auto/v2", headers=headers)
        await first.content.readexactly(188)
        made.ended = first.headers["X-PlexBridge-Session"]
        first.close()
        await asyncio.to_thread(
            until, "it is told", lambda: bridge.dashboard()["just_ended"] and not bridge.sessions()
        )
        second = await client.get(f"{bridge.base}/auto/v1", headers={"User-Agent": "Kodi/21"})
        await second.content.readexactly(188)
        made.open = second.headers["X-PlexBridge-Session"]
        await asyncio.to_thread(until, "it is active", lambda: bridge.sessions("active"))
        yield made
        second.close()
    await asyncio.to_thread(bridge.stop)


async def test_a_story_and_its_file(watched: Watched) -> None:
    """The account holds the session's recorded events and its relay's; the file holds them all;
    what identifies a player is in neither. `at` cuts both off."""
    story = await watched.get(f"/api/sessions/{watched.ended}/story")
    recorded = await watched.get(f"/api/sessions/{watched.ended}/events")
    own = [e for e in story["events"] if e["stream"] == f"session-{watched.ended}"]
    assert [event["pos"] for event in own] == [event["pos"] for event in recorded]
    assert (story["reason"], story["state"]) == ("client_disconnect", "ended")
    assert {event["type"] for event in story["events"]} >= {"tuner_leased", "upstream_opened"}
    address = f"{watched.bridge.base}/api/sessions/{watched.ended}/events.ndjson"
    async with watched.client.get(address) as answer:
        assert answer.content_type == "application/x-ndjson"
        assert f"session-{watched.ended}.ndjson" in answer.headers["Content-Disposition"]
        lines = [orjson.loads(line) for line in (await answer.read()).splitlines()]
    assert {line["pos"] for line in lines} >= {event["pos"] for event in recorded}
    assert "kept-secret" not in str((story, lines))

    connect = recorded[0]
    then = await watched.get(f"/api/sessions/{watched.ended}/story?at={connect['pos']}")
    assert (then["state"], then["words"]) == ("connecting", None)
    assert max(event["last_pos"] for event in then["events"]) <= connect["pos"]
    assert "as it was at" in await watched.page(f"/sessions/{watched.ended}?at={connect['pos']}")
    missing = await watched.get(f"/api/sessions/{watched.ended}/story?at=1", 404)
    assert missing["error"] == "unknown_session"
    for path in (f"/sessions/{UNKNOWN}", "/sessions/nobody", f"/api/sessions/{UNKNOWN}/story"):
        await watched.get(path, 404)
    open_story = await watched.get(f"/api/sessions/{watched.open}/story")
    assert (open_story["state"], open_story["ended_at"]) == ("active", None)


async def test_history_time_and_events_are_answered(watched: Watched) -> None:
    """Each as page and as JSON, and each says what it does not understand."""
    history = await watched.get("/api/history?since=1h&limit=1")
    assert [one["id"] for one in history["sessions"]] == [watched.ended]
    assert history["totals"]["sessions"] == 1
    assert max(history["chart"]["at_once"]) >= 1
    assert (await watched.get("/api/history?q=kodi"))["sessions"] == []
    assert watched.ended in await watched.page("/history?q=vlc&channel=2&reason=client_disconnect")
    axis = await watched.get("/api/time")
    assert axis["position"] >= 8
    assert sum(axis["axis"]["bridge"]) >= 1
    assert sum(axis["axis"]["ended"]) == 1
    for path, error in (
        ("/history?since=yesterday", "unknown_time"),
        ("/history?since=1h&until=2h", "empty_span"),
        ("/history?after=1-x", "not_a_place"),
        ("/api/history?limit=201", "not_a_number"),
        ("/time?at=then", "unknown_time"),
        ("/time?span=-1", "not_a_number"),
        ("/api/time?since=5&until=5", "empty_span"),
        ("/events?before=x", "not_a_number"),
        ("/events?at=x", "unknown_time"),
    ):
        assert (await watched.get(path, 400))["error"] == error, path
    async with watched.client.get(f"{watched.bridge.base}/?at=3", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "time?at=3")
    assert "Nobody was watching" in await watched.page("/?at=3")
    assert "Nobody was watching" in await watched.page("/time?at=0")
    for far in ("/time?at=9999999999", "/time?at=9999-12-31T23:59:59Z", "/time?span=1000"):
        assert "1 of 4 tuners in use" in await watched.page(far)


async def test_events_are_found_by_type_stream_and_text(watched: Watched) -> None:
    """Together; what makes two requests one viewer is neither shown nor found."""

    async def rows(query: str) -> list[str]:
        page = await watched.page(f"/events?{query}")
        return [part.split('"', 1)[0] for part in page.split('<li id="')[1:]]

    async with watched.client.get(f"{watched.bridge.base}/api/events?limit=1000") as answer:
        events = [orjson.loads(line) for line in (await answer.read()).splitlines()]
    by_type = {event["type"]: f"e{event['pos']}" for event in events}
    assert set(await rows("type=disconnect")) == {by_type["disconnect"]}
    assert set(await rows(f"stream=session-{watched.ended}")) == {
        f"e{event['pos']}" for event in events if event["stream"] == f"session-{watched.ended}"
    }
    assert len(await rows("stream=session-&type=connect")) == 2
    assert set(await rows("text=vlc%2F3&type=connect")) == {
        f"e{event['pos']}"
        for event in events
        if event["type"] == "connect" and event["data"]["client"]["user_agent"] == "VLC/3"
    }
    assert await rows("text=kept-secret") == await rows("text=%25_%25") == []
    assert await rows("before=2") == ["e1"]
    assert (await rows("at=3"))[0] == "e3"
    assert "e3" not in await rows("after=3")


def test_a_person_types_a_time_in_many_forms() -> None:
    """Ago, in UTC, with an offset, in milliseconds; never before 1970."""
    assert typed_time("90m", NOW_MS) == NOW_MS - 90 * 60_000
    assert typed_time("7d", NOW_MS) == NOW_MS - 7 * 86_400_000
    assert typed_time("2027-01-15T08:00", NOW_MS) == NOW_MS
    assert typed_time("2027-01-15T10:00+02:00", NOW_MS) == NOW_MS
    assert typed_time(str(NOW_MS), NOW_MS) == NOW_MS
    assert typed_time("99999d", NOW_MS) == typed_time("0001-01-01", NOW_MS) == 0
    for nonsense in ("yesterday", "7 d", "-1h", "٧d"):
        with pytest.raises(ApiError):
            typed_time(nonsense, NOW_MS)
