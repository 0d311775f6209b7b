"""The page that stands for the others while the dashboard is being built."""

import asyncio
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from plexbridge.data_dir import LOG_FILE
from tests.browser.conftest import OpenPage
from tests.browser.test_record_faces import grave
from tests.end_to_end.running import RunningBridge
from tests.service.another_version import change, hold_up, older_version
from tests.service.test_projector import opened
from tests.service.written_logs import house, write

NOT_THERE = "503"
"""What a browser says on its console of a page with this status."""


@pytest.fixture(scope="module", autouse=True)
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an older version left, where the new one cannot take its place: the disk is full. Made
    before there is a browser: while it runs, no other event loop can."""
    data_dir = tmp_path_factory.mktemp("left") / "data"
    write(data_dir, house().appends)

    async def keep() -> None:
        async with opened(data_dir / LOG_FILE):
            pass

    with older_version():
        asyncio.run(keep())
    change(data_dir / LOG_FILE, hold_up)
    return data_dir


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_says_how_far_it_is(
    left: Path, tmp_path: Path, open_page: OpenPage, width: int, scheme: str
) -> None:
    """On a phone and on a desk, in light and dark: it fits, and axe finds nothing serious."""
    data_dir = Path(shutil.copytree(left, tmp_path / "data"))
    with RunningBridge(data_dir, "--demo") as bridge:
        page = open_page(
            bridge,
            may_say=NOT_THERE,
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
        )
        expect(page.get_by_role("heading", name="The dashboard is being built")).to_be_visible()
        expect(page.get_by_role("progressbar")).to_be_visible()
        page.evaluate("stop()")  # or it asks again while it is looked at
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / f"being-built-{width}-{scheme}.png")
        assert grave(page) == []
        page.get_by_role("link", name="Health").last.click()
        expect(page.get_by_text("is being built from the event log")).to_be_visible()
