"""The guide for programs: a window of it, one programme, and how channels are mapped."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from plexbridge.data_dir import prepare_data_dir
from plexbridge.web.access.keys import ApiKey, change_keys
from plexbridge.web.access.roles import Role
from plexbridge.web.access.tokens import digest_of
from tests.service.access_rig import House, ask
from tests.service.guide_rig import (
    HOUR_S,
    asked,
    guided,
    programme,
    this_hour,
    told,
    until_read,
    write_guide,
    write_playlist,
)

ENTRIES = (
    ("1", "News One", "one.tv"),
    ("2", "Harbour View", ""),
    ("3", "Harbor Wiew Two", ""),
    ("4", "Unheard", ""),
    ("5", "Discovery Chanel", ""),
)
FIRST = {"one.tv": "News One", "harbour": "Harbour View", "disco": "Discovery Channel"}
SECOND = {"two.tv": "Other News", "harbour.b": "Harbour View"}
VIEWER = "pbk_of-a-viewer"
MORE = (
    "<sub-title>Part &lt;1&gt;</sub-title><desc>What &amp; why.</desc><category>News</category>"
    '<date>20240531</date><episode-num system="onscreen">S1E2</episode-num><new/><live/>'
)


@pytest.fixture
def hour() -> int:
    """The beginning of the hour in which a test began, in Unix milliseconds."""
    return this_hour() * 1_000


@pytest.fixture
async def made(tmp_path: Path, hour: int) -> AsyncIterator[House]:
    """Two guides, the first of them the more trusted."""
    prepare_data_dir(tmp_path / "data")
    key = ApiKey("a viewer", Role.VIEWER, digest_of(VIEWER), 0)
    change_keys(tmp_path / "data", lambda kept: (*kept, key))
    now = hour // 1_000
    programmes = [
        programme("one.tv", now - HOUR_S, 90, "Before &amp; now"),
        programme("one.tv", now + HOUR_S // 2, 30, "&lt;b&gt;Half&lt;/b&gt;", MORE),
        programme("one.tv", now + 5 * HOUR_S, 60, "Later"),
        programme("harbour", now, 120, "Boats"),
        programme("disco", now, 120, "Whales"),
    ]
    other = [programme(guide_id, now, 240, f"Of {guide_id}") for guide_id in SECOND]
    async with guided(
        tmp_path,
        write_playlist(tmp_path / "list.m3u", ENTRIES),
        write_guide(tmp_path / "first.xml", FIRST, programmes),
        write_guide(tmp_path / "second.xml", SECOND, other),
    ) as house:
        yield house


async def by_name(made: House, query: str = "") -> dict[str, dict[str, Any]]:
    """The channels of an answer."""
    document = await told(made, f"/api/guide{query}")
    return {channel["name"]: channel for channel in document["channels"]}


async def test_a_window_holds_what_is_on_in_it(made: House, hour: int) -> None:
    """Also what began before, and the one behind it apart; texts are as they were meant."""
    begin = hour
    one = (await by_name(made, f"?from={begin}&until={begin + 7_200_000}"))["News One"]
    assert [row["title"] for row in one["programmes"]] == ["Before & now", "<b>Half</b>"]
    first, half = one["programmes"]
    assert (first["start"], first["stop"]) == (begin - 3_600_000, begin + 1_800_000)
    assert (half["sub_title"], half["episode"]) == ("Part <1>", "S1E2")
    assert one["following"]["title"] == "Later"
    late = (await by_name(made, f"?from={begin + 5 * 3_600_000}"))["News One"]
    assert [row["title"] for row in late["programmes"]] == ["Later"]
    assert late["following"] is None
    empty = (await by_name(made, f"?from={begin + 86_400_000 * 3}"))["News One"]
    assert (empty["programmes"], empty["mapping"]["has_programmes"]) == ([], True)


async def test_what_cannot_be_asked_is_refused(made: House, hour: int) -> None:
    """With a word that says what could."""
    begin = hour
    for query in (
        f"from={begin}&until={begin}",
        f"from={begin}&until={begin + 86_400_001}",
        "from=noon",
        "limit=201",
        "limit=x",
        "after=x",
        "show=everything",
    ):
        answer = await asked(made, f"/api/guide?{query}")
        assert (answer.status, set(answer.document)) == (400, {"error", "detail"}), query
    for path in ("/api/guide/nobody", "/api/guide/nobody/programme", "/api/guide/x/candidates"):
        assert (await asked(made, path)).status == 404, path
    for moment in ("253402300799999", "0"):
        for path in ("/api/guide", "/guide"):
            assert (await asked(made, f"{path}?from={moment}")).status == 200, (path, moment)


async def test_channels_come_page_by_page(made: House) -> None:
    """In guide order; those without a guide first where that is asked, also across pages."""
    names = {name: [] for name in ("", "&show=unmapped_first")}
    for show, found in names.items():
        after: str | None = ""
        while after is not None:
            document = await told(made, f"/api/guide?limit=2{show}&after={after}")
            found += [channel["guide_number"] for channel in document["channels"]]
            after = document["next_after"]
        assert document["matches"] == 5
    assert names == {"": list("12345"), "&show=unmapped_first": list("34125")}
    assert await by_name(made, "?limit=0") == {}
    assert list(await by_name(made, "?show=unmapped")) == ["Harbor Wiew Two", "Unheard"]
    assert list(await by_name(made, "?show=guessed")) == ["Discovery Chanel"]
    assert list(await by_name(made, "?q=harbour+view")) == ["Harbour View"]


async def test_how_each_channel_was_found_is_told(made: House) -> None:
    """By id, by name, by a guess with its confidence, or not at all."""
    mappings = {name: one["mapping"] for name, one in (await by_name(made)).items()}
    assert {name: (one["guide_id"], one["how"]) for name, one in mappings.items()} == {
        "News One": ("one.tv", "id"),
        "Harbour View": ("harbour", "name"),
        "Harbor Wiew Two": (None, None),
        "Unheard": (None, None),
        "Discovery Chanel": ("disco", "similar"),
    }
    guess = mappings["Discovery Chanel"]
    assert 92 <= guess["confidence"] < 100
    assert f"{guess['confidence']} of 100" in guess["words"]
    assert mappings["Unheard"]["words"] == "no guide has it"


async def test_one_programme_is_told_whole(made: House, hour: int) -> None:
    """What is on at a time, and when those beside it begin; none where nothing is listed."""
    one = (await by_name(made))["News One"]["id"]
    begin = hour
    found = await told(made, f"/api/guide/{one}/programme?at={begin + 1_800_001}")
    assert (found["title"], found["description"], found["date"]) == (
        "<b>Half</b>",
        "What & why.",
        "2024-05-31",
    )
    assert (found["categories"], found["flags"]) == (["News"], ["new", "live"])
    assert (found["before"], found["after"]) == (begin - 3_600_000, begin + 5 * 3_600_000)
    for at in (begin + 3_600_000, begin - 86_400_000):
        answer = await asked(made, f"/api/guide/{one}/programme?at={at}")
        assert (answer.status, answer.document["error"]) == (404, "no_programme")


async def test_candidates_are_those_with_the_words_the_most_similar_first(made: House) -> None:
    """Of every guide, each with how similar its name is to the channel's."""
    two = (await by_name(made))["Harbor Wiew Two"]["id"]
    found = await told(made, f"/api/guide/{two}/candidates")
    assert {one["guide_id"] for one in found} == {*FIRST, *SECOND}
    assert [one["confidence"] for one in found] == sorted(
        (one["confidence"] for one in found), reverse=True
    )
    assert found[0]["guide_name"] == "Harbour View"
    assert (found[0]["guide"], found[1]["guide"]) == (1, 2)
    found = await told(made, f"/api/guide/{two}/candidates?q=news%20OTHER")
    assert [one["guide_id"] for one in found] == ["two.tv"]
    assert await told(made, f"/api/guide/{two}/candidates?q=%3Cnothing%3E") == []


