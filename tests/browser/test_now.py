"""The live page in a real browser: what a person sees while players come and go."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.end_to_end.running import RunningBridge

Tool = Callable[[str], str]

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
GONE_WITHIN_MS = 5_000
SEEN_WITHIN_MS = 10_000
NARROW = {"width": 360, "height": 740}
HOSTILE = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>\'&amp;'


@pytest.fixture
def browser(tool: Tool) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=tool("chromium"), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningBridge]:
    with RunningBridge(tmp_path / "data", "--demo") as bridge:
        yield bridge


class Watched:
    """A page of which every complaint and every request is kept."""

    def __init__(self, browser: Browser, base: str, color_scheme: str = "light") -> None:
        self.base = base
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context = browser.new_context(color_scheme=color_scheme)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.page.on("console", lambda m: self._complain(m.type, m.text))
        self.page.on("pageerror", lambda error: self._complain("error", str(error)))
        self.page.on("request", self._requested)
        self.page.goto(f"{base}/")
        expect(self.page.locator("#link")).to_have_attribute("data-state", "live")

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _requested(self, request: Request) -> None:
        self.requests.append(request.url)

    def said_nothing_and_asked_nobody_else(self) -> None:
        """No error in the console, no request but to the bridge itself."""
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(f"{self.base}/")] == []


@pytest.fixture
def play(tool: Tool, demo: RunningBridge) -> Iterator[Callable[[str], "subprocess.Popen[bytes]"]]:
    """Starts curl as a player of a channel of the demo."""
    players: list[subprocess.Popen[bytes]] = []

    def begin(number: str) -> "subprocess.Popen[bytes]":
        url = f"{demo.base}/auto/v{number}"
        players.append(subprocess.Popen([tool("curl"), "-s", "-o", os.devnull, url]))
        return players[-1]

    yield begin
    for player in players:
        player.kill()
        player.wait(timeout=5)


def fits(page: Page) -> bool:
    """Whether nothing sticks out to the side."""
    found: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return found


def brightness(page: Page, of: str) -> float:
    """Red, green and blue of the body's ground or ink, together: 0 to 765."""
    colour = page.evaluate(f"getComputedStyle(document.body).{of}")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3]))


