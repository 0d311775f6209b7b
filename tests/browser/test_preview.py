"""A preview in a real browser: it plays, says what it holds, and holds nothing once closed."""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Watch, provider
from tests.end_to_end.running import RunningBridge, until
from tests.service.provider_stub import trickles

expect.set_options(timeout=10_000)

GONE_S = 1.0
"""A closed preview's session and tuner; it takes a twentieth of this."""

PLAYED_S = 0.5
CLIP_S = 8
STEP_S = 0.1
PACKET = 188

CODECS = {
    "MPEG-2": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "layer 2 sound": ("-c:v", "libx264", "-c:a", "mp2"),
    "AC-3 sound": ("-c:v", "libx264", "-c:a", "ac3"),
    "no sound": ("-c:v", "libx264", "-an"),
    "sound alone": ("-vn", "-c:a", "aac"),
}


def clip(ffmpeg: str, path: Path, codec: tuple[str, ...]) -> bytes:
    """A few seconds of a test card and a tone."""
    sources = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25")
    sources += ("-f", "lavfi", "-i", "sine=frequency=440")
    end = ("-pix_fmt", "yuv420p", "-g", "25", "-t", str(CLIP_S), "-f", "mpegts", str(path))
    subprocess.run(
        [ffmpeg, "-nostdin", "-v", "error", *sources, *codec, *end],
        check=True,
        timeout=60,
        capture_output=True,
    )
    return path.read_bytes()


@contextmanager
def bridge_of_codecs(
    tmp_path: Path, ffmpeg: str, names: Iterable[str], **environment: str
) -> Iterator[RunningBridge]:
    """A channel per codec, named after it, sent at its own pace."""
    with provider() as stub:
        lines = ["#EXTM3U"]
        for number, name in enumerate(names, 1):
            body = clip(ffmpeg, tmp_path / f"{number}.ts", CODECS[name])
            step = int(len(body) * STEP_S / CLIP_S) // PACKET * PACKET
            url = stub.on(f"/{number}", trickles(body, step_bytes=step, every_s=STEP_S))
            lines += [f'#EXTINF:-1 tvg-chno="{number}",{name}', url]
        playlist = tmp_path / "list.m3u"
        playlist.write_text("\n".join(lines) + "\n")
        allowed = {"PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8", **environment}
        with RunningBridge(tmp_path / "data", "--playlist", str(playlist), **allowed) as bridge:
            yield bridge


@pytest.fixture
def codecs(tmp_path: Path, tool: Callable[[str], str]) -> Iterator[RunningBridge]:
    """All of them."""
    with bridge_of_codecs(tmp_path, tool("ffmpeg"), CODECS) as bridge:
        yield bridge


@pytest.fixture
def codecs_without_ffmpeg(tmp_path: Path, tool: Callable[[str], str]) -> Iterator[RunningBridge]:
    """MPEG-2, and a bridge that finds no ffmpeg."""
    nowhere = str(tmp_path / "no" / "ffmpeg")
    names = ["MPEG-2"]
    with bridge_of_codecs(tmp_path, tool("ffmpeg"), names, FFMPEG_PATH=nowhere) as bridge:
        yield bridge


def preview(page: Page, name: str) -> None:
    """Open a channel's preview."""
    page.get_by_role("button", name=f"Preview {name}").click()
    expect(page.locator("#preview")).to_be_visible()


def plays(page: Page) -> None:
    """Pictures go on: the video's own clock does."""
    video = page.locator("#preview-video")
    until("it plays", lambda: video.evaluate("video => video.currentTime") > PLAYED_S)


def says(page: Page, what: str | re.Pattern[str]) -> None:
    """What the dialog says of its state."""
    expect(page.locator("#preview-state")).to_have_text(what)


def nothing_is_held(bridge: RunningBridge) -> None:
    """No session, no tuner, within a second."""
    free = lambda: not bridge.sessions() and bridge.tuners_in_use() == 0  # noqa: E731
    until("the tuner is free", free, within_s=GONE_S)


def test_a_preview_plays_and_closing_it_frees_its_tuner(
    demo: RunningBridge, open_page: OpenPage
) -> None:
    """By keyboard alone. Its player is loaded only now; the live page shows the session come and
    go, and the focus returns to where it was."""
    live, page = open_page(demo), open_page(demo, "/channels")
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url.removeprefix(demo.base)))
    button = page.get_by_role("button", name="Preview 2 Northern Lights")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="2 Northern Lights")).to_be_visible()
    expect(page.locator("#preview-close")).to_be_focused()
    says(page, "● playing")
    plays(page)
    assert "/static/mpegts.js" in loaded
    (session,) = demo.sessions("active")
    assert [url for url in loaded if url.startswith("/streams/")] == [
        f"/streams/preview/{session['channel']['id']}"
    ]
    expect(page.locator("#preview-tuner")).to_have_text("Uses tuner 0, until you close this.")
    expect(live.locator(".card .client")).to_have_text("a web browser · 127.0.0.1")
    page.keyboard.press("Escape")
    nothing_is_held(demo)
    expect(page.locator("#preview")).to_be_hidden()
    expect(button).to_be_focused()
    expect(live.locator(".card")).to_have_count(0)
    expect(live.locator("#ended li")).to_contain_text("a web browser closed its connection")


def test_a_preview_of_what_somebody_watches_shares_its_tuner(
    demo: RunningBridge, open_page: OpenPage, watch: Watch
) -> None:
    """Opened from the viewer's card; the viewer notices nothing."""
    page = open_page(demo)
    player = watch(demo)
    preview(page, "Harbour")
    says(page, "● playing")
    expect(page.locator("#preview-tuner")).to_have_text(
        "Shares tuner 0 with 1 other viewer; closing this disturbs nobody."
    )
    assert demo.tuners_in_use() == 1
    page.get_by_role("button", name="Close").click()
    until("one is left", lambda: len(demo.sessions()) == 1, within_s=GONE_S)
    assert player.poll() is None
    assert demo.tuners_in_use() == 1


