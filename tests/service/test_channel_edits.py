"""Channels edited on a running bridge: by the API, by players, by commands, by imports."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.end_to_end.running import RunningBridge

CHANNELS = (
    ("1", "News One", "News", "one.tv"),
    ("2", "News Two", "News", "two.tv"),
    ("3", "Sport", "Sport", ""),
    ("4", "<b>Kids</b>", "Kids", ""),
)
ALLOWED = {"PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8"}


def write_playlist(path: Path, *more: str) -> Path:
    """The channels, each with a login in its URL, behind `more`."""
    lines = ["#EXTM3U", *more]
    for number, name, group, tvg_id in CHANNELS:
        lines.append(
            f'#EXTINF:-1 tvg-chno="{number}" tvg-id="{tvg_id}" group-title="{group}",{name}'
        )
        lines.append(f"http://127.0.0.1:9/live/user/secret/{number}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    """Four channels; started anew by some tests."""
    playlist = write_playlist(tmp_path / "list.m3u")
    running = RunningBridge(tmp_path / "data", "--playlist", str(playlist), **ALLOWED)
    with running:
        yield running


async def ask(
    bridge: RunningBridge, method: str, path: str, document: Any = None, **headers: str
) -> tuple[int, Any]:
    """The status, and the JSON answered, if any is."""
    body = None if document is None else orjson.dumps(document)
    headers = {"Content-Type": "application/json", **headers}
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, bridge.base + path, data=body, headers=headers) as answer,
    ):
        text = await answer.read()
        return answer.status, orjson.loads(text) if text[:1] in (b"{", b"[") else None


async def found(bridge: RunningBridge, query: str = "") -> dict[str, dict[str, Any]]:
    """Channels by the names they are listed under."""
    status, channels = await ask(bridge, "GET", f"/api/channels?{query}")
    assert status == 200
    return {channel["name"]: channel for channel in channels}


async def numbers_for_players(bridge: RunningBridge, query: str = "") -> dict[str, str]:
    """`/lineup.json`: names by number."""
    _, rows = await ask(bridge, "GET", f"/lineup.json?{query}")
    return {row["GuideNumber"]: row["GuideName"] for row in rows}


def ran(bridge: RunningBridge, *words: str, code: int = 0) -> str:
    """What a command says."""
    done: subprocess.CompletedProcess[str] = bridge.command(*words)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def edited(bridge: RunningBridge) -> list[dict[str, Any]]:
    """The payloads of the events, as a person reads them."""
    told = ran(bridge, "events", "tail", "-n", "1000", "--type", "edited", "--json")
    return [json.loads(line)["data"] for line in told.splitlines()]


async def test_an_edit_is_there_at_once_and_after_a_restart(
    bridge: RunningBridge, tmp_path: Path
) -> None:
    """For programs and players; a list that changes meanwhile takes nothing of it."""
    one = (await found(bridge))["News One"]
    status, whole = await ask(
        bridge,
        "PUT",
        f"/api/channels/{one['id']}",
        {"guide_number": "101", "name": "Mine", "group": "Home", "favourite": True},
    )
    assert status == 200
    assert (whole["guide_number"], whole["name"], whole["listed"]["name"]) == (
        *("101", "Mine"),
        "News One",
    )
    assert whole["edits"] == ["guide_number", "name", "group", "favourite"]
    assert "secret" not in str(whole)
    for restarted in (False, True):
        if restarted:
            await asyncio.to_thread(bridge.stop)
            write_playlist(tmp_path / "list.m3u", '#EXTINF:-1 tvg-chno="101",New', "http://h/new")
            await asyncio.to_thread(bridge.start)
        _, rows = await ask(bridge, "GET", "/lineup.json")
        [mine] = [row for row in rows if row["GuideNumber"] == "101"]
        assert (mine["GuideName"], mine["Favorite"]) == ("Mine", 1)
        assert sum("Favorite" in row for row in rows) == 1
    assert (await found(bridge, "q=new"))["New"]["guide_number"] == "5", "nobody had it"
    [event] = edited(bridge)
    assert event["changed"] == [
        {
            "id": one["id"],
            "guide_number": "101",
            "name": "Mine",
            "fields": ["guide_number", "name", "group", "favourite"],
        }
    ]
    assert (event["by"], event["how"]) == ("admin by machine", "one")


async def test_what_cannot_be_is_refused_and_changes_nothing(bridge: RunningBridge) -> None:
    """Whose number it is, which field it was, that there is no such channel."""
    one = (await found(bridge))["News One"]
    path = f"/api/channels/{one['id']}"
    before = await numbers_for_players(bridge)
    status, refused = await ask(bridge, "PUT", path, {"guide_number": "2"})
    assert (status, refused["error"]) == (409, "number_taken")
    assert (refused["guide_number"], refused["channels"]) == ("2", ["News One", "News Two"])
    status, refused = await ask(bridge, "PUT", path, {"name": "x", "logo": "file:///etc/passwd"})
    assert (status, refused["error"], refused["field"]) == (400, "invalid_edit", "logo")
    assert (await ask(bridge, "PUT", "/api/channels/nobody", {"name": "x"}))[0] == 404
    assert (await ask(bridge, "GET", "/api/channels/nobody"))[0] == 404
    assert (await ask(bridge, "PUT", path, "x" * 70_000))[0] == 413
    assert (await ask(bridge, "POST", "/api/channels/bulk", {"set": {}}))[0] == 400
    assert await numbers_for_players(bridge) == before
    assert edited(bridge) == []


async def test_a_disabled_channel_is_gone_for_players(bridge: RunningBridge) -> None:
    """It cannot be tuned to (801), is not listed but where all are asked for, and comes back."""
    one = (await found(bridge))["News One"]
    bulk = {"select": {"group": "News"}, "set": {"enabled": False}, "preview": True}
    status, plan = await ask(bridge, "POST", "/api/channels/bulk", bulk)
    assert (status, plan["changes"], plan["enabled"]) == (200, 2, 2)
    assert plan["consequences"][0] == "2 channels disappear from players."
    assert len(await numbers_for_players(bridge)) == 4, "a preview changes nothing"
    await ask(bridge, "POST", "/api/channels/bulk", {**bulk, "preview": False})
    assert await numbers_for_players(bridge) == {"3": "Sport", "4": "<b>Kids</b>"}
    assert set(await numbers_for_players(bridge, "show=all")) == {"1", "2", "3", "4"}
    async with aiohttp.ClientSession() as client:
        for path in ("/auto/v1", f"/stream/{one['id']}.ts", f"/streams/preview/{one['id']}"):
            async with client.get(bridge.base + path) as answer:
                assert answer.status == 404
                assert answer.headers["X-HDHomeRun-Error"] == "801 Unknown Channel"
        async with client.get(f"{bridge.base}/lineup.m3u") as answer:
            assert "News" not in await answer.text()
        async with client.get(f"{bridge.base}/api/channels?limit=1") as answer:
            assert answer.headers["X-Total-Count"] == "4"
            assert answer.headers["X-Enabled-Count"] == "2"
    assert set(await found(bridge, "enabled=false")) == {"News One", "News Two"}
    _, told = await ask(bridge, "GET", "/api/channels/groups")
    assert told["groups"][0] == {"group": "News", "channels": 2, "enabled": 0}
    await ask(bridge, "PUT", f"/api/channels/{one['id']}", {"enabled": None})
    assert set(await numbers_for_players(bridge)) == {"1", "3", "4"}
    assert [event["channels"] for event in edited(bridge)] == [2, 1]


async def test_players_mark_channels(bridge: RunningBridge) -> None:
    """As an HDHomeRun lets them; a page of another site, and a GET that any picture can be, do
    not."""

    async def marks(favorite: str, method: str = "POST", **headers: str) -> int:
        status, _ = await ask(bridge, method, f"/lineup.post?favorite={favorite}", **headers)
        return status

    async def favourites() -> list[str]:
        _, rows = await ask(bridge, "GET", "/lineup.json")
        return [row["GuideNumber"] for row in rows if row.get("Favorite") == 1]

    assert [await marks("%2B1"), await marks("+2"), await marks("x3")] == [200] * 3
    assert await favourites() == ["1", "2"]
    assert set(await numbers_for_players(bridge)) == {"1", "2", "4"}
    assert [await marks("-3"), await marks("-1")] == [200] * 2
    assert await favourites() == ["2"]
    assert set(await numbers_for_players(bridge)) == {"1", "2", "3", "4"}
    assert await marks("x4", method="GET") == 403
    assert await marks("x4", Origin="http://evil.example") == 403
    assert await marks("x99") == 400
    assert "4" in await numbers_for_players(bridge)
    assert [event["by"] for event in edited(bridge)] == ["127.0.0.1"] * 5
    assert await marks("-1") == 200
    assert len(edited(bridge)) == 5, "what is so already is no event"


async def test_only_an_admin_edits(bridge: RunningBridge) -> None:
    """A viewer's key reads."""
    made = await asyncio.to_thread(
        bridge.command, "key", "create", "--name", "tv", "--role", "viewer", "--json"
    )
    key = {"X-Api-Key": json.loads(made.stdout)["key"]}
    one = (await found(bridge))["News One"]
    path = f"/api/channels/{one['id']}"
    async with asyncio.timeout(5):  # the bridge looks for new keys once a second
        while (await ask(bridge, "GET", path, **key))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await ask(bridge, "PUT", path, {"name": "x"}, **key))[0] == 403
    bulk = {"select": {"all": True}, "set": {"enabled": False}, "preview": True}
    assert (await ask(bridge, "POST", "/api/channels/bulk", bulk, **key))[0] == 403


