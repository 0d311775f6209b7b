"""The page of the guide: a grid walked by keys, now and next on a phone, and mapping by hand."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, provider
from tests.browser.test_page_face import SCROLL_WIDTH
from tests.browser.test_record_faces import LONG, RTL, grave
from tests.end_to_end.running import RunningBridge, until
from tests.service.guide_rig import HOUR_S, programme, this_hour, write_guide, write_playlist
from tests.service.provider_stub import ProviderStub, status

expect.set_options(timeout=10_000)

EVIL = "<img src=x onerror=alert(1)>{{7*7}}"
EVIL_XML = "&lt;img src=x onerror=alert(1)&gt;{{7*7}}"
READ_MS = 30_000
"""A mapping is shown when the guides were read for it."""
GIF = bytes.fromhex(
    "47494638396101000100800000ff000000000021f90401000000002c00000000010001000002024401003b"
)
NAMES = ("News One", EVIL, RTL, LONG[:2_000], "Unheard")


@pytest.fixture
def stub() -> Iterator[ProviderStub]:
    """Has a logo, and another one that it does not have."""
    with provider() as made:
        made.on("/logo.gif", status(200, body=GIF))
        yield made


@pytest.fixture
def bridge(tmp_path: Path, stub: ProviderStub) -> Iterator[RunningBridge]:
    """Five channels, four of them with a guide; names and programmes are made to do harm."""
    now = this_hour()
    ids = [f"id{number}.tv" for number in range(1, 5)]
    shows = [
        programme(
            guide_id,
            now + HOUR_S * at,
            60,
            EVIL_XML if number == 1 else f"Show {number}.{at}",
            f"<desc>About {EVIL_XML} of {number}.{at}</desc><category>News</category>",
        )
        for number, guide_id in enumerate(ids)
        for at in range(-6, 30)
    ]
    guide = write_guide(
        tmp_path / "guide.xml", {**{one: one for one in ids}, "more.tv": "Unheard of"}, shows
    )
    entries = [
        (str(number), name, f"id{number}.tv" if number < 5 else "")
        for number, name in enumerate(NAMES, 1)
    ]
    playlist = write_playlist(tmp_path / "list.m3u", entries, logo=stub.url("/logo.gif"))
    text = playlist.read_text().replace("/logo.gif", "/none.gif", 2).replace("/none", "/logo", 1)
    playlist.write_text(text)
    with RunningBridge(
        tmp_path / "data",
        *("--playlist", str(playlist), "--guide", str(guide)),
        PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
    ) as running:
        until("the guide is read", lambda: running.get("/api/guides")[0]["programmes"])
        yield running


def opened(bridge: RunningBridge, open_page: OpenPage, path: str = "/guide", **more: Any) -> Page:
    """The page; what a browser says of a logo that is not there is no fault of it."""
    page = open_page(bridge, path, may_say="404", **more)
    expect(page.locator("#found button:visible").first).to_be_enabled()
    return page


def read_now(bridge: RunningBridge) -> None:
    """Have the guides read at once, as a person may ask: a mapping would wait for its turn."""
    urlopen(Request(f"{bridge.base}/api/guides/refresh", method="POST"), timeout=10).close()


def focused(page: Page) -> str:
    """The text of the cell with the focus."""
    text: str = page.evaluate("document.activeElement.innerText")
    return text


def test_the_grid_is_walked_by_keys(bridge: RunningBridge, open_page: OpenPage) -> None:
    """One stop in the order of the page; arrows go on, also past the window, Enter tells of a
    programme and Escape leads back to it."""
    page = opened(bridge, open_page, viewport={"width": 1_280, "height": 900})
    grid = page.get_by_role("grid", name="Programmes")
    expect(grid.locator('[tabindex="0"]')).to_have_count(1)
    grid.locator('[tabindex="0"]').focus()
    page.keyboard.press("End")
    assert "Show 0." in focused(page)
    before = page.url
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(before)
    expect(page).to_have_url(re.compile("from="))
    expect(grid.locator("td:focus")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(page.locator("tr:has(td:focus)")).to_have_attribute("data-called", f"2 {EVIL}")
    page.keyboard.press("ArrowDown")
    at = focused(page)
    assert "Show 2." in at
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"About {EVIL} of 2.")
    expect(dialog).to_contain_text("60 min")
    page.get_by_role("button", name="After it").press("Enter")
    expect(dialog.locator("h2")).not_to_have_text(at.splitlines()[0])
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert focused(page) == at
    page.keyboard.press("Home")
    assert "id3.tv" in focused(page)
    page.keyboard.press("Control+End")
    assert "No guide for this channel" in focused(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Guide of 5 Unheard")).to_be_visible()
    page.go_back()
    expect(page).to_have_url(before)


def test_without_scripts_other_times_are_links(bridge: RunningBridge, open_page: OpenPage) -> None:
    """Earlier, later, days and now; nothing offers what it could not do."""
    page = open_page(
        bridge, "/guide", java_script_enabled=False, viewport={"width": 1_280, "height": 900}
    )
    expect(page.locator("td[data-on]")).not_to_have_count(0)
    page.get_by_role("link", name="Later").click()
    expect(page.locator("td[data-on]")).to_have_count(0)
    expect(page.locator(".now-line")).to_have_count(0)
    page.get_by_role("link", name="Earlier").click()
    page.locator(".days a").nth(3).click()
    expect(page.locator(".days a").nth(3)).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Now", exact=True).last.click()
    expect(page.locator("td[data-on]")).not_to_have_count(0)
    expect(page.locator(".now-line")).to_have_count(1)
    for button in page.locator("#found button").all():
        assert button.is_disabled()


def test_a_channel_is_mapped_by_keyboard(bridge: RunningBridge, open_page: OpenPage) -> None:
    """Those without a guide first; found among the guide's channels; what it says it does is what
    comes; then none, and then as it was."""
    page = opened(bridge, open_page, viewport={"width": 1_280, "height": 900})
    page.get_by_label("Which channels").select_option("Without a guide first")
    first = page.locator("tbody tr").first
    expect(first).to_have_attribute("data-called", "5 Unheard")
    expect(first).to_contain_text("No guide for this channel: no guide has it.")
    first.locator("td").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Guide of 5 Unheard")
    expect(dialog).to_contain_text("Now: no guide has it.")
    expect(page.get_by_label("Find in the guides")).to_be_focused()
    page.keyboard.type("ID3")
    expect(dialog.get_by_role("radio")).to_have_count(1)
    dialog.get_by_role("radio").press("Space")
    expect(dialog).to_contain_text("of 100 alike")
    dialog.get_by_role("button", name="Map to id3.tv").press("Enter")
    expect(page.locator("#result")).to_contain_text("5 Unheard: mapped to id3.tv.")
    expect(page.locator("#result")).to_contain_text("read again")
    read_now(bridge)
    row = page.locator('tr[data-called="5 Unheard"]')
    expect(row).to_contain_text("Show 2.", timeout=READ_MS)
    expect(row).to_contain_text("✎ id3.tv")
    row.get_by_role("button", name="Guide of 5 Unheard").click()
    expect(dialog).to_contain_text("chosen by a person")
    dialog.get_by_role("button", name="No guide").press("Enter")
    expect(page.locator("#result")).to_contain_text("no guide any more")
    read_now(bridge)
    expect(row).to_contain_text("no guide, as a person chose", timeout=READ_MS)
    row.get_by_role("button", name="Map").click()
    dialog.get_by_role("button", name="As found by itself").press("Enter")
    expect(page.locator("#result")).to_contain_text("as it is found by itself")
    read_now(bridge)
    expect(row).to_contain_text("no guide has it", timeout=READ_MS)
    [channel] = [one for one in bridge.get("/api/channels") if one["name"] == "Unheard"]
    assert channel["edits"] == []


def test_logos_are_drawn_and_initials_stay_without(
    bridge: RunningBridge, stub: ProviderStub, open_page: OpenPage
) -> None:
    """On both pages, through the bridge alone; a broken one leaves the letters."""
    for path, first in (("/guide", "tr"), ("/channels", "li")):
        page = opened(bridge, open_page, path, viewport={"width": 1_280, "height": 900})
        logos = page.locator(f"{first} .logo")
        expect(logos.nth(0)).to_have_class(re.compile("drawn"))
        expect(logos.nth(1)).not_to_have_class(re.compile("drawn"))
        expect(logos.nth(1)).to_have_text(re.compile(r"\w"))
        source = logos.nth(0).locator("img").get_attribute("src")
        assert source is not None
        assert re.fullmatch(f"{bridge.base}/logos/[0-9a-f]{{16}}", source)
        assert str(stub.port) not in page.content().replace(bridge.base, "")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1_280), ("dark", 1_280)]
)
def test_the_guide_can_be_read_by_everybody(
    bridge: RunningBridge, open_page: OpenPage, tmp_path: Path, scheme: str, width: int
) -> None:
    """On a phone and on a desk, in light and dark, with evil and endless names: it fits, nothing
    runs, and axe finds nothing serious; the dialogs too."""
    page = opened(bridge, open_page, viewport={"width": width, "height": 800}, color_scheme=scheme)
    if width < 640:
        rows = page.locator(".now-next li:visible")
        expect(rows).to_have_count(5)
        expect(rows.first).to_contain_text(re.compile(r"now \d\d:\d\d.*Show 0\.", re.DOTALL))
        expect(rows.first).to_contain_text(re.compile(r"next \d\d:\d\d.*Show 0\.", re.DOTALL))
        opener = rows.nth(1).locator(".line").first
    else:
        opener = page.locator("tbody tr").nth(1).locator("td[data-on]")
    expect(opener).to_contain_text(EVIL)
    page.screenshot(path=tmp_path / f"guide-{width}-{scheme}.png", full_page=True)
    assert page.evaluate(SCROLL_WIDTH) <= width
    assert grave(page) == []
    opener.click()
    expect(page.get_by_role("dialog")).to_contain_text(f"About {EVIL}")
    assert grave(page) == []
    page.screenshot(path=tmp_path / f"programme-{width}-{scheme}.png")
    page.keyboard.press("Escape")
    page.locator("[data-map]:visible").nth(3).click()
    expect(page.get_by_role("dialog").get_by_role("radio")).to_have_count(5)
    assert page.evaluate(SCROLL_WIDTH) <= width
    assert grave(page) == []
    page.screenshot(path=tmp_path / f"mapping-{width}-{scheme}.png")
