"""The pages of sources and of health: what they say, who can read them, and the button."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Watch, provider
from tests.browser.test_page_face import SCROLL_WIDTH
from tests.browser.test_record_faces import grave
from tests.end_to_end.running import RunningBridge, until
from tests.service.panel import QUERY, SECRET, USER, stream
from tests.service.provider_stub import ProviderStub, endless, status

expect.set_options(timeout=10_000)

PAGES = ("/sources", "/status")
ENDS_AT = 4_000_000_000
LONG_STATUS = "Active " + "<b>evil</b>" * 300


def lists(stub: ProviderStub, *channels: dict[str, Any], **user_info: Any) -> None:
    """The provider's panel answers with these channels from now on."""
    info = {"auth": 1, "status": "Active", "max_connections": "2", "exp_date": str(ENDS_AT)}
    documents = {
        "": {"user_info": {**info, **user_info}},
        "&action=get_live_categories": [],
        "&action=get_live_streams": list(channels),
    }
    for action, document in documents.items():
        stub.on(f"/player_api.php?{QUERY}{action}", status(200, body=orjson.dumps(document)))


@pytest.fixture
def stub() -> Iterator[ProviderStub]:
    """A panel with four channels."""
    with provider() as made:
        lists(made, *(stream(number, f"Channel {number}") for number in (1, 2, 3, 4)))
        for number in (101, 102, 103, 104):
            made.on(f"/live/{USER}/{SECRET}/{number}.ts", endless(bits_per_s=4e6))
        yield made


@pytest.fixture
def bridge(tmp_path: Path, stub: ProviderStub) -> Iterator[RunningBridge]:
    """On an Xtream account, whose panel has no guide."""
    account = f"xtream+http://{USER}:{SECRET}@127.0.0.1:{stub.port}"
    with RunningBridge(
        tmp_path / "data",
        PLEXBRIDGE_PLAYLIST=account,
        PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
        PLEXBRIDGE_LINGER="0",
    ) as running:
        yield running


def card(page: Page) -> Any:
    """The one source."""
    return page.locator("section[aria-labelledby=accounts-title] .condition")


def test_a_source_is_told_without_its_login(
    bridge: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """Without a script: kind, place, entries, connections of the limit, times, expiry, trouble."""
    watch(bridge)
    until("it is active", lambda: bridge.sessions("active"))
    page = open_page(bridge, "/sources", java_script_enabled=False)
    told = card(page)
    expect(told).to_have_count(1)
    for words in (
        *("Xtream account", "● good", "connections in use", "1 of 2", "just now", "Active"),
        *("in 1", "No trouble in a stream so far"),
    ):
        expect(told).to_contain_text(words)
    expect(told.get_by_role("button", name="Refresh")).to_be_disabled()
    exact = told.locator("time").first.get_attribute("title")
    assert exact is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", exact)
    for path in (*PAGES, "/api/sources", "/api/guides", "/api/status"):
        page.goto(bridge.base + path)
        assert not re.search(rf"\b{USER}\b", page.content()), path
        assert SECRET not in page.content(), path


def test_the_button_reads_a_source_anew_and_says_what_it_did(
    bridge: RunningBridge, stub: ProviderStub, open_page: OpenPage
) -> None:
    """By keys: what is listed now; a failure with its reason and who can mend it; a list that lost
    most of its channels only when that is meant."""
    page = open_page(bridge, "/sources", may_say="502")
    button = page.get_by_role("button", name="Refresh 127.0.0.1")
    lists(stub, *(stream(number, f"Channel {number}") for number in (1, 2, 3, 4, 5)))
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_contain_text("lists 5 channels")
    expect(card(page)).to_contain_text("5")
    expect(button).to_be_focused()
    lists(stub, stream(1, "Channel 1"))
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_contain_text("nothing changed")
    expect(card(page)).to_contain_text("▲ look here")
    expect(card(page)).to_contain_text("to mend: ")
    page.get_by_role("button", name="Take the shorter list").click()
    expect(page.locator("#result")).to_contain_text("lists 1 channel.")
    expect(card(page)).to_contain_text("● good")
    lists(stub, stream(1, "Channel 1"), auth=0)
    button.click()
    expect(page.locator("#result")).to_have_attribute("data-end", "bad")
    expect(card(page)).to_contain_text("ask its provider")


def test_health_says_of_every_line_whether_it_is_good(
    bridge: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """In words, beside the figures; and the cleanup of each reason against its promise."""
    player = watch(bridge)
    until("it is active", lambda: bridge.sessions("active"))
    player.kill()
    until("it ended", lambda: bridge.dashboard()["just_ended"])
    until(
        "the loop was looked at",
        lambda: bridge.get("/api/status")["figures"]["loop_lag_p95_ms"] is not None,
    )
    page = open_page(bridge, "/status", java_script_enabled=False)
    lines = page.locator(".checked li")
    for line in lines.all():
        expect(line).to_contain_text(re.compile("● good|▲ look here|\\? could not check"))
    for name, words in (
        ("Storing events", "0 facts waiting"),
        ("Projections", "behind the log"),
        ("Sockets against sessions", "no session without a connection"),
        ("Sweep", "found nothing"),
        ("Log", "positions 1 to"),
        ("Disk", "free of"),
        ("Event loop", "19 of 20 within"),
        ("Child processes", "0 running"),
    ):
        line = lines.filter(has=page.get_by_text(name, exact=True))
        expect(line).to_contain_text(words)
    row = page.locator(".cleanup tbody tr")
    expect(row).to_contain_text("client_disconnect")
    expect(row).to_contain_text("● good")
    expect(row).to_contain_text("5 s")
    page.goto(f"{bridge.base}/")
    page.get_by_role("link", name="Health").click()
    expect(page).to_have_url(f"{bridge.base}/status")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1_280), ("dark", 1_280)]
)
def test_both_pages_can_be_read_by_everybody(
    bridge: RunningBridge,
    stub: ProviderStub,
    open_page: OpenPage,
    watch: Watch,
    tmp_path: Path,
    scheme: str,
    width: int,
) -> None:
    """On a phone and on a desk, in light and dark, also with what a provider says made to do harm:
    it fits, nothing runs, and axe finds nothing serious."""
    player = watch(bridge)
    until("it is active", lambda: bridge.sessions("active"))
    player.kill()
    until("it ended", lambda: bridge.dashboard()["just_ended"])
    lists(stub, *(stream(n, f"C {n}") for n in (1, 2, 3)), status=LONG_STATUS)
    page = open_page(
        bridge, "/sources", viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page.get_by_role("button", name="Refresh 127.0.0.1").click()
    expect(page.locator("#result")).to_contain_text("lists 3 channels")
    expect(card(page)).to_contain_text("<b>evil</b>")
    then = bridge.get("/api/log/head")["position"]
    for path in (*PAGES, *(f"{path}?at={then}" for path in PAGES)):
        page.goto(bridge.base + path)
        expect(page.locator("#found .state").first).to_be_visible()
        if "?" in path:
            expect(page.get_by_role("note")).to_contain_text("You are looking at the past")
            expect(page.locator("main button")).to_have_count(0)
        name = f"{path[1:].replace('?', '-')}-{width}-{scheme}.png"
        page.screenshot(path=tmp_path / name, full_page=True)
        assert page.evaluate(SCROLL_WIDTH) <= width, path
        assert grave(page) == [], path
