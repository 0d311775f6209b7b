"""The live page's ties: what a stop came to; a feed let go, lost, silent, and found again."""

import re
import shutil
import signal
import socket
import urllib.request
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, Watch
from tests.end_to_end.running import RunningBridge, until

expect.set_options(timeout=10_000)

GONE_MS = 5_000
"""What the fix that this bridge is made for allows; the page needs a twentieth of it."""

ASKED_MS = 30_000
SILENCE_MS = 15_000
"""The page calls it silence after 5 s."""


def feeds(bridge: RunningBridge) -> int:
    """Live feeds open at the bridge, from `/metrics`."""
    with urllib.request.urlopen(f"{bridge.base}/metrics", timeout=5) as answer:
        found = re.search(rb"^plexbridge_feed_subscribers (\d+)", answer.read(), re.M)
    assert found is not None
    return int(found[1])


def test_a_player_comes_and_is_killed_before_a_persons_eyes(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """The empty page; its card without a reload, with figures that move; and after a `kill -9` the
    card is gone, and listed under "Just ended"."""
    page = open_page(demo)
    cards, ended = page.locator(".card"), page.locator("#ended li")
    expect(page.locator("#nobody")).to_be_visible()
    expect(page.locator("#none-ended")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("0 of 4 tuners in use · 0 sessions")
    page.evaluate("window.loadedOnce = true")
    player = watch(demo)
    expect(cards).to_have_count(1)
    expect(cards.locator("h3")).to_have_text("1 Harbour")
    expect(cards).to_have_attribute("data-state", "active")
    expect(cards.locator(".client")).to_have_text("VLC · 127.0.0.1")
    expect(page.locator("#nobody")).to_be_hidden()
    expect(page.locator("#tuners li").first).to_have_attribute("data-state", "active")
    received = cards.locator("dd").nth(2)
    expect(received).not_to_have_text(received.inner_text())
    expect(cards.locator("dd").first).to_have_text(re.compile(r"[\d.]+ [Mk]b/s"))
    player.send_signal(signal.SIGKILL)
    expect(cards).to_have_count(0, timeout=GONE_MS)
    expect(ended).to_have_count(1, timeout=GONE_MS)
    expect(ended.locator(".who")).to_have_text("1 Harbour · VLC")
    expect(page.locator("#nobody")).to_be_visible()
    assert page.evaluate("window.loadedOnce")


def test_a_pause_holds_the_page_and_going_on_brings_it_up_to_date(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """What happened in between is there at once."""
    page = open_page(demo)
    page.get_by_role("button", name="Pause live").click()
    expect(page.locator("#link")).to_have_attribute("data-state", "paused")
    watch(demo)
    until("it is active", lambda: demo.sessions("active"))
    expect(page.locator(".card")).to_have_count(0)
    page.get_by_role("button", name="Go on live").click()
    expect(page.locator(".card")).to_have_count(1)


def test_stop_says_what_it_does_and_then_what_came_of_it(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """A person may think better of it; the other viewer of the channel stays."""
    page = open_page(demo)
    player, other = watch(demo), watch(demo, agent="Kodi/21")
    card = page.locator(".card", has_text="VLC")
    stop, dialog = card.get_by_role("button", name="Stop"), page.get_by_role("dialog")
    expect(page.locator(".card")).to_have_count(2)
    stop.click()
    expect(dialog).to_contain_text("VLC at 127.0.0.1 loses Harbour at once. Others go on")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    stop.click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert player.poll() is None
    stop.click()
    dialog.get_by_role("button", name="End it").click()
    expect(page.locator("#result")).to_have_text(
        re.compile(r"■ Harbour for VLC was stopped in \d\.\d\d s, after \d+:\d\d and .*B\.")
    )
    expect(card).to_have_count(0)
    expect(page.locator("#ended li").first).to_contain_text("■ stopped by hand")
    until("the player is told", lambda: player.poll() is not None)
    expect(page.locator(".card", has_text="Kodi")).to_have_count(1)
    assert other.poll() is None
    ended = demo.dashboard()["just_ended"][0]
    assert (ended["reason"], ended["detail"]) == ("manual", "by_admin")


def test_a_stop_that_comes_too_late_says_so(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """The session ended while the person was asked."""
    page = open_page(demo, may_say="status of 409")
    player = watch(demo)
    page.locator(".card").get_by_role("button", name="Stop").click()
    player.kill()
    expect(page.locator(".card")).to_have_count(0)
    page.get_by_role("button", name="End it").click()
    expect(page.locator("#result")).to_contain_text("✕ Harbour for VLC was not stopped: ")


def test_a_hidden_tab_lets_go_of_its_connection(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """A browser has six for all tabs of a bridge; seen again, it shows what is."""
    page = open_page(demo)
    until("its feed is open", lambda: feeds(demo) == 1)
    hide = "value => { Object.defineProperty(document, 'hidden', { value, configurable: true });"
    hide += "document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, True)
    until("it let go", lambda: feeds(demo) == 0)
    watch(demo)
    until("it is active", lambda: demo.sessions("active"))
    page.evaluate(hide, False)
    expect(page.locator(".card .state")).to_have_text("● active")
    assert feeds(demo) == 1


def test_a_bridge_that_is_killed_and_comes_back_shows_no_ghost(
    tmp_path: Path, open_page: OpenPage, watch: Watch
) -> None:
    """The page says that it lost it, finds it again by itself, and tells why the session ended;
    also when what comes back has another, shorter log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with RunningBridge(tmp_path / "data", "--demo", PORT=str(port)) as bridge:
        page = open_page(bridge, may_say="net::ERR_")
        link = page.locator("#link")
        watch(bridge)
        expect(page.locator(".card .state")).to_have_text("● active")
        bridge.kill()
        expect(link).to_have_attribute("data-state", "lost")
        bridge.start()
        expect(link).to_have_attribute("data-state", "live")
        expect(page.locator(".card")).to_have_count(0)
        row = page.locator("#ended li").first
        expect(row).to_contain_text("✕ the bridge was killed while it ran")
        bridge.stop()
        shutil.rmtree(bridge.data_dir)
        bridge.start()
        expect(link).to_have_attribute("data-state", "live")
        expect(page.locator("#none-ended")).to_be_visible()
        watch(bridge, "2")
        expect(page.locator(".card h3")).to_have_text("2 Northern Lights")


def test_a_bridge_that_says_nothing_is_not_called_live(
    demo: RunningBridge, open_page: OpenPage
) -> None:
    """Its connection stands, and nothing comes: the page says for how long."""
    page = open_page(demo)
    link = page.locator("#link")
    expect(link).to_have_attribute("data-state", "live")
    assert demo.process is not None
    demo.process.send_signal(signal.SIGSTOP)
    try:
        expect(link).to_contain_text("nothing heard for", timeout=SILENCE_MS)
        expect(link).to_have_attribute("data-state", "lost")
    finally:
        demo.process.send_signal(signal.SIGCONT)
    expect(link).to_have_attribute("data-state", "live")


def test_a_network_that_lets_no_feed_through_is_asked_instead(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """The feed's answer never comes, as behind a proxy that waits for its end: the page is true all
    the same, a little later."""
    page = open_page(demo)
    page.route("**/api/live?*", lambda route: None)
    page.reload()
    player = watch(demo, "1")
    expect(page.locator(".card h3")).to_have_text("1 Harbour", timeout=ASKED_MS)
    player.kill()
    expect(page.locator(".card")).to_have_count(0, timeout=ASKED_MS)
    page.unroute_all(behavior="ignoreErrors")
