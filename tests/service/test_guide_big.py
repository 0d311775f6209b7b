"""A big guide on its page: what is asked for is read, and nothing else, however much there is."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from plexbridge.data_dir import GUIDES_DIR
from plexbridge.lineup.guide import schema
from plexbridge.log.driver import open_reader
from plexbridge.web.guide_api import CHANNELS_DEFAULT, CHANNELS_MAX
from tests.service.guide_rig import asked, guided, keep_guide, told, write_playlist

CHANNELS, DAYS = 2_000, 7
MISSING = Path("/nowhere/guide.xml")
"""The guide is there already; its place is never read again."""

WINDOWED = {
    "within": (schema.SELECT_WITHIN, {"channel": 1, "begin": 2, "until": 3, "most": 4}),
    "before": (schema.SELECT_START_BEFORE, (1, 2)),
    "channel": (schema.SELECT_CHANNEL, (1,)),
    "channels": (schema.SELECT_CHANNELS, (1, 2)),
    "match": (schema.SELECT_MATCH, ("x",)),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a data directory with the guide in it, and the playlist beside it."""
    folder = tmp_path_factory.mktemp("big")
    entries = [(str(number), f"Channel {number}", "") for number in range(1, CHANNELS + 1)]
    write_playlist(folder / "list.m3u", entries)
    return folder


async def test_two_thousand_channels_and_seven_days_come_in_small_pages(kept: Path) -> None:
    """Every page is as small as every other, whatever the window and whichever channels; the page
    for people too."""
    async with guided(kept, kept / "list.m3u", MISSING, read=False) as made:
        ids = [channel.id for channel in made.bridge.lineup.channels]
    assert len(ids) == CHANNELS
    keep_guide(kept, MISSING, ids, days=DAYS)
    async with guided(kept, kept / "list.m3u", MISSING, read=False) as made:
        document = await told(made, "/api/guide")
        assert len(document["channels"]) == CHANNELS_DEFAULT
        seen, after = 0, ""
        while after is not None:
            document = await told(made, f"/api/guide?limit={CHANNELS_MAX}&after={after}")
            for channel in document["channels"]:
                assert 6 <= len(channel["programmes"]) <= 7, channel["name"]
            seen, after = seen + len(document["channels"]), document["next_after"]
        assert seen == CHANNELS
        day = document["from"] + 86_400_000
        whole = await asked(
            made, f"/api/guide?limit={CHANNELS_MAX}&from={document['from']}&until={day}"
        )
        assert len(whole.body) < CHANNELS_MAX * 50 * 150
        for query in ("", f"?from={day}&after=1000", "?show=unmapped_first", "?q=1999"):
            page = await asked(made, f"/guide{query}")
            rows = len(re.findall(rb"<tr data-channel", page.body))
            assert 0 < rows <= CHANNELS_DEFAULT, query
            assert len(page.body) < CHANNELS_DEFAULT * 16_000, query


@pytest.mark.parametrize("name", WINDOWED)
async def test_a_page_looks_up_and_never_looks_through(tmp_path: Path, name: str) -> None:
    """Each statement of a page finds its rows by the tables' keys."""
    keep_guide(tmp_path, MISSING, ["a", "b"], days=1)
    statement, values = WINDOWED[name]
    [file] = (tmp_path / "data" / GUIDES_DIR).glob("*.db")
    with closing(open_reader(file)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
    steps = [row[3] for row in plan]
    assert not [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step], steps
    assert [step for step in steps if "USING" in step and "PRIMARY KEY" in step], steps
