"""The live page's face: safe, readable, and true before its script runs."""

import gzip
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from plexbridge.web import wording
from tests.browser.conftest import OpenPage, Watch, provider
from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import endless, stalls_after
from tests.service.ts_maker import TsMaker

expect.set_options(timeout=10_000)

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;{{7*7}}"
LONG = "Averylongname" * 12
FIRST_PAGE_BYTES = 60_000
SCROLL_WIDTH = "document.documentElement.scrollWidth"
INSIDE = """selector => {
  const { top, left, right, bottom } = document.querySelector(selector).getBoundingClientRect();
  return top >= 0 && left >= 0 && right <= innerWidth && bottom <= innerHeight;
}"""
CONTRAST_MIN = 4.5
"""WCAG 2.2, level AA, for text."""

TEXTS = (
    *(".brand", ".link", ".summary", ".quiet", "h2", "a", "footer"),
    *(".tuners .number", ".tuners .state", "button.danger"),
    *(".card .client", ".card dt", ".card .state", ".card .next"),
    *(".ended .why", ".ended .figures"),
)

PAINTED = """selector => [...document.querySelectorAll(selector)].filter(node => node.offsetParent)
  .map(node => {
    let behind = node;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") {
      behind = behind.parentElement;
    }
    return [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor];
  })"""


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[RunningBridge]:
    """Channels whose names are an attack, one that is long, and one that breaks."""
    with provider() as stub:
        fine = stub.on("/1", endless(bits_per_s=4e6))
        broken = stub.on("/2", stalls_after(TsMaker().chunk(188_000)))
        playlist = tmp_path / "list.m3u"
        playlist.write_text(
            f'#EXTM3U\n#EXTINF:-1 tvg-chno="1",{HOSTILE}\n{fine}\n'
            f'#EXTINF:-1 tvg-chno="2",{LONG}\n{broken}\n'
            f'#EXTINF:-1 tvg-chno="3" group-title="{LONG}",{LONG}\n{stub.url("/404")}\n'
        )
        with RunningBridge(
            tmp_path / "data",
            *("--playlist", str(playlist)),
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
            FRIENDLY_NAME="<b>Mine</b>",
        ) as bridge:
            yield bridge


def test_hostile_names_are_text(hostile: RunningBridge, open_page: OpenPage, watch: Watch) -> None:
    """Drawn by the server or by the script: nothing runs, nothing is fetched."""
    player = watch(hostile, agent=HOSTILE)
    for scripts in (False, True):
        page = open_page(hostile, java_script_enabled=scripts)
        if not scripts:
            page.wait_for_load_state()
            while page.locator(".card").count() == 0:
                page.reload()
        expect(page.locator(".card h3")).to_have_text(f"1 {HOSTILE}")
        expect(page.locator("#tuners li .what").first).to_have_text(f"1 {HOSTILE}")
        expect(page.locator(".brand")).to_contain_text("<b>Mine</b>")
        expect(page.locator("main script, main img")).to_have_count(0)
        listed = open_page(hostile, "/channels?q=%3Cimg", java_script_enabled=scripts)
        expect(listed.locator(".lineup .name")).to_have_text(HOSTILE)
        expect(listed.locator("main script, main img")).to_have_count(0)
    listed.get_by_role("button", name="Preview").click()
    expect(listed.get_by_role("heading", name=HOSTILE)).to_have_text(f"1 {HOSTILE}")
    expect(listed.locator("#preview-tuner")).to_have_text(
        re.compile("^Shares tuner 0 with 1 other")
    )
    listed.keyboard.press("Escape")
    expect(page.locator(".card")).to_have_count(1)
    page.locator(".card").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"loses {HOSTILE} at once")
    page.get_by_role("button", name="End it").click()
    expect(page.locator("#ended .who").first).to_contain_text(f"1 {HOSTILE}")
    expect(page.locator("#result")).to_contain_text(HOSTILE)
    player.wait(timeout=10)


def told(page: Page) -> list[str]:
    """What the page says, but for what moves with time."""
    texts = page.locator(
        "#tuners, .card h3, .card .state, .card .client, .card dt, .card .next, .ended .who, "
        ".ended .why, .ended .figures, #position, #nobody"
    ).all_inner_texts()
    clock = r"\d\d:\d\d:\d\d( UTC)?"
    return [re.sub(clock, "TIME", " ".join(text.split())) for text in texts]


