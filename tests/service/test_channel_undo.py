"""The last change of channels, taken back: after a look, after a restart, and back again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.running import RunningBridge
from tests.service.access_rig import House, house
from tests.service.guide_rig import asked, told, write_playlist

ENTRIES = tuple((str(number), f"Channel {number}", "") for number in range(1, 6))
UNDO = "/api/channels/undo"


def settings(folder: Path) -> dict[str, str]:
    return {
        "PLEXBRIDGE_PLAYLIST": str(folder / "list.m3u"),
        "PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8",
    }


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[House]:
    """Five channels that nobody edited."""
    write_playlist(tmp_path / "list.m3u", ENTRIES)
    async with house(tmp_path / "data", **settings(tmp_path)) as one:
        yield one


async def players(made: House) -> list[tuple[str, str]]:
    """Numbers and names that players are given."""
    rows = await told(made, "/lineup.json")
    return [(row["GuideNumber"], row["GuideName"]) for row in rows]


async def changed(made: House, wishes: dict[str, Any]) -> dict[str, Any]:
    """All of the channels."""
    body = {"select": {"all": True}, "set": wishes}
    document: dict[str, Any] = await told(made, "/api/channels/bulk", "POST", body)
    return document


async def test_nothing_was_changed_yet(made: House) -> None:
    """That is said, and taking it back is refused."""
    assert await told(made, UNDO) == {"last": None}
    answer = await asked(made, UNDO, "POST", {"change": "0" * 16})
    assert (answer.status, answer.document["error"]) == (409, "nothing_to_undo")
    for body in ({}, {"change": 5}, []):
        assert (await asked(made, UNDO, "POST", body)).status == 400


async def test_a_bulk_change_is_looked_at_and_taken_back(made: House) -> None:
    """A look changes nothing; the edits are gone afterwards, and one event tells of it."""
    before = await players(made)
    await changed(made, {"number": {"from": 101}, "group": "Mine"})
    after = await players(made)
    assert [number for number, _ in after] == ["101", "102", "103", "104", "105"]
    look = await told(made, UNDO)
    assert (look["preview"], look["changes"]) == (True, 5)
    assert look["last"]["words"] == "5 channels: group, number (admin by machine)"
    assert "5 channels get other numbers." in look["consequences"]
    first = look["channels"][0]
    assert (first["before"]["guide_number"], first["after"]["guide_number"]) == ("101", "1")
    assert await players(made) == after
    done = await told(made, UNDO, "POST", {"change": look["last"]["change"]})
    assert (done["preview"], done["changes"], done["last"]["how"]) == (False, 5, "undo")
    assert await players(made) == before
    assert made.bridge.edits.edits == {}
    log = made.bridge.log.reader.read_stream("lineup")
    assert [row.payload["how"] for row in log if row.type == "edited"] == ["bulk", "undo"]


async def test_what_was_taken_back_can_be_had_again(made: House) -> None:
    """An undo is a change as any other; only the last one is kept."""
    await changed(made, {"group": "First"})
    await changed(made, {"group": "Second"})
    for group in ("First", "Second", "First"):
        look = await told(made, UNDO)
        await told(made, UNDO, "POST", {"change": look["last"]["change"]})
        channels = await told(made, "/api/channels")
        assert {channel["group"] for channel in channels} == {group}


async def test_another_change_meanwhile_is_not_taken_back(made: House) -> None:
    """Whoever looked has to look again."""
    await changed(made, {"group": "First"})
    look = await told(made, UNDO)
    [one, *_] = await told(made, "/api/channels")
    await told(made, f"/api/channels/{one['id']}", "PUT", {"favourite": True})
    answer = await asked(made, UNDO, "POST", {"change": look["last"]["change"]})
    assert (answer.status, answer.document["error"]) == (409, "another_change")
    assert (await told(made, UNDO))["last"]["fields"] == ["favourite"]


async def test_it_is_still_known_after_a_restart(tmp_path: Path) -> None:
    """A channel that is not listed any more stays as it is edited; the others are taken back."""
    write_playlist(tmp_path / "list.m3u", ENTRIES)
    async with house(tmp_path / "data", **settings(tmp_path)) as made:
        await changed(made, {"favourite": True})
        last = await told(made, UNDO)
    write_playlist(tmp_path / "list.m3u", ENTRIES[1:])
    async with house(tmp_path / "data", **settings(tmp_path)) as made:
        again = await told(made, UNDO)
        assert again["last"] == last["last"]
        assert again["changes"] == 4
        await told(made, UNDO, "POST", {"change": again["last"]["change"]})
        assert not any(one["favourite"] for one in await told(made, "/api/channels"))
        assert len(made.bridge.edits.edits) == 1


async def test_a_number_that_somebody_has_by_now_is_not_taken(tmp_path: Path) -> None:
    """The refusal names whose it is, and nothing was changed."""
    write_playlist(tmp_path / "list.m3u", ENTRIES)
    async with house(tmp_path / "data", **settings(tmp_path)) as made:
        [one, two, *_] = await told(made, "/api/channels")
        body = {"each": {one["id"]: {"guide_number": "77"}}}
        await told(made, "/api/channels/bulk", "POST", body)
        await told(
            made, "/api/channels/bulk", "POST", {"each": {one["id"]: {"guide_number": None}}}
        )
        edits = made.bridge.edits
        last = edits.last
        await told(made, f"/api/channels/{two['id']}", "PUT", {"guide_number": "77"})
        edits.last = last  # as if the other had been listed so meanwhile
        answer = await asked(made, UNDO)
        assert (answer.status, answer.document["error"]) == (409, "number_taken")
        assert answer.document["guide_number"] == "77"


def test_a_command_takes_it_back_with_a_running_bridge_and_without(tmp_path: Path) -> None:
    """A look first; then the change, by whoever has the data directory."""
    write_playlist(tmp_path / "list.m3u", ENTRIES)
    with RunningBridge(tmp_path / "data", **settings(tmp_path)) as bridge:
        port = bridge.base.rpartition(":")[2]

        def ran(*words: str, code: int = 0) -> str:
            done = bridge.command("channels", *words, "--port", port)
            assert done.returncode == code, (done.stdout, done.stderr)
            return done.stdout + done.stderr

        assert "nothing was changed yet" in ran("undo", code=1)
        ran("bulk", "--all", "--disable", "--apply")
        assert bridge.get("/lineup.json") == []
        told = ran("undo")
        assert "5 channels would change" in told
        assert "--apply does it" in told
        assert bridge.get("/lineup.json") == []
        assert "5 channels changed" in ran("undo", "--apply")
        assert len(bridge.get("/lineup.json")) == 5
        bridge.stop()
        assert "5 channels changed" in ran("undo", "--apply")
        bridge.start()
        assert bridge.get("/lineup.json") == []
