"""Editing on the page of channels: one in its row, many after a look, all of it by keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.end_to_end.running import RunningBridge

expect.set_options(timeout=10_000)

HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;{{7*7}}"


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    """Seven channels of two groups; one with a name that is an attack."""
    lines = ["#EXTM3U"]
    for number in range(1, 8):
        name = HOSTILE if number == 3 else f"Channel {number}"
        group = "News" if number < 4 else "Sport"
        lines.append(f'#EXTINF:-1 tvg-chno="{number}" group-title="{group}",{name}')
        lines.append(f"http://127.0.0.1:9/{number}")
    playlist = tmp_path / "list.m3u"
    playlist.write_text("\n".join(lines) + "\n")
    arguments = ("--playlist", str(playlist))
    with RunningBridge(
        tmp_path / "data", *arguments, PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8"
    ) as running:
        yield running


def for_players(bridge: RunningBridge) -> dict[str, str]:
    """Names by number, as players are given them."""
    return {row["GuideNumber"]: row["GuideName"] for row in bridge.get("/lineup.json")}


def focused(page: Page) -> str:
    """What the element with the focus is called."""
    name: str = page.evaluate("document.activeElement.getAttribute('aria-label') ?? ''")
    return name


def test_a_channel_is_edited_in_its_row_by_keyboard(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """Enter saves, Escape leaves it as it was; the focus stays with the channel, wherever it goes;
    what is refused is said where it was typed."""
    page = open_page(bridge, "/channels", may_say="409")
    edit = page.get_by_role("button", name="Edit 2 Channel 2")
    edit.press("Enter")
    expect(page.get_by_label("Number", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(edit).to_be_focused()
    edit.press("Enter")
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="5 is Channel 5's")).to_be_visible()
    page.get_by_label("Number", exact=True).fill("99")
    page.get_by_label("Name", exact=True).fill(HOSTILE)
    page.keyboard.press("Enter")
    last = page.locator(".lineup li").last
    expect(last).to_contain_text(f"99{HOSTILE}".removeprefix("99"))
    expect(last).to_contain_text("edited")
    assert focused(page) == f"Edit 99 {HOSTILE}"
    assert for_players(bridge)["99"] == HOSTILE
    page.keyboard.press("Enter")
    page.get_by_role("button", name="As listed").press("Enter")
    expect(page.locator(".lineup .mark")).to_have_count(0)
    assert for_players(bridge)["2"] == "Channel 2"
    assert focused(page) == "Edit 2 Channel 2"


def test_favourites_and_disabled_channels_say_so(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """In words beside the shape; a disabled one offers nothing to play."""
    page = open_page(bridge, "/channels")
    star = page.get_by_role("button", name="Favourite: 1 Channel 1")
    star.press("Space")
    expect(star).to_have_attribute("aria-pressed", "true")
    expect(star).to_be_focused()
    expect(page.locator(".lineup li").first).to_contain_text("favourite")
    page.get_by_role("button", name="Edit 4 Channel 4").click()
    page.get_by_label("Given to players").uncheck()
    page.get_by_role("button", name="Save").click()
    row = page.locator(".lineup li").nth(3)
    expect(row).to_contain_text("disabled")
    expect(row.get_by_role("button", name="Preview")).to_have_count(0)
    expect(page.locator("#count")).to_have_text("7 channels, 6 enabled")
    page.get_by_label("Only", exact=True).select_option("Disabled")
    expect(page.locator(".lineup li")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?only=disabled$"))
    assert "4" not in for_players(bridge)


def test_many_are_changed_after_a_look_by_keyboard(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """The dialog says what it means for viewers before anything is done; hostile names are text."""
    page = open_page(bridge, "/channels", may_say="400")
    page.get_by_role("checkbox", name="Select 2 Channel 2").press("Space")
    page.get_by_role("checkbox", name=f"Select 3 {HOSTILE}").press("Space")
    expect(page.locator("#picked")).to_have_text("2 channels selected")
    page.get_by_label("What to do", exact=True).select_option("Number from…")
    page.get_by_label("First number").fill("x")
    page.keyboard.press("Enter")
    expect(page.locator("#bulk-fault")).to_contain_text("a whole number")
    page.get_by_label("First number").fill("100")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Change 2 channels?")
    expect(dialog).to_contain_text("2 channels get other numbers.")
    expect(dialog).to_contain_text("after their next channel scan")
    page.get_by_text("Each channel").press("Enter")
    expect(dialog).to_contain_text(f"101 {HOSTILE} number: 3 → 101")
    assert "100" not in for_players(bridge)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Preview…").press("Enter")
    dialog.get_by_role("button", name="Change 2 channels").press("Enter")
    expect(page.locator(".lineup li").last).to_contain_text("101")
    expect(page.locator("#bulk")).to_be_hidden()
    assert for_players(bridge)["101"] == HOSTILE


def test_all_that_was_found_is_changed_and_a_range_is_taken_with_shift(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """Also what stands on other pages; of a group, the group and nothing else."""
    page = open_page(bridge, "/channels")
    page.get_by_label("Group", exact=True).select_option("Sport")
    expect(page.locator(".lineup li")).to_have_count(4)
    page.get_by_role("checkbox").nth(0).click()
    page.get_by_role("checkbox").nth(2).click(modifiers=["Shift"])
    expect(page.locator("#picked")).to_have_text("3 channels selected")
    page.get_by_role("button", name="Select all 4").click()
    expect(page.locator("#picked")).to_have_text("All 4 channels selected")
    page.get_by_role("button", name="Preview…").click()
    page.get_by_role("dialog").get_by_role("button", name="Change 4 channels").click()
    expect(page.locator("#count")).to_have_text("4 of 7 channels, 3 enabled")
    assert set(for_players(bridge)) == {"1", "2", "3"}


def test_the_last_change_is_taken_back_after_a_look_by_keyboard(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """The page names it; the dialog says what it means for viewers; and back again."""
    page = open_page(bridge, "/channels")
    expect(page.locator("[data-undo]")).to_have_count(0)
    page.get_by_label("Group", exact=True).select_option("Sport")
    expect(page.locator(".lineup li")).to_have_count(4)
    page.get_by_role("checkbox").first.press("Space")
    page.get_by_role("button", name="Select all 4").click()
    page.get_by_role("button", name="Preview…").click()
    page.get_by_role("dialog").get_by_role("button", name="Change 4 channels").click()
    expect(page.locator(".last")).to_contain_text("Last change: 4 channels: enabled (admin")
    undo = page.get_by_role("button", name="Take it back…")
    undo.press("Enter")
    dialog = page.get_by_role("dialog", name="Take the last change of 4 channels back?")
    expect(dialog).to_contain_text("4 channels appear in players.")
    page.keyboard.press("Escape")
    assert set(for_players(bridge)) == {"1", "2", "3"}
    undo.press("Enter")
    dialog.get_by_role("button", name="Take it back").press("Enter")
    expect(page.locator(".last")).to_contain_text("taken back (admin")
    expect(undo).to_be_focused()
    assert len(for_players(bridge)) == 7
    undo.press("Enter")
    expect(dialog).to_contain_text("4 channels disappear from players.")
    dialog.get_by_role("button", name="Take it back").press("Enter")
    expect(page.locator("#count")).to_contain_text("3 enabled")
    assert set(for_players(bridge)) == {"1", "2", "3"}


def test_without_scripts_nothing_offers_to_edit(bridge: RunningBridge, open_page: OpenPage) -> None:
    """It could do nothing."""
    page = open_page(bridge, "/channels?only=enabled", java_script_enabled=False)
    expect(page.locator(".lineup li")).to_have_count(7)
    for control in page.locator(".lineup button, .lineup input").all():
        assert control.is_disabled()
    expect(page.locator("#bulk")).to_be_hidden()
