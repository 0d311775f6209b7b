"""How soon a player's leaving is seen on every open page, with many sessions, feeds and pages open.

200 players on the demo's channels leave one after another while 50 subscribers read the feed and
two pages are open in Chromium. The time is from the call that closes a player's connection to the
moment its card has left the page, as the page's own observer sees it. Pages draw in processors that
bridge, players and subscribers share. Before, while 50 watch and nobody else is there: the time to
the first paint of the page, as Chromium tells it.
"""

import asyncio
import shutil
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import aiohttp
from playwright.async_api import Browser, Page, async_playwright

from tests.bench.departures import LEAVE_EVERY_S, drained, joined
from tests.bench.figures import Figure, milliseconds
from tests.end_to_end.running import RunningBridge

SIZES, QUICK_SIZES = (200, 50, 9), (10, 5, 1)
"""Players, subscribers, and how often the page is opened."""

PAGES: Final = 2
PAINTED_PLAYERS: Final = 50
SHOWN_WITHIN_MS: Final = 30_000
QUIET: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

_PAINTED: Final = """async () => {
  for (;;) {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    if (paint) return paint.startTime;
    await new Promise((again) => setTimeout(again, 10));
  }
}"""

_OBSERVE: Final = """() => {
  window.goneAt = {};
  const gone = (node) => {
    if (node.nodeType !== 1) return;
    const cards = node.matches("[data-session]") ? [node] : node.querySelectorAll("[data-session]");
    for (const card of cards) {
      const id = card.dataset.session;
      if (!document.querySelector(`[data-session="${id}"]`))
        window.goneAt[id] = performance.timeOrigin + performance.now();
    }
  };
  new MutationObserver((changes) => {
    for (const change of changes) change.removedNodes.forEach(gone);
  }).observe(document.getElementById("sessions"), {childList: true, subtree: true});
}"""


async def _read(client: aiohttp.ClientSession, base: str) -> None:
    async with client.get(f"{base}/api/live", timeout=aiohttp.ClientTimeout(None)) as feed:
        async for _ in feed.content.iter_chunked(1 << 16):
            pass


async def _painted(browser: Browser, base: str) -> float:
    """Milliseconds to the first contentful paint, by a browser that has nothing cached."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{base}/")
    painted: float = await page.evaluate(_PAINTED)
    await context.close()
    return painted


async def _measured(
    base: str, chromium: str, players: int, feeds: int, paints: int
) -> tuple[list[float], list[float]]:
    host, port = base.removeprefix("http://").split(":")
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        watching: list[tuple[str, socket.socket]] = []
        sockets: list[socket.socket] = []
        draining = asyncio.ensure_future(drained(sockets))
        for number in range(min(PAINTED_PLAYERS, players)):
            watching.append(await joined(host, int(port), number))
            sockets.append(watching[-1][1])
        painted = [await _painted(browser, base) for _ in range(paints)]
        for number in range(len(watching), players):
            watching.append(await joined(host, int(port), number))
            sockets.append(watching[-1][1])
        reading = [asyncio.ensure_future(_read(client, base)) for _ in range(feeds)]
        pages = [await browser.new_page(bypass_csp=True) for _ in range(PAGES)]
        for page in pages:
            await page.goto(f"{base}/")
            await page.wait_for_function(
                f"document.querySelectorAll('#sessions [data-session]').length >= {players}",
                timeout=SHOWN_WITHIN_MS,
            )
            await page.evaluate(_OBSERVE)
        left_ms: dict[str, float] = {}
        for session, sock in watching:
            sockets.remove(sock)
            left_ms[session] = time.time() * 1e3
            sock.close()
            await asyncio.sleep(LEAVE_EVERY_S)
        took = [one for page in pages for one in await _took(page, left_ms)]
        for task in (draining, *reading):
            task.cancel()
        await asyncio.gather(draining, *reading, return_exceptions=True)
        await browser.close()
    return painted, took


async def _took(page: Page, left_ms: dict[str, float]) -> list[float]:
    await page.wait_for_function(
        f"Object.keys(window.goneAt).length >= {len(left_ms)}", timeout=SHOWN_WITHIN_MS
    )
    gone_ms: dict[str, float] = await page.evaluate("window.goneAt")
    return [gone_ms[session] - at_ms for session, at_ms in left_ms.items()]


def measure(quick: bool) -> list[Figure]:
    """Of every player on every page."""
    players, feeds, paints = QUICK_SIZES if quick else SIZES
    what = f"player gone → gone from {PAGES} open pages, {players} sessions, {feeds} subscribers"
    chromium = shutil.which("chromium")
    if chromium is None:
        return [Figure(what, "none: there is no chromium")]
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningBridge(Path(folder) / "data", "--demo", TUNER_COUNT="6") as bridge,
    ):
        painted, took = asyncio.run(_measured(bridge.base, chromium, players, feeds, paints))
    return [
        Figure(
            f"first paint of the page, {min(PAINTED_PLAYERS, players)} sessions",
            f"{statistics.median(painted):.0f} ms ({min(painted):.0f} to {max(painted):.0f})",
            "300 ms",
        ),
        Figure(what, milliseconds(took, worst=True), "p99 250 ms"),
    ]