def test_without_scripts_it_shows_the_same(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """One session there, one that ended; asked anew every ten seconds."""
    scripted = open_page(demo)
    player = watch(demo, "2")
    expect(scripted.locator(".card")).to_have_count(1)
    player.kill()
    expect(scripted.locator("#ended li")).to_have_count(1)
    expect(scripted.locator("#tuners")).to_contain_text("freed")
    watch(demo, agent="Kodi/21")
    expect(scripted.locator(".card .state")).to_have_text("● active")
    plain = open_page(demo, java_script_enabled=False)
    assert len(told(plain)) > 10
    for _ in range(20):
        shown = told(plain)
        if shown == told(scripted):
            break
        plain.reload()
    assert shown == told(scripted)
    expect(plain.locator("noscript meta")).to_have_attribute("content", "10")
    assert re.search(r"1 of 4 tuners in use · 1 session", plain.locator("#summary").inner_text())
    for button in plain.get_by_role("button").all():
        assert button.is_disabled(), "it could do nothing"


def test_figures_are_said_alike_by_server_and_script(
    demo: RunningBridge, open_page: OpenPage
) -> None:
    """`wording.py` and `words.js` are twins."""
    page = open_page(demo)
    figures = sorted(
        {n for e in range(13) for b in (1, 2, 5, 9.994, 9.996) for n in [int(b * 10**e)]}
    )
    figures += [0, 500, 1_500, 999, 999_499, 999_500, 59_499, 59_500, 3_599_500, 3_600_000]
    due = {"after_ms": 20_000}
    sessions: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
        ({"state": state, "next_deadline": deadline}, gauge)
        for state in ("connecting", "active", "recovering")
        for deadline in (due, None)
        for gauge in (None, {"deadline_in_ms": 4_001}, {"deadline_in_ms": -5})
    ]
    ask = "async ([name, given]) => given.map((await import('/static/words.js'))[name])"
    for name, ours in (("size", wording.size), ("rate", wording.rate), ("span", wording.span)):
        assert page.evaluate(ask, [name, figures]) == [ours(n) for n in figures], name
    steps = "async given => { const { nextStep } = await import('/static/words.js');"
    steps += "return given.map(([session, gauge]) => nextStep(session, gauge)); }"
    assert page.evaluate(steps, sessions) == [wording.next_step(*pair) for pair in sessions]
    shapes = page.evaluate("async () => (await import('/static/words.js')).SHAPES")
    assert shapes == wording.SHAPES


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Of two opaque colours as a browser writes them."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("width", [360, 1_280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(
    hostile: RunningBridge,
    open_page: OpenPage,
    watch: Watch,
    tmp_path: Path,
    scheme: str,
    width: int,
) -> None:
    """On a phone and on a desk, in light and dark, with names as long as they come."""
    page = open_page(hostile, viewport={"width": width, "height": 800}, color_scheme=scheme)
    player = watch(hostile, "1")
    expect(page.locator(".card")).to_have_count(1)
    player.kill()
    expect(page.locator("#ended li")).to_have_count(1)
    watch(hostile, "1")
    watch(hostile, "2", "Lavf/60")
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator(".card[data-state=active]").first).to_be_visible()
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    assert page.evaluate(SCROLL_WIDTH) <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (_luminance(ground) > 0.5) == (scheme == "light")
    reads_well(page, TEXTS)
    page.locator(".card").first.get_by_role("button", name="Stop").click()
    assert page.evaluate(SCROLL_WIDTH) <= width
    reads_well(page, ("#confirm h2", "#confirm p", "#confirm button.danger"))


def reads_well(page: Page, selectors: tuple[str, ...]) -> None:
    """Every text stands out from what is behind it."""
    least = math.inf
    for selector in selectors:
        painted = page.evaluate(PAINTED, selector)
        assert painted, f"{selector} is not on the page"
        for colour, behind in painted:
            assert contrast(colour, behind) >= CONTRAST_MIN, (selector, colour, behind)
            least = min(least, contrast(colour, behind))
    assert least < 21, "it was measured"


@pytest.mark.parametrize("width", [360, 1_280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_channels_and_a_preview_fit_and_can_be_read(
    hostile: RunningBridge, open_page: OpenPage, tmp_path: Path, scheme: str, width: int
) -> None:
    """The dialog too, with the longest of names, while it says what went wrong."""
    page = open_page(
        hostile,
        "/channels",
        may_say="status of 503",
        viewport={"width": width, "height": 740},
        color_scheme=scheme,
    )
    assert page.evaluate(SCROLL_WIDTH) <= width
    texts = (".bar nav a", ".filter label", ".lineup .name", ".lineup .number", ".lineup .logo")
    reads_well(page, (*texts, ".lineup button", "#count", "footer"))
    page.screenshot(path=tmp_path / f"channels-{width}-{scheme}.png")
    page.get_by_role("button", name=f"Preview 3 {LONG}").click()
    expect(page.locator("#preview-state")).to_contain_text("✕ The channel could not be tuned")
    page.screenshot(path=tmp_path / f"preview-{width}-{scheme}.png")
    assert page.evaluate(SCROLL_WIDTH) <= width
    assert page.evaluate(INSIDE, "#preview"), "all of the dialog is seen"
    reads_well(page, ("#preview h2", "#preview-state", "#preview button"))


def test_the_first_page_is_small(demo: RunningBridge, open_page: OpenPage) -> None:
    """What a browser loads before anything is clicked, compressed; the player is not in it."""
    page = open_page(demo)
    with page.context.new_page() as fresh:
        asked: list[str] = []
        fresh.on("request", lambda request: asked.append(request.url))
        fresh.goto(f"{demo.base}/")
        expect(fresh.locator("#link")).to_have_attribute("data-state", "live")
        files = {url for url in asked if "/api/" not in url}
        assert f"{demo.base}/static/now.js" in files
        assert not [url for url in files if "mpegts" in url]
        bodies = [fresh.request.get(url).body() for url in files]
    assert sum(len(gzip.compress(body)) for body in bodies) <= FIRST_PAGE_BYTES
