"""Sources, guides and health at a moment of the past: what the log tells, and what it cannot."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.access_rig import House
from tests.service.guide_rig import (
    asked,
    guided,
    programme,
    this_hour,
    told,
    write_guide,
    write_playlist,
)

ENTRIES = (("1", "One", "one.tv"), ("2", "Two", ""))
PLACES = ("/api/sources", "/api/guides", "/api/status", "/sources", "/status")


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[House]:
    """A source and a guide that were read, and then could not be."""
    playlist = write_playlist(tmp_path / "list.m3u", ENTRIES)
    shows = [programme("one.tv", this_hour() + day * 86_400, 600, "Show") for day in range(4)]
    guide = write_guide(tmp_path / "guide.xml", {"one.tv": "One"}, shows)
    async with guided(tmp_path, playlist, guide) as house:
        yield house


async def spoil(made: House, folder: Path) -> int:
    """The source cannot be read any more; the position before that was known."""
    before = int((await told(made, "/api/log/head"))["position"])
    (folder / "list.m3u").write_text("no playlist")
    [source] = await told(made, "/api/sources")
    answer = await asked(made, f"/api/sources/{source['id']}/refresh", "POST")
    assert answer.status == 502
    return before


async def test_a_moment_shows_what_was_known_then(made: House, tmp_path: Path) -> None:
    """Trouble that came later is not in it; what no event said is null."""
    before = await spoil(made, tmp_path)
    [now] = await told(made, "/api/sources")
    [then] = await told(made, f"/api/sources?at={before}")
    assert (now["problem"] is None, then["problem"]) == (False, None)
    assert {name: then[name] for name in ("id", "kind", "place", "entries")} == {
        name: now[name] for name in ("id", "kind", "place", "entries")
    }
    assert (then["next_refresh_ms"], now["next_refresh_ms"] is None) == (None, False)
    [late] = await told(made, "/api/sources?at=99999999")
    assert late["problem"] == now["problem"]
    assert await told(made, "/api/sources?at=1") == []
    [guide] = await told(made, "/api/guides?at=99999999")
    [guide_now] = await told(made, "/api/guides")
    assert {**guide, "read_at": None} == {**guide_now, "read_at": None}
    assert await told(made, "/api/guides?at=1") == []


async def test_health_of_then_says_what_is_not_known(made: House, tmp_path: Path) -> None:
    """Gauges are named and not made up; the rest is judged as it was."""
    before = await spoil(made, tmp_path)
    [one, _] = await told(made, "/api/channels")
    await told(made, f"/api/channels/{one['id']}", "PUT", {"enabled": False})
    then = await told(made, f"/api/status?at={before}")
    assert (then["position"], then["to_look_at"]) == (before, 0)
    names = {line["name"]: line["words"] for line in then["lines"]}
    assert names["Lineup"] == "2 channels listed"
    assert names["Bridge"].startswith("PlexBridge")
    assert "Event loop" not in names
    assert "child processes" in then["not_known"]
    late = await told(made, "/api/status?at=99999999")
    assert late["to_look_at"] == 1
    assert "1 channel enabled" in [line["words"] for line in late["lines"]]
    now = await told(made, "/api/status")
    assert (now["position"], now["not_known"]) == (None, [])


async def test_the_pages_are_visibly_the_past_and_offer_nothing(
    made: House, tmp_path: Path
) -> None:
    """A time is a moment too, and no later than now."""
    before = await spoil(made, tmp_path)
    for moment in (str(before), "2090-01-01T00:00:00Z"):
        for path in ("/sources", "/status"):
            page = (await asked(made, f"{path}?at={moment}")).body.decode()
            assert "You are looking at the past" in page
            assert "<button" not in page.split("<main>")[1].split("</main>")[0]
            assert "condition.js" not in page
            assert "2090" not in page
    assert b"past" not in (await asked(made, "/sources")).body


@pytest.mark.parametrize("path", PLACES)
async def test_a_moment_that_is_none_is_refused(made: House, path: str) -> None:
    """As on the other pages."""
    assert (await asked(made, f"{path}?at=yesterday")).status == 400
    assert (await asked(made, f"{path}?at=%231")).status == 200
