"""The pages of what is recorded: a story and its cause, history, any moment, the log itself."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from plexbridge.web.events_page import ROWS_MAX
from tests.browser.conftest import OpenPage, Watch
from tests.end_to_end.running import RunningBridge, until

expect.set_options(timeout=10_000)

HELD_ROWS = 500
"""What the page of events holds at most."""

TOGETHER = 6
"""Players at once while many come and go: one for each channel of the demo."""


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[RunningBridge]:
    """The demo with a tuner for each of its channels; relays let go at once, which is an event more
    for each who leaves."""
    more = {"TUNER_COUNT": str(TOGETHER), "PLEXBRIDGE_LINGER": "0"}
    with RunningBridge(tmp_path / "data", "--demo", **more) as bridge:
        yield bridge


def watched(bridge: RunningBridge, watch: Watch, number: str = "1", agent: str = "VLC/3") -> str:
    """A session that was active and ended; its id."""
    before = {one["id"] for one in bridge.dashboard()["just_ended"]}
    player = watch(bridge, number, agent)
    until("it is active", lambda: bridge.sessions("active"))
    player.kill()
    ended = until(
        "it is told",
        lambda: [o for o in bridge.dashboard()["just_ended"] if o["id"] not in before],
    )
    return str(ended[0]["id"])


def test_from_now_to_a_story_and_to_what_caused_it(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """By keys alone: along the links, to the evidence, through the events, to their data; and its
    text for an issue is copied."""
    session = watched(demo, watch)
    page = open_page(demo, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#ended .who").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{demo.base}/sessions/{session}")
    expect(page.locator(".verdict")).to_contain_text("VLC closed its connection at ")
    for lane in ("state: connecting for", "client: VLC for", "tuner: tuner 0", "upstream: demo"):
        expect(page.get_by_role("img", name=lane)).to_be_visible()
    evidence = page.locator(".verdict .evidence a")
    end = evidence.inner_text().removeprefix("#")
    evidence.focus()
    page.keyboard.press("Enter")
    row = page.locator(f"#e{end}")
    expect(row).to_be_in_viewport()
    expect(row).to_contain_text("● active → ■ ended")
    cause = row.locator(".cause a")
    cause.focus()
    page.keyboard.press("Enter")
    expect(page.locator("li:target")).to_contain_text(cause.inner_text())
    row.locator(".cause a").focus()
    page.keyboard.press("k")
    page.keyboard.press("e")
    expect(page.locator("li:focus-within pre")).to_be_visible()
    page.keyboard.press("j")
    expect(row).to_be_focused()
    page.get_by_role("button", name="Copy as issue text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"client_disconnect \(client_(closed|reset)\)", text), text
    assert "127.0.0.1" not in text
    with page.expect_download() as started:
        page.get_by_role("link", name="Download its events").click()
    assert started.value.suggested_filename == f"session-{session}.ndjson"


def test_an_open_story_follows_its_session_to_its_end(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """Without a reload; and then it asks no more."""
    player = watch(demo)
    [session] = until("it is active", lambda: demo.sessions("active"))
    page = open_page(demo, f"/sessions/{session['id']}")
    expect(page.locator(".story-title .state")).to_have_text("● active")
    expect(page.locator("#link")).to_have_attribute("data-state", "live")
    player.kill()
    expect(page.locator(".story-title .state")).to_have_text("■ ended")
    expect(page.locator("#link")).to_have_text("ended")
    expect(page.locator(".verdict")).to_contain_text("VLC closed its connection")


@pytest.mark.parametrize("scripts", [True, False])
def test_history_is_filtered_by_its_address(
    demo: RunningBridge, open_page: OpenPage, watch: Watch, scripts: bool
) -> None:
    """Form, links and address say the same; charts where there are scripts, a table anywhere."""
    first = watched(demo, watch, "1")
    second = watched(demo, watch, "2", "Kodi/21")
    page = open_page(demo, "/history", java_script_enabled=scripts)
    rows = page.locator(".ended li")
    expect(rows).to_have_count(2)
    expect(page.locator("#charts canvas")).to_have_count(2 if scripts else 0)
    page.get_by_text("As a table").click()
    expect(page.locator(".as-table tbody tr").first).to_be_visible()
    page.get_by_label("Any word").fill("kodi lights")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(rows.locator("a")).to_have_attribute("href", f"sessions/{second}")
    expect(page).to_have_url(re.compile(r"\?q=kodi\+lights&"))
    page.goto(f"{demo.base}/history")
    page.get_by_role("link", name="1 Harbour", exact=True).click()
    expect(rows.locator("a")).to_have_attribute("href", f"sessions/{first}")
    expect(page.get_by_role("textbox", name="Channel")).not_to_have_value("")
    page.get_by_role("link", name="24 hours").click()
    expect(rows).to_have_count(1)
    rows.locator("a").click()
    expect(page.locator(".story-title .name")).to_have_text("1 Harbour")


def shown(page: Page) -> dict[str, Any]:
    """What the page of time shows, of what the dashboard says."""
    return {
        "position": int(page.locator("#moment").get_attribute("data-position") or ""),
        "tuners": page.locator("#tuners li").evaluate_all("all => all.map(n => n.dataset.state)"),
        "sessions": [
            [card.get_attribute("data-session"), card.get_attribute("data-state")]
            for card in page.locator(".card").all()
        ],
        "ended": [
            (link.get_attribute("href") or "").removeprefix("sessions/")
            for link in page.locator("#ended .who").all()
        ],
    }


def recorded_then(bridge: RunningBridge, at: object) -> dict[str, Any]:
    """The same of the recorded truth."""
    document = bridge.get(f"/api/dashboard?at={at}")
    return {
        "position": document["position"],
        "tuners": [tuner["state"] for tuner in document["tuners"]],
        "sessions": [[one["id"], one["state"]] for one in document["sessions"]],
        "ended": [one["id"] for one in document["just_ended"]],
    }


def test_any_moment_is_shown_as_it_was(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """Step by step by keys, through all there was: each equals the recorded truth, is visibly the
    past, offers nothing to do, and has an address that leads there again."""
    watched(demo, watch, "1")
    watch(demo, "2")
    until("it is active", lambda: demo.sessions("active"))
    page = open_page(demo, "/time")
    slider, moment = page.get_by_role("slider"), page.locator("#moment")
    expect(moment).to_contain_text("You are looking at the past")
    assert shown(page)["sessions"] == recorded_then(demo, demo.dashboard()["position"])["sessions"]
    slider.focus()
    seen = [shown(page)["position"]]
    page.evaluate("window.loadedOnce = true")
    while seen[-1] > 0:
        page.keyboard.press("ArrowLeft")
        expect(moment).not_to_have_attribute("data-position", str(seen[-1]))
        told = shown(page)
        assert told == recorded_then(demo, told["position"])
        seen.append(told["position"])
        expect(slider).to_be_focused()
        for button in moment.get_by_role("button").all():
            assert not button.is_visible()
    assert len(seen) > 8
    page.keyboard.press("ArrowRight")
    expect(moment).to_have_attribute("data-position", str(seen[-2]))
    assert page.evaluate("window.loadedOnce")
    middle = seen[len(seen) // 2]
    again = open_page(demo, f"/time?at={middle}", java_script_enabled=False)
    assert shown(again) == recorded_then(demo, middle)
    expect(again.get_by_role("link", name="Event before")).to_be_visible()
    page.keyboard.press("End")
    expect(moment).to_contain_text("1 of 4 tuners in use")
    said = slider.get_attribute("aria-valuetext") or ""
    assert "1 of 4 tuners in use · 1 session" in said


def test_the_slider_goes_to_a_time(demo: RunningBridge, open_page: OpenPage, watch: Watch) -> None:
    """Moved by hand, the moment under it is that of the time it stands at."""
    watched(demo, watch)
    page = open_page(demo, "/time")
    connect = next(e for e in demo.get("/api/time")["axis"]["at_once"] if e)
    assert connect == 1
    box = page.get_by_role("slider").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile(r"\?at=\d{13}$"))
    at = page.url.split("=")[1]
    expect(page.locator("#moment")).to_have_attribute("data-when", at)
    assert shown(page) == recorded_then(demo, at)


def zap(tool: Callable[[str], str], bridge: RunningBridge, more: int) -> None:
    """Players come and go on every channel at once, until the log has so many events more."""
    goal = bridge.dashboard()["position"] + more
    over = threading.Event()

    def play(number: int) -> None:
        address = f"{bridge.base}/auto/v{number}"
        command = [tool("curl"), "-s", "-o", "/dev/null", "-m", "0.2", "-A", "VLC/3", address]
        while not over.is_set():
            subprocess.run(command, check=False)

    with ThreadPoolExecutor(TOGETHER) as pool:
        playing = [pool.submit(play, number) for number in range(1, TOGETHER + 1)]
        try:
            until("much happened", lambda: bridge.dashboard()["position"] >= goal, within_s=60)
        finally:
            over.set()
    assert [one.result() for one in playing] == [None] * TOGETHER
    until("all have gone", lambda: not bridge.sessions())


def test_pages_left_open_while_many_come_and_go(
    wide: RunningBridge, open_page: OpenPage, tool: Callable[[str], str]
) -> None:
    """Events stream in, bounded, in order, each once; paused they hold still, and then say that
    there is more than they show; the others tell the truth once it is quiet."""
    now, events = open_page(wide), open_page(wide, "/events")
    held = open_page(wide, "/events?type=connect")
    rows = events.locator("#rows li")
    held.get_by_role("button", name="Pause live").click()
    before = held.locator("#rows li").count()
    zap(tool, wide, HELD_ROWS + 20)
    head = wide.dashboard()["position"]
    expect(rows.first).to_have_id(re.compile(rf"e({head}|{head + 1}|{head + 2})$"))
    assert rows.count() <= HELD_ROWS
    positions = events.locator("#rows li[id]").evaluate_all("all => all.map(n => +n.id.slice(1))")
    assert positions == sorted(set(positions), reverse=True)
    assert held.locator("#rows li").count() == before
    ended = [one["id"] for one in wide.dashboard()["just_ended"]]
    expect(now.locator("#ended .who").first).to_have_attribute("href", f"sessions/{ended[0]}")
    expect(now.locator("#ended li")).to_have_count(len(ended))
    expect(now.locator(".card")).to_have_count(0)

    everything = open_page(wide, "/events")
    everything.get_by_role("button", name="Pause live").click()
    expect(everything.locator("#link")).to_have_attribute("data-state", "paused")
    zap(tool, wide, ROWS_MAX + 20)
    everything.get_by_role("button", name="Go on live").click()
    gap = everything.locator("#rows li.gap")
    expect(gap).to_contain_text("There is more")
    page_rows = everything.locator("#rows li").count()
    assert ROWS_MAX < page_rows <= HELD_ROWS
    gap.get_by_role("link").click()
    expect(everything.locator("#rows li")).to_have_count(ROWS_MAX)
    held.get_by_role("button", name="Go on live").click()
    expect(held.locator("#rows li.gap, #rows li").first).to_contain_text("connect")
    assert set(held.locator("#rows .type").all_inner_texts()) == {"connect"}


def test_events_come_live_through_their_filters(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """Only what was asked for, with its cause and a way to its story."""
    page = open_page(demo, "/events?stream=session-&type=disconnect")
    expect(page.get_by_text("No event is one of these.")).to_be_visible()
    expect(page.locator("#link")).to_have_attribute("data-state", "live")
    session = watched(demo, watch)
    row = page.locator("#rows li")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("● active → ■ ended client_disconnect · client_")
    expect(row.locator(".stream a")).to_have_attribute("href", f"sessions/{session}")
    expect(page.get_by_text("No event is one of these.")).to_have_count(0)
    row.locator(".cause a").click()
    expect(page.locator("li:target")).to_contain_text("activity")
