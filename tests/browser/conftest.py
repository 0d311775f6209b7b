"""A browser on the live page of a running bridge, that fails a test whose page misbehaves."""

import asyncio
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import ProviderStub

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""A test machine's Chromium: as root, without a screen, asking nobody else."""

EXPECT_MS = 10_000

OpenPage = Callable[..., Page]
Watch = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def browser(tool: Callable[[str], str]) -> Iterator[Browser]:
    """Ends with its module: while it runs, no other event loop can."""
    path = tool("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningBridge]:
    """Six channels, nobody watching."""
    with RunningBridge(tmp_path / "data", "--demo") as bridge:
        yield bridge


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open a page, the live one unless said otherwise. However the test goes, its pages must have
    asked no other origin, broken no content policy, raised nothing, and said nothing on the console
    but what was allowed."""
    with ExitStack() as contexts:
        complaints: list[str] = []

        def open_(
            bridge: RunningBridge, path: str = "/", *, may_say: str = "", **context: Any
        ) -> Page:
            made = browser.new_context(**context)
            contexts.callback(made.close)
            page = made.new_page()
            page.set_default_timeout(EXPECT_MS)

            def said(kind: str, text: str) -> None:
                if not (may_say and may_say in text):
                    complaints.append(f"{kind}: {text}")

            page.on("console", lambda message: said(message.type, message.text))
            page.on("pageerror", lambda error: said("error", str(error)))
            page.on("dialog", lambda dialog: said("dialog", dialog.message))
            page.on(
                "request",
                lambda request: (
                    None if request.url.startswith(bridge.base) else said("asked", request.url)
                ),
            )
            page.goto(f"{bridge.base}{path}")
            return page

        yield open_
        assert complaints == []


@pytest.fixture
def watch(tool: Callable[[str], str]) -> Iterator[Watch]:
    """Play a channel until the test ends or kills it."""
    curl = tool("curl")
    players: list[subprocess.Popen[bytes]] = []

    def start(
        bridge: RunningBridge, number: str = "1", agent: str = "VLC/3"
    ) -> "subprocess.Popen[bytes]":
        url = f"{bridge.base}/auto/v{number}"
        player = subprocess.Popen([curl, "-s", "-o", "/dev/null", "-A", agent, url])
        players.append(player)
        return player

    yield start
    for player in players:
        player.kill()
        player.wait()


@contextmanager
def provider() -> Iterator[ProviderStub]:
    """A provider on its own loop, for tests that are not asynchronous themselves."""
    ready = threading.Event()
    made: list[tuple[ProviderStub, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def provide() -> None:
        over = asyncio.Event()
        async with ProviderStub() as stub:
            made.append((stub, asyncio.get_running_loop(), over))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(provide()))
    thread.start()
    assert ready.wait(EXPECT_MS / 1_000)
    stub, loop, over = made[0]
    try:
        yield stub
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
