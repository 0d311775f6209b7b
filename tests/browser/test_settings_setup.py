"""The pages of settings and setup: what they say, who can use them, and that they are true."""

import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Watch
from tests.browser.test_page_face import HOSTILE, SCROLL_WIDTH
from tests.browser.test_record_faces import LONG, RTL, grave
from tests.end_to_end.running import RunningBridge, until
from tests.service.request_heads import DOCUMENTS, STREAMS

expect.set_options(timeout=10_000)

LOGIN = "http://somebody:s3cret@127.0.0.1:9/list.m3u"
HOSTILE_FILE = f'PLEXBRIDGE_ALLOWED_HOSTS = ["{"a" * 60}.example"]\nPLEXBRIDGE_LINGER = 250\n'


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    """Six channels; a login, and a switch, in the environment."""
    with RunningBridge(
        tmp_path / "data",
        "--demo",
        PLEXBRIDGE_PLAYLIST=LOGIN,
        SESSION_KEEP_ALIVE="true",
        PLEXBRIDGE_ADMISSION_WAIT="0",
    ) as running:
        yield running


def row(page: Page, name: str) -> "Page":
    """One setting."""
    return page.locator(f"#{name}")  # type: ignore[return-value]


def asks(bridge: RunningBridge, head: str, path: str) -> None:
    """A request as a program sends it; its answer has begun."""
    host, port = bridge.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.format(path=path, port=port).encode("utf-8"))
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")


def in_file(bridge: RunningBridge) -> dict[str, object]:
    """What `settings.toml` holds."""
    return tomllib.loads((bridge.data_dir / "settings.toml").read_text())


def test_without_scripts_every_setting_is_told(bridge: RunningBridge, open_page: OpenPage) -> None:
    """Value, layer, what it accepts; no login; nothing can be pressed."""
    page = open_page(bridge, "/settings", java_script_enabled=False)
    for name, words in (
        ("TUNER_COUNT", ("4", "○ default", "a whole number from 1 to 1000", "at once")),
        ("SESSION_KEEP_ALIVE", ("true", "■ environment", "wins over settings.toml")),
        ("PLEXBRIDGE_PLAYLIST", ("(set; not shown)", "■ environment")),
        ("PLEXBRIDGE_ADMIN_PASSWORD", ("none", "set it in the environment")),
        ("PLEXBRIDGE_LINGER", ("5000", "after a restart")),
    ):
        for word in words:
            expect(row(page, name)).to_contain_text(word)
    expect(row(page, "SESSION_KEEP_ALIVE").get_by_role("button")).to_have_count(0)
    for button in page.locator("[data-change]").all():
        expect(button).to_be_disabled()
    for path in ("/settings", "/api/settings"):
        page.goto(bridge.base + path)
        assert "s3cret" not in page.content(), path
        assert "somebody" not in page.content(), path


def test_a_setting_is_changed_by_keys_after_a_look_at_who_watches(
    bridge: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """What it will do is said first, then it is done, and nobody's session ends."""
    watch(bridge, "1", "Lavf/60")
    watch(bridge, "2", "Lavf/60")
    until("two watch", lambda: len(bridge.sessions("active")) == 2)
    page = open_page(bridge, "/settings", may_say="400 (Bad Request)")
    change = page.get_by_role("button", name="Change… TUNER_COUNT")
    change.focus()
    page.keyboard.press("Enter")
    value = page.get_by_label("New value of TUNER_COUNT")
    expect(value).to_be_focused()
    value.fill("0")
    page.keyboard.press("Enter")
    expect(page.locator(".edit .fault")).to_contain_text("it accepts a whole number from 1 to 1000")
    expect(value).to_be_focused()
    value.fill("1")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("4 → 1")
    expect(dialog).to_contain_text("2 sessions are open: none ends, nobody is interrupted.")
    expect(dialog).to_contain_text("refused until fewer than 1 are")
    expect(dialog.get_by_role("button", name="Keep it as it is")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert not (bridge.data_dir / "settings.toml").exists()
    value.focus()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_have_text("● Saved: TUNER_COUNT is 1 now.")
    expect(row(page, "TUNER_COUNT")).to_contain_text("● settings.toml")
    expect(page.get_by_role("button", name="Change… TUNER_COUNT")).to_be_focused()
    assert in_file(bridge) == {"TUNER_COUNT": 1}
    assert len(bridge.sessions("active")) == 2
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Take it out of settings.toml").click()
    dialog.get_by_role("button", name="Save").click()
    expect(row(page, "TUNER_COUNT")).to_contain_text("○ default")
    assert in_file(bridge) == {}


def test_what_waits_for_a_restart_is_shown_to_wait(
    bridge: RunningBridge, open_page: OpenPage
) -> None:
    """And a name that applies at once is on the page at once."""
    page = open_page(bridge, "/settings")
    page.get_by_label("Find").fill("upstream delivers")
    expect(page.locator(".setting:visible")).to_have_count(1)
    page.get_by_role("button", name="Change… PLEXBRIDGE_UPSTREAM_STALL").click()
    page.get_by_label("New value of PLEXBRIDGE_UPSTREAM_STALL").fill("4000")
    page.get_by_role("button", name="Save…").click()
    expect(page.get_by_role("dialog")).to_contain_text("takes effect after a restart")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("#result")).to_contain_text("will be 4000 after a restart")
    expect(row(page, "PLEXBRIDGE_UPSTREAM_STALL")).to_contain_text(
        re.compile(r"▲ At the next start: 4000.*now 3000")
    )
    page.get_by_label("Find").fill("")
    expect(page.get_by_text("Waiting for a restart:")).to_be_visible()
    page.get_by_role("button", name="Change… FRIENDLY_NAME").click()
    page.get_by_label("New value of FRIENDLY_NAME").fill("<b>Box</b>")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator(".brand")).to_contain_text("<b>Box</b>")
    page.get_by_role("button", name="Change… PLEXBRIDGE_LOG_LEVEL").click()
    page.get_by_label("New value of PLEXBRIDGE_LOG_LEVEL").select_option("debug")
    page.keyboard.press("Escape")
    expect(page.locator(".edit")).to_have_count(0)
    assert in_file(bridge) == {"PLEXBRIDGE_UPSTREAM_STALL": 4000, "FRIENDLY_NAME": "<b>Box</b>"}


