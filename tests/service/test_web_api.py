"""The API of a running bridge: sessions, the dashboard of any moment, the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import ProviderStub, endless

WITHIN_S = 10.0
GRACE_MS = 1_500
BITS_PER_S = 4e6
TENTHS_BYTES = 188 * 1_000
"""Some tenths of a second of programme."""
UNKNOWN = "0" * 26

Start = Callable[..., Awaitable["Asked"]]


class Asked:
    """A running bridge and a client of it."""

    def __init__(self, bridge: RunningBridge, client: aiohttp.ClientSession) -> None:
        self.bridge = bridge
        self.client = client

    async def ask(self, path: str, method: str = "GET", **more: Any) -> tuple[int, Any]:
        """The status, and the JSON answered."""
        async with self.client.request(method, self.bridge.base + path, **more) as answer:
            assert answer.content_type == "application/json", (path, await answer.text())
            return answer.status, orjson.loads(await answer.read())

    async def get(self, path: str) -> Any:
        """The JSON of a GET that is answered with 200."""
        status, document = await self.ask(path)
        assert status == 200, document
        return document

    async def events(self, query: str = "") -> list[dict[str, Any]]:
        """`/api/events`, line by line."""
        async with self.client.get(f"{self.bridge.base}/api/events?{query}") as answer:
            assert answer.content_type == "application/x-ndjson"
            return [orjson.loads(line) for line in (await answer.read()).splitlines()]

    async def watch(self, number: str, user_agent: str = "VLC/3") -> tuple[str, Any]:
        """Tune, and take a first byte: the session and its response."""
        headers = {"User-Agent": user_agent, "X-Plex-Client-Identifier": f"kept-secret-{number}"}
        response = await self.client.get(f"{self.bridge.base}/auto/v{number}", headers=headers)
        assert response.status == 200
        await response.content.readexactly(188)
        return response.headers["X-PlexBridge-Session"], response

    async def until(self, what: str, path: str, holds: Callable[[Any], bool]) -> Any:
        """The first answer of which `holds` is true."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    document = await self.get(path)
                    if holds(document):
                        return document
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {WITHIN_S} s: {what}") from None


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a bridge with channels 1 to 3 of a provider that never ends."""
    bridges: list[RunningBridge] = []
    async with ProviderStub() as stub, aiohttp.ClientSession() as client:

        async def begin(**environment: str) -> Asked:
            playlist = tmp_path / "list.m3u"
            lines = [
                f'#EXTINF:-1 tvg-chno="{n}",Channel {n}\n'
                f"{stub.on(f'/{n}', endless(bits_per_s=BITS_PER_S))}\n"
                for n in (1, 2, 3)
            ]
            playlist.write_text("#EXTM3U\n" + "".join(lines))
            bridge = RunningBridge(
                tmp_path / "data",
                *("--playlist", str(playlist)),
                **{"PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8", **environment},
            )
            await asyncio.to_thread(bridge.start)
            bridges.append(bridge)
            return Asked(bridge, client)

        yield begin
        for bridge in bridges:
            await asyncio.to_thread(bridge.stop)


async def test_the_live_dashboard_is_the_one_of_its_position(start: Start) -> None:
    """Only the gauges stand beside it; so for every position it ever showed, asked again later."""
    bridge = await start()
    seen = []
    for number in ("1", "2", "1"):
        _, response = await bridge.watch(number)
        seen.append(await bridge.get("/api/dashboard"))
        response.close()
        await bridge.until("it ended", "/api/dashboard", lambda d: not d["sessions"])
        seen.append(await bridge.get("/api/dashboard"))
    assert [len(live["sessions"]) for live in seen] == [1, 0] * 3
    for live in seen:
        assert set(live.pop("gauges")) >= {"sessions", "bitrate_out", "storing", "waiting_facts"}
        for form in (str(live["position"]), f"%23{live['position']}"):
            assert await bridge.get(f"/api/dashboard?at={form}") == live


async def test_at_takes_a_time_in_either_form(start: Start) -> None:
    """ISO 8601 with an offset, or Unix milliseconds; what is out of reach is clipped."""
    bridge = await start()
    _, response = await bridge.watch("1")
    await response.content.readexactly(TENTHS_BYTES)  # it is active for longer than a clock's tick
    response.close()
    await bridge.until("it ended", "/api/dashboard", lambda d: not d["sessions"])
    head = await bridge.get("/api/log/head")
    events = await bridge.events()
    created = next(event for event in events if event["dst"] == "active")
    last_then = [event for event in events if event["at"] <= created["at"]][-1]
    iso = datetime.fromtimestamp((created["at"] + 1) / 1_000, UTC).isoformat()
    for at in (str(created["at"] + 1), iso.replace("+00:00", "Z"), iso.replace("+", "%2B")):
        found = await bridge.get(f"/api/dashboard?at={at}")
        assert found["position"] in (last_then["pos"], last_then["pos"] + 1), at
        assert [one["state"] for one in found["sessions"]] == ["active"], at
    assert (await bridge.get("/api/dashboard?at=1970-01-01T00:00:00Z"))["position"] == 0
    assert (await bridge.get("/api/dashboard?at=2999-01-01T00:00:00Z"))["position"] >= head[
        "position"
    ]
    assert (await bridge.get("/api/dashboard?at=99999999"))["position"] >= head["position"]


async def test_what_cannot_be_read_is_400_and_says_what_is_wanted(start: Start) -> None:
    """However odd: never a 500, and never an answer to another question."""
    bridge = await start()
    for path in (
        *("/api/dashboard?at=yesterday", "/api/dashboard?at=2026-01-01T00:00:00"),
        *("/api/dashboard?at=-1", "/api/dashboard?at=", f"/api/dashboard?at={'9' * 30}"),
        *(f"/api/dashboard?at={'9' * digits}" for digits in (16, 18, 19)),
        *(f"/api/dashboard?at={'9' * 5_000}", "/api/dashboard?at=%23%23"),
        *("/api/sessions?since=x", f"/api/sessions?since={'9' * 30}"),
        *("/api/sessions?limit=1001", "/api/sessions?limit=-1", "/api/sessions?limit=x"),
        *("/api/events?after=x", f"/api/events?after={'9' * 30}", "/api/events?limit=1000001"),
        f"/api/events?after={'9' * 5_000}",
    ):
        status, document = await bridge.ask(path)
        assert status == 400, (path[:80], document)
        assert set(document) == {"error", "detail"}, path[:80]


async def test_sessions_are_found_by_state_channel_client_and_time(start: Start) -> None:
    """The newest first, page by page; a session asked by its id is the same document."""
    bridge = await start()
    ids = []
    for number, user_agent in (("1", "VLC/3"), ("2", "curl/8")):
        session, response = await bridge.watch(number, user_agent)
        ids.append(session)
        response.close()
    await bridge.until("both ended", "/api/dashboard", lambda d: not d["sessions"])
    session, response = await bridge.watch("1")
    ids.append(session)
    first, second, third = ids

    async def found(query: str) -> list[str]:
        return [one["id"] for one in await bridge.get(f"/api/sessions?{query}")]

    everything = await bridge.get("/api/sessions")
    assert [one["id"] for one in everything] == [third, second, first]
    assert await found("state=ended") == [second, first]
    assert await found("state=active") == [third]
    assert await found("channel=1") == [third, first]
    assert await found(f"channel={everything[1]['channel']['id']}") == [second]
    assert await found("client=127.0.0.1") == [third, second, first]
    assert await found("client=192.168.1.9") == []
    assert await found(f"since={everything[1]['started_at']}") == [third, second]
    assert await found("limit=1") == [third]
    assert await found(f"limit=1&after={third}") == [second]
    assert await found(f"after={first}") == []
    assert await found("state=ended&channel=1") == [first]
    for shown in everything[1:]:
        assert await bridge.get(f"/api/sessions/{shown['id']}") == shown
        story = await bridge.get(f"/api/sessions/{shown['id']}/events")
        assert {event["stream"] for event in story} == {f"session-{shown['id']}"}
        assert [event["ver"] for event in story] == list(range(1, len(story) + 1))
        assert story[-1]["dst"] == "ended"
    response.close()


async def test_ending_everything_of_a_channel_or_a_client(start: Start) -> None:
    """All that is meant, nothing else, each with its final figures; and one way of meaning."""
    bridge = await start()
    watching = [await bridge.watch(number) for number in ("1", "2", "2")]
    names = [session for session, _ in watching]
    two = (await bridge.get(f"/api/sessions/{names[1]}"))["channel"]["id"]
    for nonsense in ("", "?all=yes", f"?channel={two}&all=true"):
        status, document = await bridge.ask(f"/api/sessions{nonsense}", "DELETE")
        assert (status, document["error"]) == (400, "which_sessions"), nonsense
    status, document = await bridge.ask(f"/api/sessions?channel={two}&reason=forced", "DELETE")
    assert status == 200
    assert {one["id"] for one in document["ended"]} == set(names[1:])
    assert {one["reason"] for one in document["ended"]} == {"forced"}
    assert [one["id"] for one in (await bridge.get("/api/dashboard"))["sessions"]] == names[:1]
    status, document = await bridge.ask("/api/sessions?client=10.9.9.9", "DELETE")
    assert (status, document) == (200, {"ended": [], "position": None})
    status, document = await bridge.ask("/api/sessions?client=127.0.0.1", "DELETE")
    assert [one["id"] for one in document["ended"]] == names[:1]
    status, document = await bridge.ask("/api/sessions?all=true", "DELETE")
    assert (status, document["ended"]) == (200, [])
    for _, response in watching:
        response.close()


async def test_ending_a_session(start: Start) -> None:
    """The final figures with 200, 409 the second time, 404 for what never was, 400 for a word that
    is no deliberate end."""
    bridge = await start()
    session, response = await bridge.watch("1")
    path = f"/api/sessions/{session}"
    for reason in ("timeout", "whatever", "", "x" * 5_000):
        status, document = await bridge.ask(f"{path}?reason={reason}", "DELETE")
        assert (status, document["error"]) == (400, "unknown_reason"), reason
        assert len(document["reasons"]) == 8
    status, document = await bridge.ask(path, "DELETE")
    assert status == 200
    ended = document["ended"]
    assert (ended["state"], ended["reason"], ended["detail"]) == ("ended", "manual", "by_admin")
    assert document["position"] > 0
    async with asyncio.timeout(WITHIN_S):
        await response.content.read()
    status, document = await bridge.ask(path, "DELETE")
    assert (status, document["error"]) == (409, "already_ended")
    status, document = await bridge.ask(f"{path}/disconnect", "POST", json={"reason": "manual"})
    assert (status, document["error"]) == (409, "already_ended")
    for unknown in (UNKNOWN, "nonsense", "..%2f..%2fetc", session.lower()):
        for suffix, method in (("", "GET"), ("", "DELETE"), ("/events", "GET")):
            status, document = await bridge.ask(f"/api/sessions/{unknown}{suffix}", method)
            assert status == 404, (unknown, suffix)
    status, document = await bridge.ask(
        f"/api/sessions/{UNKNOWN}/disconnect", "POST", json={"reason": "manual"}
    )
    assert (status, document["error"]) == (404, "unknown_session")


async def test_a_report_without_a_reason_is_400_and_changes_nothing(start: Start) -> None:
    """A reason is a word of small letters; more than 16 KiB is read by nobody."""
    bridge = await start()
    session, response = await bridge.watch("1")
    path = f"/api/sessions/{session}/disconnect"
    as_json = {"Content-Type": "application/json"}
    for body in (
        *(b"", b"{", b"[]", b"null", b"{}", b'"manual"', b"\xff"),
        *(b'{"reason": 1}', b'{"reason": null}', b'{"reason": ""}', b'{"reason": "Two words"}'),
        b'{"reason": "' + b"x" * 41 + b'"}',
    ):
        status, document = await bridge.ask(path, "POST", data=body, headers=as_json)
        assert (status, document["error"]) == (400, "no_reason"), body
    status, document = await bridge.ask(path, "POST", data=b" " * 20_000, headers=as_json)
    assert status == 413
    assert (await bridge.get(f"/api/sessions/{session}"))["state"] == "active"
    response.close()


async def test_kept_alive_a_reported_trouble_keeps_the_session_for_its_grace(start: Start) -> None:
    """With `SESSION_KEEP_ALIVE` any word that is neither deliberate nor an error: the player's
    connection is closed, the session recovers and keeps its tuner, until the grace is over."""
    bridge = await start(SESSION_KEEP_ALIVE="true", SESSION_TIMEOUT_GRACE=str(GRACE_MS))
    session, response = await bridge.watch("1")
    status, decided = await bridge.ask(
        f"/api/sessions/{session}/disconnect", "POST", json={"reason": "network_hiccup"}
    )
    assert status == 200
    assert decided.pop("position") > 0
    assert decided == {
        "reason": "network_hiccup",
        "maintained": True,
        "intentional": False,
        "keep_alive": True,
        "src": "active",
        "dst": "recovering",
    }
    held = await bridge.get("/api/dashboard")
    assert [one["state"] for one in held["sessions"]] == ["recovering"]
    assert [tuner["sessions"] for tuner in held["tuners"] if tuner["sessions"]] == [[session]]
    async with asyncio.timeout(WITHIN_S):
        await response.content.read()
    held_on = await bridge.get(f"/api/sessions/{session}")
    assert held_on["state"] == "recovering", "its connection is over, and it is not"
    over = await bridge.until(
        "the grace is over", f"/api/sessions/{session}", lambda s: s["state"] == "ended"
    )
    assert over["ended_at"] - held["at"] >= GRACE_MS * 0.5
    freed = await bridge.get("/api/dashboard")
    assert not any(tuner["sessions"] for tuner in freed["tuners"])


async def test_without_keep_alive_the_same_report_ends_it(start: Start) -> None:
    """And a deliberate word ends it under every policy; the word stays in the log as it was."""
    bridge = await start()
    for reason, intentional in (("network_hiccup", False), ("user_requested", True)):
        session, response = await bridge.watch("1")
        status, decided = await bridge.ask(
            f"/api/sessions/{session}/disconnect", "POST", json={"reason": reason}
        )
        assert status == 200
        assert (decided["maintained"], decided["dst"]) == (False, "ended")
        assert (decided["intentional"], decided["keep_alive"]) == (intentional, False)
        ended = await bridge.get(f"/api/sessions/{session}")
        assert (ended["state"], ended["reason"], ended["detail"]) == ("ended", reason, "reported")
        response.close()


async def test_events_are_lines_filtered_and_paged(start: Start) -> None:
    """Every position once, in order; `limit` counts what matches, `after` goes on."""
    bridge = await start()
    session, response = await bridge.watch("1")
    response.close()
    await bridge.until("it ended", "/api/dashboard", lambda d: not d["sessions"])
    everything = await bridge.events("limit=1000")
    assert [event["pos"] for event in everything] == list(range(1, len(everything) + 1))
    by_stream = await bridge.events(f"stream=session-{session}")
    assert by_stream == [e for e in everything if e["stream"] == f"session-{session}"]
    by_type = await bridge.events("type=refreshed")
    assert {event["type"] for event in by_type} == {"refreshed"}
    assert await bridge.events("type=refreshed&limit=1") == by_type[:1]
    assert await bridge.events("after=2&limit=3") == everything[2:5]
    assert await bridge.events("limit=0") == []
    assert await bridge.events("after=99999999") == []
    assert await bridge.events(f"stream=session-{UNKNOWN}") == []


async def test_unknown_paths_and_methods_are_json(start: Start) -> None:
    """404 and 405 with the methods that are known: never a page with 200."""
    bridge = await start()
    for path in ("/nope", "/api", "/api/nope", "/static/", "/api/sessions/", "/index.html"):
        status, document = await bridge.ask(path)
        assert (status, document["error"]) == (404, "not_found"), path
    for path, method in (("/api/dashboard", "PUT"), ("/", "POST"), ("/api/live", "DELETE")):
        status, document = await bridge.ask(path, method)
        assert (status, document["error"]) == (405, "method_not_allowed"), path


async def test_the_head_of_the_log_is_an_anchor(start: Start) -> None:
    """A position and a hash that differ with every event."""
    bridge = await start()
    before = await bridge.get("/api/log/head")
    assert await bridge.get("/api/log/head") == before
    assert len(bytes.fromhex(before["hash"])) == 32
    _, response = await bridge.watch("1")
    after = await bridge.get("/api/log/head")
    assert after["position"] > before["position"]
    assert after["hash"] != before["hash"]
    response.close()


async def test_nothing_shown_holds_what_identifies_a_player_or_an_account(start: Start) -> None:
    """Neither the identifier a player sent, nor a key made of it, nor the provider's addresses."""
    bridge = await start()
    session, response = await bridge.watch("1")
    paths = (
        *("/", "/api/dashboard", "/api/dashboard?at=99999", "/api/sessions", "/api/channels"),
        *(f"/api/sessions/{session}", f"/api/sessions/{session}/events", "/api/events?limit=1000"),
        *("/api/live?after=0", "/metrics", "/health", "/status.json", "/lineup.json"),
        *("/lineup.m3u", "/lineup.xml"),
    )
    for path in paths:
        async with bridge.client.get(bridge.bridge.base + path) as answer:
            assert answer.status == 200, path
            if path.startswith("/api/live"):
                body = (await answer.content.readuntil(b"event: gauges")).decode()
                assert session in body
            else:
                body = await answer.text()
        assert "kept-secret" not in body, path
        assert '"key"' not in body, path
    channels = await bridge.get("/api/channels")
    keys = {"id", "guide_number", "name", "group", "sources"}
    keys |= {"enabled", "favourite", "tvg_id", "edits"}
    assert [set(one) for one in channels] == [keys for _ in range(3)]
    assert "http" not in orjson.dumps(channels).decode()
    response.close()
