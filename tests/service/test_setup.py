"""The setup ticks what really happens: a scripted Plex, asking as a real one does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from events.ids import UnixMicros
from plexbridge.tuner.asked import ASKERS_PER_ADDRESS, ASKERS_REMEMBERED, Askings
from tests.end_to_end.running import RunningBridge
from tests.service.access_rig import ELSEWHERE, HOME, ask, house, scope_of
from tests.service.request_heads import DOCUMENTS, PLEX_SCAN, STREAMS

WITHIN_S = 15.0
ALL = ("source", "guide", "address", "discover", "lineup", "guide_fetched", "stream")
PLEX = "PlexMediaServer/1.43.0.10492-121068a07"


class Setup:
    """A bridge, and whoever sets it up."""

    def __init__(self, bridge: RunningBridge, client: aiohttp.ClientSession) -> None:
        self.bridge = bridge
        self.client = client

    async def document(self) -> Any:
        async with self.client.get(f"{self.bridge.base}/api/setup") as answer:
            assert answer.status == 200
            return orjson.loads(await answer.read())

    async def ticked(self) -> list[str]:
        return [step["key"] for step in (await self.document())["steps"] if step["done"]]

    async def step(self, key: str) -> Any:
        return next(one for one in (await self.document())["steps"] if one["key"] == key)

    async def until(self, what: str, holds: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(WITHIN_S):
            while not holds(found := await self.document()):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.02)
        return found

    async def asks(self, head: str, path: str = "", *, until: bytes = b"\r\n\r\n") -> bytes:
        """A request as a program sends it, read until its answer begins."""
        host, port = self.bridge.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.format(path=path, port=port).encode())
        answer = await asyncio.wait_for(reader.readuntil(until), WITHIN_S)
        writer.close()
        return answer

    async def watches(self) -> asyncio.StreamWriter:
        """Plex's reader has its first bytes, and goes on."""
        host, port = self.bridge.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(STREAMS["Plex"].format(path="/auto/v2", port=port).encode())
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WITHIN_S)
        await asyncio.wait_for(reader.readexactly(188 * 10), WITHIN_S)
        return writer


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    async with aiohttp.ClientSession() as client:
        bridge = RunningBridge(tmp_path / "data", "--demo")
        await asyncio.to_thread(bridge.start)
        made = Setup(bridge, client)
        await made.until("the guide is read", lambda found: found["steps"][1]["done"])
        yield made
        await asyncio.to_thread(bridge.stop)


async def test_each_step_ticks_when_plex_does_it(setup: Setup) -> None:
    """In its order: found, scanned, listed, its guide, a stream with its bytes. Who and when."""
    assert await setup.ticked() == ["source", "guide"]
    for step in (await setup.document())["steps"]:
        assert bool(step["next"]) is not step["done"]
    await setup.asks(DOCUMENTS["Plex"], "/discover.json")
    assert await setup.ticked() == ["source", "guide", "address", "discover"]
    found = await setup.step("discover")
    assert found["client"] == {
        "address": "127.0.0.1",
        "name": "Plex Media Server",
        "user_agent": PLEX,
    }
    document = await setup.document()
    assert document["since"] <= found["at"] <= document["told_at"]
    await setup.asks(PLEX_SCAN)
    await setup.asks(DOCUMENTS["Plex"], "/lineup_status.json")
    assert await setup.ticked() == ["source", "guide", "address", "discover"]
    await setup.asks(DOCUMENTS["Plex"], "/lineup.json")
    assert (await setup.ticked())[-1] == "lineup"
    await setup.asks(DOCUMENTS["Plex"], "/xmltv.xml")
    await setup.asks(DOCUMENTS["Plex"], "/xmltv.xml")
    assert (await setup.ticked())[-1] == "guide_fetched"
    assert "2 times" in (await setup.step("guide_fetched"))["words"]
    watching = await setup.watches()
    found = await setup.until("it watches", lambda found: found["done"] == len(ALL))
    assert [one["key"] for one in found["steps"]] == list(ALL)
    words = found["steps"][-1]["words"]
    assert "Plex or another media server at 127.0.0.1" in words
    assert "so far, the first byte after" in words
    assert " 0 B" not in words
    asked = {(one["name"], route["path"]) for one in found["asked"] for route in one["routes"]}
    assert ("Plex Media Server", "/lineup.post") in asked
    assert ("Plex or another media server", "/auto/{asked}") in asked
    watching.close()