def test_a_player_comes_and_is_killed_before_a_persons_eyes(
    demo: RunningBridge, browser: Browser, play: Callable[[str], "subprocess.Popen[bytes]"]
) -> None:
    """The empty page; its card without a reload, with figures that move; and five seconds after a
    `kill -9` at most the card is gone, and listed under "Just ended"."""
    watched = Watched(browser, demo.base)
    page = watched.page
    cards = page.locator("#sessions .card")
    expect(page.locator("#nobody")).to_be_visible()
    expect(page.locator("#none-ended")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("0 of 4 tuners in use · 0 sessions")
    page.evaluate("window.loadedOnce = true")

    player = play("1")
    expect(cards).to_have_count(1, timeout=SEEN_WITHIN_MS)
    expect(cards.locator("h3")).to_have_text("1 Harbour")
    expect(cards).to_have_attribute("data-state", "active")
    expect(cards.locator(".client")).to_have_text("curl · 127.0.0.1")
    expect(page.locator("#nobody")).to_be_hidden()
    expect(page.locator("#tuners li").first).to_have_attribute("data-state", "active")
    received = cards.locator("dd").nth(2)
    before = received.inner_text()
    expect(received).not_to_have_text(before, timeout=SEEN_WITHIN_MS)
    expect(cards.locator("dd").first).to_have_text(re.compile(r"[\d.]+ [Mk]b/s"))

    player.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    expect(cards).to_have_count(0, timeout=GONE_WITHIN_MS)
    expect(page.locator("#ended li")).to_have_count(1, timeout=GONE_WITHIN_MS)
    assert (time.monotonic() - killed_at) * 1_000 < GONE_WITHIN_MS
    expect(page.locator("#ended li .who")).to_have_text("1 Harbour · curl")
    expect(page.locator("#nobody")).to_be_visible()
    assert page.evaluate("window.loadedOnce")
    watched.said_nothing_and_asked_nobody_else()


def test_stop_asks_first_and_then_ends_the_session(
    demo: RunningBridge, browser: Browser, play: Callable[[str], "subprocess.Popen[bytes]"]
) -> None:
    """The first button and Escape keep it; the other ends this one, and no other."""
    watched = Watched(browser, demo.base)
    page = watched.page
    doomed, other = play("1"), play("2")
    card = page.locator("#sessions .card", has=page.get_by_text("1 Harbour"))
    dialog = page.locator("#confirm")
    expect(page.locator("#sessions .card")).to_have_count(2, timeout=SEEN_WITHIN_MS)
    for button in ("Keep it", None):
        card.get_by_role("button").click()
        expect(dialog).to_be_visible()
        expect(dialog).to_contain_text("curl at 127.0.0.1 loses Harbour at once")
        if button is None:
            page.keyboard.press("Escape")
        else:
            dialog.get_by_text(button).click()
        expect(dialog).to_be_hidden()
    assert len(demo.sessions("active")) == 2
    card.get_by_role("button").click()
    dialog.locator("button[value=stop]").click()
    expect(card).to_have_count(0, timeout=GONE_WITHIN_MS)
    expect(page.locator("#result")).to_contain_text("was stopped in")
    doomed.wait(timeout=5)
    assert other.poll() is None
    (ended,) = demo.dashboard()["just_ended"]
    assert (ended["reason"], ended["detail"]) == ("manual", "by_admin")
    watched.said_nothing_and_asked_nobody_else()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_schemes(
    demo: RunningBridge,
    browser: Browser,
    play: Callable[[str], "subprocess.Popen[bytes]"],
    scheme: str,
) -> None:
    """360 pixels wide, empty, with cards, with endings and with the dialog; nothing sticks out, and
    the colours are the scheme's: text stands out from its ground."""
    watched = Watched(browser, demo.base, scheme)
    page = watched.page
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert fits(page)
    players = [play(number) for number in ("1", "2", "3")]
    expect(page.locator("#sessions .card")).to_have_count(3, timeout=SEEN_WITHIN_MS)
    page.locator("details summary").click()
    assert fits(page)
    page.locator("#sessions .card button").first.click()
    assert fits(page)
    page.keyboard.press("Escape")
    players[0].kill()
    expect(page.locator("#ended li")).to_have_count(1, timeout=GONE_WITHIN_MS)
    assert fits(page)
    ground, ink = brightness(page, "backgroundColor"), brightness(page, "color")
    assert (ground < ink) == (scheme == "dark"), (ground, ink)
    assert abs(ground - ink) > 300
    watched.said_nothing_and_asked_nobody_else()


def test_a_pause_holds_the_page_and_going_on_brings_it_up_to_date(
    demo: RunningBridge, browser: Browser, play: Callable[[str], "subprocess.Popen[bytes]"]
) -> None:
    """What happened in between is there at once."""
    watched = Watched(browser, demo.base)
    page = watched.page
    page.locator("#pause").click()
    expect(page.locator("#link")).to_have_attribute("data-state", "paused")
    play("1")
    deadline = time.monotonic() + SEEN_WITHIN_MS / 1_000
    while not demo.sessions("active") and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    expect(page.locator("#sessions .card")).to_have_count(0)
    page.locator("#pause").click()
    expect(page.locator("#sessions .card")).to_have_count(1)
    watched.said_nothing_and_asked_nobody_else()


def test_a_hostile_channel_name_is_text(tool: Tool, browser: Browser, tmp_path: Path) -> None:
    """In the list of channels, on a tuner and among the endings, from a playlist that was written
    by somebody else; the player's own name is no better."""
    playlist = tmp_path / "list.m3u"
    playlist.write_text(f'#EXTM3U\n#EXTINF:-1 tvg-chno="1",{HOSTILE}\nhttp://127.0.0.1:9/1\n')
    arguments = ("--playlist", str(playlist))
    environment = {"PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8", "FRIENDLY_NAME": "<b>Mine</b>"}
    with RunningBridge(tmp_path / "data", *arguments, **environment) as bridge:
        watched = Watched(browser, bridge.base)
        page = watched.page
        name = bridge.get("/api/channels")[0]["name"]
        assert "<img" in name
        subprocess.run(
            [tool("curl"), "-s", "-A", f"{HOSTILE}", "-o", os.devnull, f"{bridge.base}/auto/v1"],
            check=False,
            timeout=20,
        )
        ended = page.locator("#ended li .who")
        expect(ended).to_contain_text(name, timeout=SEEN_WITHIN_MS)
        page.reload()
        expect(ended).to_contain_text(name, timeout=SEEN_WITHIN_MS)
        page.locator("details summary").click()
        expect(page.locator("table.channels td").nth(1)).to_have_text(name)
        expect(page.locator("header.bar .brand")).to_contain_text("<b>Mine</b>")
        assert page.locator("img[src=x]").count() == 0
        assert page.evaluate("window.ran") is None
        watched.said_nothing_and_asked_nobody_else()


def test_a_stopped_bridge_is_said_and_its_return_noticed(browser: Browser, tmp_path: Path) -> None:
    """The page never shows as live what is not."""
    bridge = RunningBridge(tmp_path / "data", "--demo").start()
    page = Watched(browser, bridge.base).page
    bridge.stop()
    expect(page.locator("#link")).to_have_attribute("data-state", "lost")
    port = bridge.base.rsplit(":", 1)[1]
    with RunningBridge(tmp_path / "data", "--demo", PORT=port):
        expect(page.locator("#link")).to_have_attribute(
            "data-state", "live", timeout=SEEN_WITHIN_MS
        )
