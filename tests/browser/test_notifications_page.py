"""The page of notifications: adding somebody who is told, trying it, choosing, removing."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import EXPECT_MS, OpenPage
from tests.browser.test_page_face import HOSTILE, SCROLL_WIDTH
from tests.browser.test_record_faces import grave
from tests.end_to_end.running import RunningBridge
from tests.service.notice_receiver import Receiver

expect.set_options(timeout=20_000)

SECRET = "a-very-secret-token"


@contextmanager
def receiving(*answers: int | None) -> Iterator[Receiver]:
    """A receiver on its own loop, for tests that are not asynchronous themselves."""
    ready = threading.Event()
    made: list[tuple[Receiver, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def receive() -> None:
        over = asyncio.Event()
        async with Receiver(*answers) as receiver:
            made.append((receiver, asyncio.get_running_loop(), over))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(receive()))
    thread.start()
    assert ready.wait(EXPECT_MS / 1_000)
    receiver, loop, over = made[0]
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    """The demo, which may reach this machine."""
    with RunningBridge(
        tmp_path / "data", "--demo", PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8"
    ) as running:
        yield running


def test_somebody_is_added_tried_changed_and_removed(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """By keys; the focus goes to what comes next, the address is never seen again, and what is
    said of a test is what came of it."""
    with receiving(200, 404) as receiver:
        page = open_page(bridge, "/")
        page.get_by_role("link", name="Notifications").click()
        expect(page.get_by_text("Nobody is told anything yet.")).to_be_visible()
        address = page.get_by_role("textbox", name="Address")
        address.focus()
        page.keyboard.type(receiver.url(f"/{SECRET}"))
        page.get_by_role("textbox", name="Name").focus()
        page.keyboard.type("Kitchen")
        page.keyboard.press("Enter")
        test = page.get_by_role("button", name="Send a test to Kitchen")
        expect(test).to_be_focused()
        expect(page.locator("#result")).to_contain_text("● Added: Kitchen")
        expect(address).to_have_value("")
        expect(page.locator("#found")).to_contain_text("○ nothing sent yet")
        page.keyboard.press("Enter")
        expect(page.locator("#result")).to_contain_text("it was sent, and answered 200")
        expect(page.locator("#found")).to_contain_text("● sent")
        expect(test).to_be_focused()
        assert receiver.posts[0][1]["url"] == f"{bridge.base}/notifications"
        page.keyboard.press("Enter")
        expect(page.locator("#result")).to_contain_text("✕ The test was not sent")
        expect(page.locator("#result")).to_contain_text("it answered 404")
        expect(page.locator("#found")).to_contain_text("✕ not sent")
        assert SECRET not in page.content()
        page.get_by_text("Told of 6 of 6 kinds").click()
        kitchen = page.locator("[data-target]")
        kitchen.get_by_label("Guide stale").uncheck()
        kitchen.get_by_role("button", name="Save the choice").click()
        expect(page.locator("#result")).to_contain_text("is told of 5 kinds")
        expect(kitchen.get_by_label("Guide stale")).not_to_be_checked()
        page.get_by_role("button", name="Remove… Kitchen").click()
        page.keyboard.press("Escape")
        expect(kitchen).to_have_count(1)
        page.get_by_role("button", name="Remove… Kitchen").click()
        page.get_by_role("button", name="Remove it").click()
        expect(page.locator("#result")).to_contain_text("is told nothing more")
        expect(page.get_by_text("Nobody is told anything yet.")).to_be_visible()
        expect(address).to_be_focused()


def test_an_address_that_is_none_is_refused_beside_its_field(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """With the reason; what was typed stays to be mended."""
    page = open_page(bridge, "/notifications", may_say="400")
    page.get_by_role("textbox", name="Address").fill("ntfy://x y")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#told")).to_contain_text("a webhook's address begins with http://")
    expect(page.get_by_role("textbox", name="Address")).to_be_focused()
    expect(page.get_by_role("textbox", name="Address")).to_have_value("ntfy://x y")
    page.get_by_role("radio", name="Apprise").check()
    page.get_by_role("textbox", name="Address").fill("pigeon://x")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#told")).to_contain_text("Apprise does not know this address")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1_280), ("dark", 1_280)]
)
def test_the_page_can_be_read_by_everybody(
    bridge: RunningBridge, open_page: OpenPage, tmp_path: Path, scheme: str, width: int
) -> None:
    """On a phone and on a desk, in light and dark, empty and with names made to do harm: it fits,
    nothing runs, and axe finds nothing serious."""
    page = open_page(
        bridge, "/notifications", viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    expect(page.get_by_role("button", name="Add")).to_be_enabled()
    page.screenshot(path=tmp_path / f"empty-{width}-{scheme}.png", full_page=True)
    assert grave(page) == []
    with receiving() as receiver:
        for name, way, address in (
            (HOSTILE[:80], "Webhook", receiver.url(f"/{SECRET}")),
            ("", "Webhook", "http://192.168.1.20:8123/api/webhook/abcdef"),
            ("x" * 80, "Apprise", f"json://127.0.0.1:{receiver.port}/x"),
        ):
            page.get_by_role("radio", name=way).check()
            page.get_by_role("textbox", name="Address").fill(address)
            page.get_by_role("textbox", name="Name").fill(name)
            page.get_by_role("button", name="Add", exact=True).click()
            expect(page.locator("#result")).to_contain_text("● Added")
            expect(page.get_by_role("button", name="Add", exact=True)).to_be_enabled()
        page.get_by_role("button", name="Send a test").first.click()
        expect(page.locator("#found")).to_contain_text("● sent")
    page.get_by_text("Told of 6 of 6 kinds").first.click()
    page.screenshot(path=tmp_path / f"full-{width}-{scheme}.png", full_page=True)
    assert page.evaluate(SCROLL_WIDTH) <= width
    assert grave(page) == []