async def test_a_channel_is_mapped_to_what_a_person_chose(made: House) -> None:
    """Also where a more trusted guide has it by its name or id; the guides are read for it, and one
    event tells of it. Nothing is no guide; null is as it was."""
    channels = await by_name(made)
    one, view = (channels[name]["id"] for name in ("News One", "Harbour View"))
    for channel, guide_id in ((one, "two.tv"), (view, "HARBOUR.b")):
        answer = await told(made, f"/api/guide/{channel}", "PUT", {"guide_id": guide_id})
        assert (answer["chosen"], answer["behind"]) == (guide_id, True)
    await until_read(made)
    channels = await by_name(made)
    for name, title in (("News One", "Of two.tv"), ("Harbour View", "Of harbour.b")):
        assert [row["title"] for row in channels[name]["programmes"]] == [title]
        assert (channels[name]["mapping"]["how"], channels[name]["mapping"]["guide"]) == (
            "chosen",
            2,
        )
    log = made.bridge.log.reader.read_stream("lineup")
    events = [event.payload for event in log if event.type == "edited"]
    assert [(event["how"], event["fields"]) for event in events] == [("guide", ["tvg_id"])] * 2
    for given, guide_id in (("", None), (None, "one.tv")):
        await told(made, f"/api/guide/{one}", "PUT", {"guide_id": given})
        await until_read(made)
        mapping = (await by_name(made))["News One"]["mapping"]
        assert (mapping["guide_id"], mapping["chosen"]) == (guide_id, given)


async def test_a_choice_that_no_guide_has_is_said(made: House) -> None:
    """What was found by itself serves meanwhile."""
    view = (await by_name(made))["Harbour View"]["id"]
    await told(made, f"/api/guide/{view}", "PUT", {"guide_id": "gone.tv"})
    await until_read(made)
    mapping = (await by_name(made))["Harbour View"]["mapping"]
    assert (mapping["guide_id"], mapping["how"]) == ("harbour", "name")
    assert "no guide has what a person chose" in mapping["words"]


async def test_a_mapping_that_is_none_changes_nothing(made: House) -> None:
    """Nor does one of a channel that is not there."""
    one = (await by_name(made))["News One"]["id"]
    for body in ({}, {"guide_id": 5}, {"guide_id": "x", "name": "y"}, {"guide_id": "x" * 300}, []):
        answer = await asked(made, f"/api/guide/{one}", "PUT", body)
        assert (answer.status, answer.document["error"]) == (400, "invalid_edit"), body
    assert (await asked(made, "/api/guide/nobody", "PUT", {"guide_id": "x"})).status == 404
    assert made.bridge.edits.edits == {}
    assert not (made.bridge.guides and made.bridge.guides.behind)


async def test_who_may_only_read_is_offered_nothing_to_change(made: House) -> None:
    """A viewer sees the mappings and no button; a mapping is refused."""
    headers = {"x-api-key": VIEWER}
    page = await ask(made.app, "/guide", headers)
    assert page.status == 200
    assert b"one.tv" in page.body
    assert b"data-map" not in page.body
    answer = await ask(made.app, "/api/guide/x", headers, method="PUT", send={"guide_id": "x"})
    assert (answer.status, answer.document["error"]) == (403, "reads_only")