def test_commands_edit_through_the_running_bridge_and_without_one(
    bridge: RunningBridge,
) -> None:
    """Players have it at once, or with the next start; either way it is an event."""
    port = bridge.base.rpartition(":")[2]
    told = ran(bridge, "channels", "set", "1", "--number", "11", "--name", "Eleven", "--port", port)
    assert "number: 1 → 11" in told
    assert [row["GuideNumber"] for row in bridge.get("/lineup.json")] == ["2", "3", "4", "11"]
    assert "11 is Eleven's" in ran(
        bridge, "channels", "set", "2", "--number", "11", "--port", port, code=1
    )
    ran(bridge, "channels", "set", "2", "--number", "x", "--port", port, code=2)
    bridge.stop()
    assert "disappears from players" in ran(
        bridge, "channels", "bulk", "--group", "Kids", "--disable"
    )
    assert "disabled" not in ran(bridge, "channels", "ls", "--group", "Kids")
    ran(bridge, "channels", "bulk", "--group", "Kids", "--disable", "--apply")
    ran(bridge, "channels", "number", "--start", "News=100", "--start", "Sport=200", "--apply")
    ran(bridge, "channels", "set", "200", "--favourite")
    rows = [json.loads(line) for line in ran(bridge, "channels", "ls", "--json").splitlines()]
    assert [(row["guide_number"], row["enabled"]) for row in rows] == [
        ("4", False),
        ("100", True),
        ("101", True),
        ("200", True),
    ]
    assert "is News Two's" in ran(bridge, "channels", "set", "101", "--number", "100", code=1)
    ran(bridge, "channels", "set", "nothing", "--favourite", code=2)
    ran(bridge, "channels", "set", "101", code=2)
    ran(bridge, "channels", "bulk", "--disable", code=2)
    bridge.start()
    assert [row["GuideNumber"] for row in bridge.get("/lineup.json")] == ["100", "101", "200"]
    assert [event["how"] for event in edited(bridge)] == ["bulk", *["command"] * 3]


