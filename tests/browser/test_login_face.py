"""The entrance in a browser: by keyboard alone, in words, at any size, in either light."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.test_page_face import CONTRAST_MIN, PAINTED, SCROLL_WIDTH, contrast
from tests.end_to_end.running import RunningBridge

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
PASSWORD = "correct horse battery"
TEXTS = (".door .brand", ".door h1", ".door label", ".door p", ".door button", ".door a", "footer")


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[RunningBridge]:
    """Six channels, and a password."""
    environment = {"PLEXBRIDGE_ADMIN_PASSWORD": PASSWORD}
    with RunningBridge(tmp_path / "data", "--demo", **environment) as bridge:
        yield bridge


def test_the_first_start_s_link_sets_the_password(demo: RunningBridge, open_page: OpenPage) -> None:
    """With the keyboard alone, from the printed link to the live page."""
    found = re.search(r"set a password +http://[^/]+(/setup\?code=\S+)", demo.output)
    assert found is not None
    page = open_page(demo, found[1])
    expect(page.get_by_label("Password, at least")).to_be_focused()
    page.keyboard.type("short")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(re.compile("at least 8 characters"))
    expect(page.get_by_label("Password, at least")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD + "x")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(re.compile("not the same"))
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(page.locator("#link")).to_have_text("live")
    used = open_page(demo, found[1])
    expect(used.locator("main")).to_contain_text("This link was used")
    expect(used.locator("form")).to_have_count(0)


def test_logging_in_leads_back_and_logging_out_ends_every_page(
    locked: RunningBridge, open_page: OpenPage
) -> None:
    """A wrong password is told in words and costs no focus; another open page notices the end."""
    page = open_page(locked, "/channels?q=harbour", may_say="401")
    expect(page).to_have_title(re.compile("^Log in"))
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("▲ Type the password.")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("That is not the password. Try again")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_value("")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Channels")).to_be_visible()
    assert page.url == f"{locked.base}/channels?q=harbour"
    live = page.context.new_page()
    live.goto(locked.base)
    expect(live.locator("#link")).to_have_text("live")
    page.get_by_role("button", name="Log out").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("^Log in"))
    expect(live).to_have_title(re.compile("^Log in"), timeout=20_000)


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example/", "javascript:1", ""])
def test_the_way_back_is_never_another_site_s(
    locked: RunningBridge, open_page: OpenPage, wanted: str
) -> None:
    """Whatever the address that led to the login says."""
    page = open_page(locked, f"/login?next={wanted}")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#link")).to_have_text("live")
    assert page.url == f"{locked.base}/"


def test_too_many_tries_are_told_with_the_time_to_wait(
    locked: RunningBridge, open_page: OpenPage
) -> None:
    """And then how to get in after all."""
    page = open_page(locked, "/login", may_say="Failed to load resource")
    for tries in range(6):
        page.get_by_label("Password").fill("wrong")
        with page.expect_response("**/login"):
            page.keyboard.press("Enter")
        if tries < 5:
            expect(page.get_by_role("alert")).to_contain_text("not the password")
    expect(page.get_by_role("alert")).to_have_text(re.compile(r"Too many tries\. Wait \d+ seconds"))
    page.get_by_text("Nobody knows the password?").click()
    expect(page.get_by_text("plexbridge key link")).to_be_visible()


@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_entrance_at_any_size_in_either_light(
    demo: RunningBridge, open_page: OpenPage, width: int, light: str
) -> None:
    """Nothing is cut off, every text can be read, and axe finds nothing."""
    for path in ("/login", "/setup", "/setup?code=used"):
        page = open_page(demo, path, viewport={"width": width, "height": 740}, color_scheme=light)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate(SCROLL_WIDTH) <= width
        for selector in TEXTS:
            for text, behind in page.evaluate(PAINTED, selector):
                assert contrast(text, behind) >= CONTRAST_MIN, (path, selector, text, behind)
        page.evaluate(AXE.read_text())
        assert (
            page.evaluate("axe.run().then(({ violations }) => violations.map((v) => v.id))") == []
        )


def test_without_scripts_the_page_says_what_to_do(
    locked: RunningBridge, open_page: OpenPage
) -> None:
    """Instead of a form that does nothing."""
    page = open_page(locked, "/login", java_script_enabled=False)
    expect(page.locator("noscript p")).to_contain_text("Logging in needs scripts")
