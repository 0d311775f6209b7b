"""The faces of the pages of what is recorded: safe, readable by everybody, as wide as a phone."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, provider
from tests.browser.test_page_face import HOSTILE, SCROLL_WIDTH
from tests.end_to_end.running import RunningBridge, until
from tests.service.provider_stub import endless

expect.set_options(timeout=10_000)

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
GRAVE = ("serious", "critical")

RTL = "\u202eمرحبا بالعالم\u202c قناة"
LONG = "Averylongname" * 800
"""10 kB without a space."""


@pytest.fixture(scope="module")
def lived(
    tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]
) -> Iterator[RunningBridge]:
    """A bridge whose channels and players are named to do harm: sessions that ended well and
    badly, one that goes on, a refusal."""
    folder = tmp_path_factory.mktemp("lived")
    with provider() as stub:
        fine = stub.on("/1", endless(bits_per_s=4e6))
        playlist = folder / "list.m3u"
        playlist.write_text(
            f'#EXTM3U\n#EXTINF:-1 tvg-chno="1",{HOSTILE}\n{fine}\n'
            f'#EXTINF:-1 tvg-chno="2",{RTL}\n{fine}\n'
            f'#EXTINF:-1 tvg-chno="3",{LONG}\n{fine}\n'
            f'#EXTINF:-1 tvg-chno="4",{LONG}\n{stub.url("/404")}\n'
        )
        arguments = ("--playlist", str(playlist))
        with RunningBridge(
            folder / "data",
            *arguments,
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
            FRIENDLY_NAME="<b>Mine</b>",
        ) as bridge:

            def play(number: int, agent: str, seconds: str) -> "subprocess.Popen[bytes]":
                address = f"{bridge.base}/auto/v{number}"
                curl = [tool("curl"), "-s", "-o", "/dev/null", "-m", seconds, "-A", agent, address]
                return subprocess.Popen(curl)

            for number, agent in ((1, HOSTILE), (2, RTL), (3, "VLC/3"), (4, "Lavf/60"), (99, LONG)):
                play(number, agent[:3_000], "0.4").wait()
            player = play(3, HOSTILE, "100")
            until("one is active", lambda: bridge.sessions("active"))
            until("four ended", lambda: len(bridge.dashboard()["just_ended"]) == 4)
            yield bridge
            player.kill()
            player.wait()


def addresses(bridge: RunningBridge) -> dict[str, str]:
    """Every page of what is recorded, and the first one, which leads there."""
    ended = {one["channel"]["guide_number"]: one for one in bridge.dashboard()["just_ended"]}
    [watching] = bridge.sessions()
    return {
        "now": "/",
        "story": f"/sessions/{ended['1']['id']}",
        "failed": f"/sessions/{ended['4']['id']}",
        "open": f"/sessions/{watching['id']}",
        "history": "/history",
        "time": "/time",
        "events": "/events",
    }


def test_without_scripts_hostile_names_are_text(lived: RunningBridge, open_page: OpenPage) -> None:
    """Nothing is fetched, and the names are there as they are."""
    for name, address in addresses(lived).items():
        page = open_page(lived, address, java_script_enabled=False)
        harmless(page, name)
        page.close()


@pytest.mark.parametrize(
    ("scheme", "width", "looked_through"),
    [("light", 360, False), ("dark", 360, True), ("light", 1_280, True), ("dark", 1_280, False)],
)
def test_every_page_can_be_read_and_used_by_everybody(
    lived: RunningBridge,
    open_page: OpenPage,
    tmp_path: Path,
    scheme: str,
    width: int,
    looked_through: bool,
) -> None:
    """On a phone and on a desk, in light and dark, with names as long and as evil as they come: it
    fits, nothing runs, no policy is broken, and axe finds nothing serious (contrast, names, roles,
    order, targets)."""
    found: list[str] = []
    for name, address in addresses(lived).items():
        if not looked_through and name in ("now", "failed", "open"):
            continue
        page = open_page(
            lived, address, viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        drawn(page)
        harmless(page, name)
        page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate(SCROLL_WIDTH) <= width, name
        if looked_through:
            found += [f"{name}: {complaint}" for complaint in grave(page)]
        page.close()
    assert found == []


def harmless(page: Page, name: str) -> None:
    """What was named to do harm is text."""
    expect(page.locator(".brand")).to_contain_text("<b>Mine</b>")
    if name not in ("open", "failed"):
        expect(page.get_by_text("<script>alert(1)</script>").first).to_be_attached()
    expect(page.locator("main script, main img")).to_have_count(0)


def drawn(page: Page) -> None:
    """Its script has done its part."""
    if page.locator("#charts").count():
        expect(page.locator("#charts canvas")).to_have_count(2)
    if page.locator("#link").count():
        expect(page.locator("#link")).to_have_attribute("data-state", re.compile("live|ended"))


def grave(page: Page) -> list[str]:
    """What axe finds that keeps people from reading or using a page."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(result["passes"]) > 10, "it looked"
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for one in result["violations"]
        if one["impact"] in GRAVE
        for node in one["nodes"][:3]
    ]
