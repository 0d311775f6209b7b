"""`/api/settings` of a running bridge: layers, refusals, and changes while people watch."""

import asyncio
import json
import stat
import tomllib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from events.commands import ChangeSettings
from plexbridge.settings_model import NOT_SHOWN, SETTINGS
from plexbridge.web.access.keys import ApiKey, change_keys
from plexbridge.web.access.roles import Role
from plexbridge.web.access.tokens import digest_of
from tests.end_to_end.running import RunningBridge
from tests.service.access_rig import HOME, ask, house
from tests.service.provider_stub import ProviderStub, endless
from tests.service.relay_setup import until
from tests.service.station import Player, station

WITHIN_S = 15.0
CHANNELS = 5
KEY = "a-key-of-the-right-length"
VIEWER = "pbk_of-a-viewer"


class Home:
    """A running bridge on a provider that never ends, and a client of it."""

    def __init__(self, bridge: RunningBridge, client: aiohttp.ClientSession) -> None:
        self.bridge = bridge
        self.client = client

    @property
    def file(self) -> Path:
        return self.bridge.data_dir / "settings.toml"

    async def get(self, path: str) -> Any:
        async with self.client.get(self.bridge.base + path) as answer:
            assert answer.status == 200, await answer.text()
            return orjson.loads(await answer.read())

    async def put(self, body: object, **settings: Any) -> tuple[int, Any]:
        body = body or {"settings": settings}
        async with self.client.put(f"{self.bridge.base}/api/settings", json=body) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def set(self, **settings: Any) -> Any:
        status, document = await self.put(None, **settings)
        assert status == 200, document
        return document

    async def row(self, name: str) -> dict[str, Any]:
        rows = (await self.get("/api/settings"))["settings"]
        (found,) = (row for row in rows if row["name"] == name)
        return dict(found)

    async def tune(self, number: int) -> aiohttp.ClientResponse:
        headers = {"User-Agent": "Lavf/60"}
        return await self.client.get(f"{self.bridge.base}/auto/v{number}", headers=headers)

    async def watch(self, number: int) -> aiohttp.ClientResponse:
        watching = await self.tune(number)
        assert watching.status == 200
        await watching.content.readexactly(188)
        return watching

    async def until(self, what: str, path: str, holds: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = await self.get(path)
                if holds(found):
                    return found
                await asyncio.sleep(0.02)

    async def policies(self) -> list[dict[str, Any]]:
        """Every recorded policy, and what was changed before it."""
        path = f"{self.bridge.base}/api/events?stream=bridge&limit=1000"
        async with self.client.get(path) as answer:
            rows = [orjson.loads(line) for line in (await answer.read()).splitlines()]
        return [row for row in rows if row["type"] in ("policy_set", "settings_changed")]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with ProviderStub() as stub, aiohttp.ClientSession() as client:
        lines = [
            f"#EXTINF:-1,C{n}\n{stub.on(f'/{n}', endless(bits_per_s=2e6))}\n"
            for n in range(1, CHANNELS + 1)
        ]
        playlist = tmp_path / "list.m3u"
        playlist.write_text("#EXTM3U\n" + "".join(lines))
        bridge = RunningBridge(
            tmp_path / "data",
            *("--playlist", str(playlist)),
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
            PLEXBRIDGE_ADMISSION_WAIT="0",
            SESSION_KEEP_ALIVE="true",
        )
        await asyncio.to_thread(bridge.start)
        yield Home(bridge, client)
        await asyncio.to_thread(bridge.stop)


async def test_every_setting_says_where_its_value_comes_from(home: Home) -> None:
    """Each layer once; what it accepts, what it means, and whether it can be changed here."""
    rows = {row["name"]: row for row in (await home.get("/api/settings"))["settings"]}
    assert list(rows) == list(SETTINGS)
    assert all(row["accepts"] and row["meaning"] for row in rows.values())
    tuners = rows["TUNER_COUNT"]
    assert (tuners["value"], tuners["origin"], tuners["default"]) == ("4", "default", "4")
    assert (tuners["at_once"], tuners["editable"], tuners["in_file"]) == (True, True, None)
    keep_alive, playlist = rows["SESSION_KEEP_ALIVE"], rows["PLEXBRIDGE_PLAYLIST"]
    assert (keep_alive["value"], keep_alive["origin"]) == ("true", "environment")
    assert "wins over settings.toml" in keep_alive["why_not"]
    assert (playlist["value"], playlist["origin"]) == (NOT_SHOWN, "command line")
    assert not playlist["editable"]
    assert rows["PLEXBRIDGE_ADMIN_KEY"]["why_not"].startswith("Not kept in settings.toml")
    await home.set(TUNER_COUNT=3)
    tuners = await home.row("TUNER_COUNT")
    assert (tuners["value"], tuners["origin"], tuners["in_file"]) == ("3", "settings.toml", "3")
    assert tuners["next"] is None


async def test_what_is_wrong_is_refused_and_nothing_written(home: Home) -> None:
    """By the setting's name, with what it accepts; one wrong value stops all of them."""
    for settings, status, word, said in (
        ({"TUNER_COUNT": 0}, 400, "not_accepted", "a whole number from 1 to 1000"),
        ({"FRIENDLY_NAME": "Box", "TUNER_COUNT": "x"}, 400, "not_accepted", "TUNER_COUNT"),
        ({"TUNERS": 3}, 400, "unknown_setting", "no setting"),
        ({"SESSION_KEEP_ALIVE": False}, 409, "overridden", "Set by the environment"),
        ({"PLEXBRIDGE_PLAYLIST": "http://x/"}, 409, "overridden", "Set by the command line"),
        ({"FFMPEG_PATH": "/bin/sh"}, 409, "by_hand", "Names a program that is run"),
        ({"PLEXBRIDGE_TRUSTED_PROXIES": "10.0.0.1"}, 409, "by_hand", "is believed"),
        ({"PLEXBRIDGE_ADMIN_KEY": KEY}, 409, "not_in_file", "in the environment"),
    ):
        answered, document = await home.put({"settings": settings})
        assert (answered, document["error"]) == (status, word), settings
        assert said in document["detail"]
        assert document["setting"] in settings
    for body in ({}, [], {"settings": {}}, {"settings": 1}, {"settings": {"PORT": 1}, "x": 1}):
        assert (await home.put(body or {"settings": None}))[0] == 400
    bad = {"settings": {"TUNER_COUNT": 3}, "preview": "yes"}
    assert (await home.put(bad))[1]["error"] == "bad_preview"
    assert not home.file.exists()
    assert len(await home.policies()) == 1


async def test_a_preview_says_what_would_happen_and_does_nothing(home: Home) -> None:
    """To who watches, first."""
    body = {"settings": {"TUNER_COUNT": 1, "PLEXBRIDGE_LINGER": 9}, "preview": True}
    status, told = await home.put(body)
    assert (status, told["preview"], told["position"]) == (200, True, None)
    assert told["consequences"][0] == "Nobody is watching."
    watching = [await home.watch(number) for number in (1, 2, 3)]
    status, told = await home.put(body)
    assert told["consequences"][0] == "3 sessions are open: none ends, nobody is interrupted."
    assert "refused until fewer than 1 are" in " ".join(told["consequences"])
    assert "A restart ends every session" in told["consequences"][-1]
    assert not home.file.exists()
    assert len((await home.get("/api/dashboard"))["tuners"]) == 4
    for player in watching:
        player.close()


async def test_fewer_tuners_refuse_who_comes_and_end_nobody(home: Home) -> None:
    """At once, by a decision that is recorded, and is what dashboard and what-if then know."""
    watching = [await home.watch(number) for number in (1, 2, 3)]
    done = await home.set(TUNER_COUNT=2)
    assert done["changes"] == [
        {"name": "TUNER_COUNT", "before": "4", "after": "2", "at_once": True}
    ]
    assert tomllib.loads(home.file.read_text()) == {"TUNER_COUNT": 2}
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o600
    refused = await home.tune(4)
    assert (refused.status, refused.headers["X-HDHomeRun-Error"][:3]) == (503, "805")
    began, changed, policy = await home.policies()
    assert began["data"]["tuners"] == 4
    assert changed["data"] == {"names": ["TUNER_COUNT"], "by": "admin by machine"}
    assert (policy["data"]["tuners"], policy["pos"]) == (2, done["position"])
    assert policy["cause"] == changed["id"]
    shown = await home.until(
        "the tuners in use", "/api/dashboard", lambda found: len(found["tuners"]) == 3
    )
    assert [one["state"] for one in shown["sessions"]] == ["active"] * 3
    assert (await home.get("/discover.json"))["TunerCount"] == 2
    for player in watching:
        await player.content.readexactly(188 * 500)
    for player in watching:
        player.close()
    await home.until("they are free", "/api/dashboard", lambda found: len(found["tuners"]) == 2)
    await home.watch(4)
    ran = await asyncio.to_thread(home.bridge.command, "whatif", "--policy", "tuners=4", "--json")
    assert json.loads(ran.stdout)["policy"] == {"tuners": {"recorded": 2, "hypothetical": 4}}
    audit = await asyncio.to_thread(home.bridge.command, "audit")
    assert "✗" not in audit.stdout, audit.stdout


async def test_more_tuners_are_given_at_once(home: Home) -> None:
    """To the next who asks."""
    await home.set(TUNER_COUNT=1, PLEXBRIDGE_ACTIVITY_RECORD_INTERVAL=500)
    first = await home.watch(1)
    assert (await home.tune(2)).status == 503
    await home.set(TUNER_COUNT=2)
    second = await home.watch(2)
    assert (await home.row("PLEXBRIDGE_ACTIVITY_RECORD_INTERVAL"))["value"] == "500"
    first.close()
    second.close()


async def test_who_waits_for_a_tuner_gets_one_that_is_added() -> None:
    """Without waiting for somebody to leave."""
    async with station(tuners=1, admission_wait_ms=30_000) as on_air:
        for number in (1, 2):
            on_air.provider.on(f"/{number}", endless(bits_per_s=2e6))
        await (await Player.asks(on_air, "/auto/v1")).watches()
        waiting = await Player.asks(on_air, "/auto/v2")
        await until(lambda: len(on_air.door._waiters) == 1)
        more = replace(on_air.door.world.policy, tuners=2)
        names = ("TUNER_COUNT",)
        on_air.door.report(
            ChangeSettings(at=on_air.clock.now(), names=names, by="admin", policy=more)
        )
        async with asyncio.timeout(WITHIN_S):
            await waiting.watches()


async def test_what_needs_a_restart_waits_and_is_shown_to_wait(home: Home) -> None:
    """The old value is in force, the file has the new one; the next start takes it."""
    await home.set(PLEXBRIDGE_LINGER=250, FRIENDLY_NAME="Box in the hall")
    assert (await home.get("/discover.json"))["FriendlyName"] == "Box in the hall"
    row = await home.row("PLEXBRIDGE_LINGER")
    assert (row["value"], row["in_file"], row["next"]) == ("5000", "250", "250")
    assert [one["type"] for one in await home.policies()] == ["policy_set", "settings_changed"]
    await asyncio.to_thread(home.bridge.stop)
    await asyncio.to_thread(home.bridge.start)
    row = await home.row("PLEXBRIDGE_LINGER")
    assert (row["value"], row["origin"], row["next"]) == ("250", "settings.toml", None)
    assert (await home.policies())[-1]["data"]["linger_ms"] == 250
    await home.set(PLEXBRIDGE_LINGER=None, FRIENDLY_NAME=None)
    assert tomllib.loads(home.file.read_text()) == {}
    assert (await home.row("PLEXBRIDGE_LINGER"))["next"] == "5000"
    assert (await home.get("/discover.json"))["FriendlyName"] == "PlexBridge"


async def test_a_file_that_went_wrong_is_said_and_not_written_over(home: Home) -> None:
    """The bridge goes on with what is in force; the next start would be refused."""
    home.file.write_text("TUNER_COUNT = 99999\n")
    found = await home.get("/api/settings")
    assert "TUNER_COUNT (settings.toml): 99999 is not accepted" in found["problem"]
    status, document = await home.put(None, FRIENDLY_NAME="x")
    assert (status, document["error"]) == (409, "file_wrong")
    assert home.file.read_text() == "TUNER_COUNT = 99999\n"
    await home.set(TUNER_COUNT=3)
    assert tomllib.loads(home.file.read_text()) == {"TUNER_COUNT": 3}


async def test_a_viewer_may_look_and_an_admin_may_change(tmp_path: Path) -> None:
    """And no other site's page may do either."""
    key = ApiKey("a viewer", Role.VIEWER, digest_of(VIEWER), 0)
    change_keys(tmp_path, lambda kept: (*kept, key))
    wish = {"settings": {"TUNER_COUNT": 3}}
    async with house(tmp_path, PLEXBRIDGE_ADMIN_KEY=KEY) as made:
        for path in ("/settings", "/api/settings", "/welcome", "/api/setup"):
            assert (await ask(made.app, path, {"x-api-key": VIEWER}, peer=HOME)).status == 200
            assert (await ask(made.app, path, peer=HOME)).status == 401
        page = await ask(made.app, "/settings", {"x-api-key": VIEWER}, peer=HOME)
        assert b"data-change" not in page.body
        assert b"an admin may change" in page.body
        for headers, status in (
            ({"x-api-key": VIEWER}, 403),
            ({"x-api-key": KEY, "origin": "http://elsewhere.example"}, 403),
            ({"x-api-key": KEY, "content-type": "text/plain"}, 415),
            ({}, 401),
            ({"x-api-key": KEY}, 200),
        ):
            answer = await ask(
                made.app, "/api/settings", headers, peer=HOME, method="PUT", send=wish
            )
            assert answer.status == status, headers
        assert made.bridge.settings.tuner_count == 3


async def test_while_the_log_cannot_store_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change is an event."""
    async with house(tmp_path) as made:
        monkeypatch.setattr(made.bridge.door, "_outage", True)
        wish = {"settings": {"TUNER_COUNT": 3}}
        answer = await ask(made.app, "/api/settings", method="PUT", send=wish)
        assert (answer.status, answer.document["error"]) == (503, "cannot_store")
        assert not (tmp_path / "settings.toml").exists()
        monkeypatch.undo()


async def test_every_part_follows_what_is_taken_over(tmp_path: Path) -> None:
    """The rules, the relays, the sweep, the ticker, retention, the rate of starts, the device."""
    settings = {
        "AUTO_UPGRADE_TO_RESILIENT": False,
        "CLEANUP_INTERVAL": 60_000,
        "ACTIVITY_TRACKING_THROTTLE": 250,
        "PLEXBRIDGE_RETENTION_DAYS": 7,
        "PLEXBRIDGE_RETENTION_MB": 100,
        "PLEXBRIDGE_STARTS_PER_SECOND": 3,
        "PLEXBRIDGE_SOURCE_CONNECTIONS": 2,
        "SESSION_TIMEOUT_GRACE": 9_000,
        "ENHANCED_CLEANUP_DISABLED": True,
        "MAX_CONCURRENT_STREAMS": 5,
    }
    async with house(tmp_path) as made:
        wish = {"settings": settings}
        answer = await ask(made.app, "/api/settings", method="PUT", send=wish)
        assert answer.status == 200, answer.body
        bridge = made.bridge
        policy = bridge.door.world.policy
        assert policy == bridge.settings.policy()
        assert (policy.grace_ms, policy.max_sessions, policy.auto_upgrade) == (9_000, 5, False)
        assert policy.enhanced_cleanup_disabled
        assert not bridge.effects.relay_policy.resilient
        assert bridge.allowed("any") == 2  # type: ignore[arg-type]
        again = await ask(made.app, "/api/settings", method="PUT", send=wish)
        assert again.document["position"] is None, "nothing is different, and nothing recorded"