def test_a_pause_gives_the_tuner_back(demo: RunningBridge, open_page: OpenPage) -> None:
    """Nobody's tuner waits for a person who went for tea; going on is another session."""
    page = open_page(demo, "/channels")
    preview(page, "1 Harbour")
    plays(page)
    page.locator("#preview-video").evaluate("video => video.pause()")
    says(page, re.compile("■ Paused, and the session ended"))
    nothing_is_held(demo)
    page.get_by_role("button", name="Play again").click()
    says(page, "● playing")
    expect(page.locator("#preview-close")).to_be_focused()
    assert len(demo.sessions("active")) == 1


def test_a_full_house_is_said_and_can_be_tried_again(
    tmp_path: Path, open_page: OpenPage, watch: Watch
) -> None:
    """Refused with 805, in words; once the tuner is free, the same button plays."""
    with RunningBridge(tmp_path / "data", "--demo", TUNER_COUNT="1") as bridge:
        player = watch(bridge, "2")
        until("it is active", lambda: bridge.sessions("active"))
        page = open_page(bridge, "/channels", may_say="status of 503")
        preview(page, "1 Harbour")
        says(page, re.compile(r"✕ All tuners are in use, or .* End a session on the Now page"))
        player.kill()
        page.get_by_role("button", name="Play again").click()
        says(page, "● playing")


def test_whoever_ends_a_preview_is_named(demo: RunningBridge, open_page: OpenPage) -> None:
    """A person stopped it elsewhere; the picture does not just freeze."""
    page = open_page(demo, "/channels")
    preview(page, "1 Harbour")
    plays(page)
    (session,) = demo.sessions()
    ask = urllib.request.Request(f"{demo.base}/api/sessions/{session['id']}", method="DELETE")
    with urllib.request.urlopen(ask, timeout=5) as answer:
        assert json.load(answer)["ended"]["state"] == "ended"
    says(page, "■ The session ended: stopped by hand.")
    expect(page.get_by_role("button", name="Play again")).to_be_visible()


def test_a_bridge_that_is_gone_is_said(demo: RunningBridge, open_page: OpenPage) -> None:
    """While it plays, and when it is tried again."""
    page = open_page(demo, "/channels", may_say="net::ERR_")
    preview(page, "1 Harbour")
    plays(page)
    demo.kill()
    says(page, re.compile("✕ The bridge cannot be reached"))
    page.get_by_role("button", name="Play again").click()
    says(page, re.compile("✕ The bridge cannot be reached"))


def test_what_a_browser_cannot_show_is_said(codecs: RunningBridge, open_page: OpenPage) -> None:
    """MPEG-2 video, and what to do about it; nothing is held meanwhile. Transcoded, it plays."""
    page = open_page(codecs, "/channels")
    preview(page, "1 MPEG-2")
    says(
        page,
        "✕ This channel is MPEG-2 video; your browser cannot show it. "
        "Try with transcoding, or play it in VLC.",
    )
    nothing_is_held(codecs)
    page.get_by_role("button", name="Try with transcoding").click()
    says(page, re.compile("● playing"))
    plays(page)
    page.keyboard.press("Escape")
    nothing_is_held(codecs)


def test_a_bridge_that_cannot_transcode_says_so(
    codecs_without_ffmpeg: RunningBridge, open_page: OpenPage
) -> None:
    """In words, with what to do; nothing is held meanwhile."""
    page = open_page(codecs_without_ffmpeg, "/channels", may_say="status of 503")
    preview(page, "1 MPEG-2")
    says(page, re.compile("✕ This channel is MPEG-2 video"))
    page.get_by_role("button", name="Try with transcoding").click()
    says(page, re.compile("✕ The bridge does not transcode it now: at most 3 previews"))
    nothing_is_held(codecs_without_ffmpeg)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("2 layer 2 sound", "without its sound: your browser cannot decode MPEG layer 2"),
        ("3 AC-3 sound", "without its sound: your browser cannot decode AC-3"),
        ("4 no sound", "this channel has no sound"),
        ("5 sound alone", "this channel is sound alone"),
    ],
)
def test_half_of_a_channel_is_better_than_none(
    codecs: RunningBridge, open_page: OpenPage, channel: str, said: str
) -> None:
    """Pictures without a sound that cannot be decoded, in one session; and it is said."""
    page = open_page(codecs, "/channels")
    preview(page, channel)
    says(page, re.compile(f"● playing[,;] {said}"))
    plays(page)
    expect(page.get_by_role("button", name="Try with transcoding")).to_be_visible(
        visible="cannot decode" in said
    )
    assert len(codecs.sessions("active")) == 1
    assert codecs.dashboard()["just_ended"] == []


def test_a_preview_that_is_opened_and_closed_in_a_hurry_leaves_nothing(
    demo: RunningBridge, open_page: OpenPage
) -> None:
    """Before the answer, before the player is loaded, before the first picture."""
    page = open_page(demo, "/channels")
    for wait_ms in (0, 5, 20, 60, 150, 400):
        preview(page, "1 Harbour")
        page.wait_for_timeout(wait_ms)
        page.keyboard.press("Escape")
        expect(page.locator("#preview")).to_be_hidden()
    nothing_is_held(demo)
    preview(page, "3 Clockwork")
    plays(page)
    began = time.monotonic()
    page.close()
    nothing_is_held(demo)
    assert time.monotonic() - began < GONE_S + 1