def test_the_setup_ticks_while_plex_asks(
    bridge: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """On the open page, step by step, told once to who listens; the focus stays where it is."""
    page = open_page(bridge, "/")
    page.get_by_role("link", name="Step by step").click()
    expect(page).to_have_url(f"{bridge.base}/welcome")
    steps = page.locator("#steps > li")
    expect(steps).to_have_count(7)
    expect(page.locator("#step-guide")).to_have_attribute("data-done", "yes")
    expect(page.locator("#step-discover")).to_contain_text("Nobody asked for /discover.json yet.")
    page.get_by_role("button", name="Copy the guide's address").focus()
    asks(bridge, DOCUMENTS["Plex"], "/discover.json")
    expect(page.locator("#step-discover h2")).to_contain_text("● done")
    expect(page.locator("#step-discover")).to_contain_text("Plex Media Server at 127.0.0.1")
    expect(page.locator("#step-discover code")).to_contain_text("PlexMediaServer/")
    expect(page.locator("#step-address")).to_have_attribute("data-done", "yes")
    expect(page.locator("#announce")).to_contain_text("It asks what the tuner is")
    expect(page.get_by_role("button", name="Copy the guide's address")).to_be_focused()
    asks(bridge, DOCUMENTS["Plex"], "/lineup.json")
    expect(page.locator("#step-lineup")).to_have_attribute("data-done", "yes")
    asks(bridge, DOCUMENTS["Plex"], "/xmltv.xml")
    expect(page.locator("#step-guide_fetched")).to_have_attribute("data-done", "yes")
    watch(bridge, "1", "Lavf/60")
    expect(page.locator("#step-stream")).to_contain_text(
        re.compile(r"Plex or another media server at 127\.0\.0\.1: 1 \w+, [\d.]+ [kM]B so far")
    )
    expect(page.locator("#summary")).to_have_text("7 of 7 steps have happened: all is set up.")
    page.get_by_role("button", name="Copy the tuner's address").click()
    expect(page.locator("[data-copy=base]")).to_have_text(re.compile("^(Copied|Selected)"))


def test_an_empty_bridge_leads_to_the_setup(tmp_path: Path, open_page: OpenPage) -> None:
    """From the first page to the first step, and from there to the setting that it needs."""
    with RunningBridge(tmp_path / "data") as bare:
        page = open_page(bare, java_script_enabled=False)
        page.locator("#nobody").get_by_role("link", name="setup").click()
        expect(page.locator("#step-source")).to_contain_text("No source is set yet.")
        page.locator("#step-source").get_by_role("link", name="Settings").click()
        expect(page).to_have_url(f"{bare.base}/settings#PLEXBRIDGE_PLAYLIST")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1_280), ("dark", 1_280)]
)
def test_both_pages_can_be_read_and_used_by_everybody(
    bridge: RunningBridge,
    open_page: OpenPage,
    watch: Watch,
    tmp_path: Path,
    scheme: str,
    width: int,
) -> None:
    """On a phone and on a desk, in light and dark, with long values and programs named to do harm:
    it fits, nothing runs, and axe finds nothing serious, in the forms too."""
    (bridge.data_dir / "settings.toml").write_text(HOSTILE_FILE)
    for agent in (HOSTILE, RTL, LONG[:3_000]):
        asks(bridge, STREAMS["curl"].replace("curl/7.88.1", agent), "/discover.json")
    watch(bridge, "1", HOSTILE)
    until("one watches", lambda: bridge.sessions("active"))
    page = open_page(
        bridge, "/settings", viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    expect(page.get_by_role("button", name="Change… PORT")).to_have_count(0)
    expect(row(page, "PLEXBRIDGE_LINGER")).to_contain_text("▲ At the next start: 250")
    faces(page, tmp_path / f"settings-{width}-{scheme}.png", width)
    page.get_by_role("button", name="Change… PLEXBRIDGE_ALLOWED_HOSTS").click()
    faces(page, tmp_path / f"settings-form-{width}-{scheme}.png", width)
    page.get_by_role("button", name="Save…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    faces(page, tmp_path / f"settings-plan-{width}-{scheme}.png", width)
    page.goto(f"{bridge.base}/welcome")
    expect(page.locator("#link")).to_have_attribute("data-state", "live")
    expect(page.locator("#asked")).to_contain_text("<script>alert(1)</script>")
    expect(page.locator("main script, main img")).to_have_count(0)
    faces(page, tmp_path / f"welcome-{width}-{scheme}.png", width)


def faces(page: Page, picture: Path, width: int) -> None:
    """It fits, and can be read by everybody."""
    page.screenshot(path=picture, full_page=True)
    assert page.evaluate(SCROLL_WIDTH) <= width, picture.name
    assert grave(page) == [], picture.name
