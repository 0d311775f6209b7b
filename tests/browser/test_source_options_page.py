"""The page of a source's options: set by keys, with secrets that are never shown, for everybody."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, provider
from tests.browser.test_page_face import SCROLL_WIDTH
from tests.browser.test_record_faces import grave
from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import status

expect.set_options(timeout=10_000)

SECRET = "token-of-the-house"


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    """On a list of one channel."""
    with provider() as stub:
        url = f"http://127.0.0.1:{stub.port}"
        stub.on("/list.m3u", status(200, body=f"#EXTINF:-1,a\n{url}/a.ts\n".encode()))
        with RunningBridge(
            tmp_path / "data",
            PLEXBRIDGE_PLAYLIST=f"{url}/list.m3u|X-Old={SECRET}",
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
        ) as running:
            yield running


def test_options_are_set_by_keys_and_secrets_are_not_shown_again(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """From the list of sources; only what was changed is sent; a fault keeps what was typed."""
    page = open_page(bridge, "/sources", may_say="400")
    page.get_by_role("link", name="Options of 127.0.0.1").focus()
    page.keyboard.press("Enter")
    page.get_by_label("User agent").fill("VLC/3")
    page.get_by_label("More headers").fill(f"X-New: {SECRET}\nHost: h")
    page.get_by_label("Read again after").fill("3")
    page.keyboard.press("Enter")
    fault = page.get_by_role("alert")
    expect(fault).to_contain_text("ours to say")
    expect(page.get_by_label("User agent")).to_have_value("VLC/3")
    page.get_by_label("More headers").fill(f"X-New: {SECRET}")
    page.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_contain_text("Saved")
    expect(page.get_by_role("button", name="Save")).to_be_focused()
    force = page.get_by_role("region", name="in force now")
    for words in ("VLC/3", "X-Old: ***", "X-New: ***", "every 3 hours"):
        expect(force).to_contain_text(words)
    assert SECRET not in page.content()
    (source,) = bridge.get("/api/sources")
    told = bridge.get(f"/api/sources/{source['id']}/options")["set"]
    assert (told["headers"], told["refresh_hours"], told["settle_ms"]) == (["X-New"], 3, None)
    page.get_by_label("take away X-New").check()
    page.get_by_label("User agent").fill("")
    page.get_by_role("button", name="Save").click()
    expect(force).not_to_contain_text("X-New")
    expect(force).to_contain_text("PlexBridge")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#result")).to_contain_text("Nothing was changed")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1_280), ("dark", 1_280)]
)
def test_the_page_can_be_read_by_everybody(
    bridge: RunningBridge, open_page: OpenPage, tmp_path: Path, scheme: str, width: int
) -> None:
    """On a phone and on a desk, in light and dark: it fits, and axe finds nothing serious."""
    (source,) = bridge.get("/api/sources")
    page = open_page(
        bridge,
        f"/sources/{source['id']}",
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
    )
    expect(page.get_by_role("button", name="Save")).to_be_enabled()
    page.screenshot(path=tmp_path / f"options-{width}-{scheme}.png", full_page=True)
    assert page.evaluate(SCROLL_WIDTH) <= width
    assert grave(page) == []
