"""The page of channels: thousands of them found, turned over and copied from."""

import re
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from plexbridge.web.channels_page import CHANNELS_SHOWN
from tests.browser.conftest import OpenPage
from tests.end_to_end.running import RunningBridge

expect.set_options(timeout=10_000)

COUNT = 5_000
TYPED_MS = 1_000
"""More than a page waits for the next letter."""


@pytest.fixture
def large(tmp_path: Path) -> Iterator[RunningBridge]:
    """Channels whose every hundredth is in another group."""
    lines = ["#EXTM3U"]
    for number in range(1, COUNT + 1):
        group = "Straße & Sport" if number % 100 == 0 else "News"
        lines.append(f'#EXTINF:-1 tvg-chno="{number}" group-title="{group}",Channel {number}')
        lines.append(f"http://127.0.0.1:9/{number}")
    playlist = tmp_path / "list.m3u"
    playlist.write_text("\n".join(lines) + "\n")
    arguments = ("--playlist", str(playlist))
    with RunningBridge(
        tmp_path / "data", *arguments, PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8"
    ) as bridge:
        yield bridge


@pytest.mark.parametrize("scripts", [True, False])
def test_thousands_of_channels_are_turned_over_and_found(
    large: RunningBridge, open_page: OpenPage, scripts: bool
) -> None:
    """Never more at once than a phone draws; with and without scripts the address says what is
    shown, and shows it again."""
    page = open_page(large, "/channels", java_script_enabled=scripts)
    rows, count = page.locator(".lineup li"), page.locator("#count")
    expect(rows).to_have_count(CHANNELS_SHOWN)
    expect(count).to_have_text("5,000 channels")
    page.get_by_role("link", name="Further channels").click()
    expect(rows.first).to_contain_text("Channel 201")
    expect(page).to_have_url(re.compile(r"/channels\?after=200$"))
    page.get_by_role("link", name="From the first").click()
    expect(rows.first).to_contain_text("Channel 1")
    page.get_by_label("Number, name or group").fill("strasse  SPORT 3")
    if not scripts:
        page.get_by_role("button", name="Find").click()
    expect(count).to_have_text("14 of 5,000 channels")
    expect(rows).to_have_count(14)
    expect(page).to_have_url(re.compile(r"\?q=strasse\+\+?SPORT\+3(&group=&only=)?$"))
    page.reload()
    expect(rows).to_have_count(14)
    expect(page.get_by_role("searchbox")).to_have_value(re.compile(r"strasse +SPORT 3"))
    for button in page.locator(".lineup button").all():
        assert button.is_enabled() == scripts, "without scripts it could do nothing"


def test_typing_asks_once_and_what_is_not_there_is_said(
    large: RunningBridge, open_page: OpenPage
) -> None:
    """A word is typed, not a letter; markup in it is text."""
    page = open_page(large, "/channels")
    asked: list[str] = []
    page.on("request", lambda request: "icon" in request.url or asked.append(request.url))
    page.clock.install()  # it stands still: however long typing takes, it is one word
    page.clock.pause_at(time.time() + 3_600)
    page.get_by_role("searchbox").press_sequentially("<b>no")
    assert asked == []
    page.clock.run_for(TYPED_MS)
    expect(page.get_by_text("No channel has all of these words.")).to_be_visible()
    expect(page.locator("#count")).to_have_text("0 of 5,000 channels")
    assert asked == [f"{large.base}/channels?q=%3Cb%3Eno"]
    page.get_by_role("searchbox").fill("")
    page.clock.run_for(TYPED_MS)
    expect(page.locator(".lineup li")).to_have_count(CHANNELS_SHOWN)


def test_an_address_is_copied(demo: RunningBridge, open_page: OpenPage) -> None:
    """The one that players open."""
    page = open_page(demo, "/channels", permissions=["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy the address of 2 Northern Lights")
    button.click()
    expect(button).to_have_text("Copied")
    expect(page.locator("#announce")).to_have_text(f"Copied: {demo.base}/auto/v2")
    assert page.evaluate("navigator.clipboard.readText()") == f"{demo.base}/auto/v2"
    expect(button).to_have_text("Copy")


def test_programs_are_given_the_same(large: RunningBridge) -> None:
    """`/api/channels`, by words and page by page."""
    found = large.get("/api/channels?q=sport&limit=3&after=250")
    assert [one["guide_number"] for one in found] == ["300", "400", "500"]
    assert found[0]["group"] == "Straße & Sport"
    assert len(found[0]["sources"]) == 1
    assert len(large.get("/api/channels?limit=1000&after=4500")) == 500
    for query in ("after=x", "limit=1001", "limit=-1"):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            large.get(f"/api/channels?{query}")
