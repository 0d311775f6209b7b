"""The pages of channels and guide with hundreds of real channels: readable, wherever they are
scrolled to."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_page_face import SCROLL_WIDTH
from tests.browser.test_record_faces import grave
from tests.end_to_end.running import RunningBridge, until
from tests.service.public_sample import SAMPLE, told, write_sample_guide

expect.set_options(timeout=10_000)

READ_S = 60.0
NO_LOGO = "Failed to load resource"
"""What a browser says of logos whose address is nobody's."""

HIDDEN = """() => {
  const cell = document.activeElement.getBoundingClientRect();
  const seen = document.elementFromPoint(cell.left + 3, cell.top + 3);
  return !document.activeElement.contains(seen);
}"""
"""Whether something lies on the corner of what has the focus."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """One that has read the sample and its guide."""
    folder = tmp_path_factory.mktemp("sample")
    guide = write_sample_guide(folder / "guide.xml")
    arguments = ("--playlist", str(SAMPLE), "--guide", str(guide))
    with RunningBridge(folder / "data", *arguments) as running:
        until("a guide", lambda: running.get("/api/guides")[0]["programmes"], within_s=READ_S)
        yield running


def opened(bridge: RunningBridge, open_page: OpenPage, path: str, width: int, **more: Any) -> Page:
    """The page as wide as that, ready."""
    viewport = {"width": width, "height": 900}
    page = open_page(bridge, path, may_say=NO_LOGO, viewport=viewport, **more)
    expect(page.locator("#found button:visible").first).to_be_enabled()
    return page


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1_280, "light")])
@pytest.mark.parametrize("path", ["/channels", "/guide"])
def test_hundreds_of_real_channels_fit(
    sample: RunningBridge, open_page: OpenPage, path: str, width: int, scheme: str
) -> None:
    """Nothing is wider than the page, and everybody can read and use it."""
    page = opened(sample, open_page, path, width, color_scheme=scheme)
    expect(page.locator("#count")).to_contain_text(f"{len(told())} channels")
    assert page.evaluate(SCROLL_WIDTH) <= width
    assert grave(page) == []


def test_times_stay_in_sight_and_hide_no_cell(sample: RunningBridge, open_page: OpenPage) -> None:
    """In the middle of fifty rows the grid still says when; a cell walked to lies below that, also
    where the bar takes two lines."""
    for width in (1_280, 1_000):
        page = opened(sample, open_page, "/guide", width)
        cells = page.get_by_role("grid").locator("tbody tr td:first-of-type")
        cells.nth(40).scroll_into_view_if_needed()
        expect(page.get_by_role("grid").locator("thead th time").first).to_be_in_viewport()
        cells.nth(40).focus()
        for _ in range(30):
            page.keyboard.press("ArrowUp")
            assert not page.evaluate(HIDDEN)


def test_all_of_them_are_changed_at_once_only_after_a_look(
    sample: RunningBridge, open_page: OpenPage
) -> None:
    """The preview counts them all and lists the first; nothing is done by it."""
    page = opened(sample, open_page, "/channels", 360)
    page.locator("[data-pick]").first.check()
    page.get_by_role("button", name="Select all").click()
    expect(page.locator("#picked")).to_have_text(f"All {len(told())} channels selected")
    page.get_by_label("What to do", exact=True).select_option(label="Number from…")
    page.get_by_label("First number").fill("1001")
    page.get_by_role("button", name="Preview…").click()
    plan = page.locator("#plan")
    expect(plan.get_by_role("heading")).to_have_text(f"Change {len(told())} channels?")
    plan.get_by_text("Each channel").click()
    expect(plan.locator("ol li").first).to_have_text("1001 3sat [Geo-blocked] number: 1 → 1001")
    expect(plan.locator("ol li").last).to_have_text(f"… and {len(told()) - 100} more")
    plan.get_by_role("button", name="Cancel").click()
    assert sample.get("/lineup.json")[0]["GuideNumber"] == "1"