def test_channels_of_no_lineup_are_one_line(tmp_path: Path) -> None:
    """A directory that no bridge ever ran on."""
    idle = RunningBridge(tmp_path / "empty")
    assert "no channels are stored" in ran(idle, "channels", "ls", code=2)


XEPG = {
    "x-ID.0": {
        "name": "News One",
        "tvg-id": "one.tv",
        "group-title": "News",
        "url": "http://127.0.0.1:9/live/user/secret/1",
        "x-active": True,
        "x-channelID": "1001",
        "x-name": "One",
        "x-group-title": "Mine",
        "x-mapping": "one.guide",
        "x-xmltv-file": "X1.xml",
        "tvg-logo": "http://logos/one.png",
    },
    "x-ID.1": {"name": "Sport", "x-active": False, "x-channelID": "1002", "x-name": "Sport"},
    "x-ID.2": {"name": "Long gone", "x-active": True, "x-channelID": "1003", "x-name": "Gone"},
}


def test_what_was_set_up_elsewhere_is_brought_along(bridge: RunningBridge, tmp_path: Path) -> None:
    """First only told, then done, with a running bridge and without one; what could not be mapped
    is named, and no address is."""
    file = tmp_path / "xepg.json"
    file.write_text(json.dumps(XEPG))
    port = bridge.base.rpartition(":")[2]
    told = ran(bridge, "import", "threadfin", str(file), "--port", port, code=1)
    assert "3 channels in the file, 2 mapped (1 by url, 1 by name)" in told
    assert "not mapped: 1003 Gone: no channel of ours is like it" in told
    assert "nothing was changed yet" in told
    assert "secret" not in told
    assert len(bridge.get("/lineup.json")) == 4
    ran(bridge, "import", "xteve", str(tmp_path), "--port", port, "--apply", code=1)
    rows = {row["GuideNumber"]: row["GuideName"] for row in bridge.get("/lineup.json")}
    assert rows == {"2": "News Two", "4": "<b>Kids</b>", "1001": "One"}
    bridge.stop()
    backup = tmp_path / "backup.json"
    channels = [{"id": "a", "name": "News Two", "number": 77, "enabled": 1, "epg_id": "two.tv"}]
    streams = [{"channel_id": "a", "url": "http://127.0.0.1:9/live/user/secret/2"}]
    data = {"channels": channels, "streams": streams}
    backup.write_text(json.dumps({"version": "2.0.0", "data": data}))
    arguments = ("import", "plexbridge", str(backup), "--disable-others", "--json")
    document = json.loads(ran(bridge, *arguments))
    assert (document["mapped"], document["disabled"]) == (1, 2)
    assert document["result"]["preview"]
    ran(bridge, *arguments, "--apply")
    bridge.start()
    assert [row["GuideNumber"] for row in bridge.get("/lineup.json")] == ["77"]
    ran(bridge, "import", "plexbridge", str(file), code=2)
    ran(bridge, "import", "xteve", str(tmp_path / "nothing"), code=2)