async def test_what_was_watched_stays_ticked_when_it_is_over(setup: Setup) -> None:
    """The log knows it; also after a restart, which forgets the requests."""
    (await setup.watches()).close()
    await setup.until("it is over", lambda found: found["steps"][-1]["done"])
    await asyncio.to_thread(setup.bridge.stop)
    await asyncio.to_thread(setup.bridge.start)
    await setup.until("the guide is read", lambda found: found["steps"][1]["done"])
    assert await setup.ticked() == ["source", "guide", "stream"]


async def test_a_person_looking_ticks_nothing_and_is_said(setup: Setup) -> None:
    """A browser or curl at the tuner's address is no media server, and a preview nobody's
    watching."""
    await setup.asks(STREAMS["curl"], "/discover.json")
    step = await setup.step("discover")
    assert not step["done"]
    assert step["words"] == "Only curl asked for /discover.json: a person looking."
    preview = STREAMS["Plex"], "/streams/preview/2"
    await setup.asks(*preview)
    assert "stream" not in await setup.ticked()
    assert (await setup.document())["asked"][-1]["name"] == "curl"


async def test_kodi_takes_the_playlist_and_that_counts(setup: Setup) -> None:
    """Its client asks for nothing else before."""
    await setup.asks(DOCUMENTS["Kodi"], "/lineup.m3u")
    assert (await setup.ticked())[2:] == ["address", "discover", "lineup"]
    assert (await setup.step("lineup"))["client"]["name"] == "Kodi"


async def test_without_anything_configured_every_step_says_what_to_do(tmp_path: Path) -> None:
    """And with a source that fails, the first one says why."""
    async with house(tmp_path / "a") as made:
        found = (await ask(made.app, "/api/setup")).document
        assert found["done"] == 0
        assert "PLEXBRIDGE_PLAYLIST" in found["steps"][0]["next"]
        assert "PLEXBRIDGE_GUIDE" in found["steps"][1]["next"]
        assert all(step["next"] and step["at"] is None for step in found["steps"])
        assert b'href="welcome"' in (await ask(made.app, "/")).body


async def test_the_address_is_one_that_another_machine_can_use(tmp_path: Path) -> None:
    """Not this machine's own, by which the page was asked for; `BASE_URL` goes before all."""
    async with house(tmp_path / "a") as made:
        here = (await ask(made.app, "/api/setup")).document["addresses"]
        assert here["base"] == "http://127.0.0.1:5004"
        assert here["elsewhere"] is None or here["elsewhere"].endswith(":5004")
        assert here["elsewhere"] != here["base"]
    async with house(tmp_path / "b", BASE_URL="http://tv.example:5004") as made:
        told = (await ask(made.app, "/api/setup")).document["addresses"]
        assert (told["base"], told["elsewhere"]) == ("http://tv.example:5004", None)
        assert told["asked_at"] == "http://127.0.0.1:5004"


async def test_who_is_not_let_in_is_not_noted(tmp_path: Path) -> None:
    """Nor what is not a player's."""
    async with house(tmp_path) as made:
        assert (await ask(made.app, "/discover.json", peer=ELSEWHERE)).status == 403
        assert (await ask(made.app, "/livez", peer=HOME)).status == 200
        assert made.bridge.askings.askers() == []
        await ask(made.app, "/discover.json", {"user-agent": PLEX}, peer=f"::ffff:{HOME}")
        assert [one.address for one in made.bridge.askings.askers()] == [HOME]


def test_what_is_remembered_is_bounded() -> None:
    """Many addresses, and one program that calls itself something else each time."""
    askings = Askings(lambda: UnixMicros(1))

    def asks(address: str, agent: str) -> None:
        askings.note("/discover.json", scope_of(address, {"user-agent": agent}))

    asks("10.0.0.1", PLEX)
    for n in range(1_000):
        asks("10.0.0.2", f"Evil{n}/1")
    assert len(askings.askers()) == ASKERS_PER_ADDRESS + 1
    assert askings.askers()[-1].user_agent == PLEX
    for n in range(ASKERS_REMEMBERED * 2):
        asks(f"10.0.1.{n}", PLEX)
    assert len(askings.askers()) == ASKERS_REMEMBERED
    assert askings.last("/discover.json", unless=frozenset({"Plex Media Server"})) is None
