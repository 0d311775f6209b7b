"""The newcomer's way: the demo, real players, a crash, a stop."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.running import RunningBridge, until
from tests.service.ts_checker import TsChecker

Tool = Callable[[str], str]

SOUT = "#std{access=file,mux=ts,dst=/dev/null}"
GONE_WITHIN_S = 5.0
"""The seed's promise; ours is 0.25 s, which the benchmarks show."""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningBridge]:
    with RunningBridge(tmp_path / "data", "--demo") as bridge:
        yield bridge


def test_the_start_prints_the_few_addresses_a_person_needs(demo: RunningBridge) -> None:
    """The page, the tuner's address, and something to try."""
    assert "serves 9 channels on 4 tuners" in demo.output
    assert "tuner address  http://" in demo.output


def test_ffmpeg_plays_ten_seconds(demo: RunningBridge, tool: Tool, tmp_path: Path) -> None:
    """Without a word of complaint, and as whole packets with continuous counters."""
    out = tmp_path / "out.ts"
    played = subprocess.run(
        [tool("ffmpeg"), *f"-v warning -y -i {demo.base}/auto/v1 -t 10 -c copy".split(), str(out)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert played.stderr == ""
    assert out.stat().st_size > 200_000


def test_what_is_relayed_is_continuous(demo: RunningBridge, tool: Tool, tmp_path: Path) -> None:
    """Packet by packet, from the first byte on."""
    out = tmp_path / "raw.ts"
    subprocess.run(
        [tool("curl"), "-s", "-m", "4", "-o", str(out), f"{demo.base}/auto/v2"], check=False
    )
    body = out.read_bytes()
    checker = TsChecker().feed(body[: len(body) // 188 * 188])
    assert checker.finish() == []
    assert len(body) > 100_000


def vlc(tool: Tool, url: str, home: Path) -> "subprocess.Popen[bytes]":
    """VLC playing to a file; it refuses to run as root."""
    home.mkdir()
    drop = []
    if os.getuid() == 0:
        os.chown(home, 65534, 65534)
        drop = [tool("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"]
    return subprocess.Popen(
        [*drop, tool("cvlc"), "-I", "dummy", "--sout", SOUT, url, "vlc://quit"],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_seeds_own_test(
    demo: RunningBridge, tool: Tool, tmp_path: Path, end: signal.Signals
) -> None:
    """VLC on a preview: the session appears, VLC is stopped or killed, the session is gone."""
    tmp_path.chmod(0o755)
    player = vlc(tool, f"{demo.base}/streams/preview/1", tmp_path / "home")
    try:
        session = until("VLC's session is active", lambda: demo.sessions("active"))[0]
        assert session["client"]["name"] == "VLC"
        assert session["channel"]["guide_number"] == "1"
        until("its bytes are counted", lambda: demo.get("/api/dashboard")["gauges"])
    finally:
        player.send_signal(end)
        killed_at = time.monotonic()
        until("the session is gone", lambda: not demo.sessions(), within_s=GONE_WITHIN_S)
        gone_after_s = time.monotonic() - killed_at
        player.wait(timeout=10)
    ended = demo.get(f"/api/sessions/{session['id']}")
    assert ended["reason"] == "client_disconnect"
    assert ended["detail"] in ("client_closed", "client_reset")
    assert gone_after_s < GONE_WITHIN_S
    assert demo.tuners_in_use() == 0


def test_after_a_crash_there_is_no_ghost_and_history_says_why(tool: Tool, tmp_path: Path) -> None:
    """`kill -9` with three sessions open: the next start reclaims them before it listens."""
    bridge = RunningBridge(tmp_path / "data", "--demo")
    with bridge:
        players = [
            subprocess.Popen(
                [tool("curl"), "-s", "-o", os.devnull, f"{bridge.base}/auto/v{number}"]
            )
            for number in (1, 2, 3)
        ]
        open_before = until(
            "three sessions are active", lambda: len(bridge.sessions("active")) == 3
        )
        assert open_before
        before = {session["id"] for session in bridge.sessions()}
        bridge.kill()
        for player in players:
            player.wait(timeout=10)
        bridge.start()
        assert bridge.sessions() == []
        assert bridge.tuners_in_use() == 0
        for session in before:
            ended = bridge.get(f"/api/sessions/{session}")
            assert (ended["state"], ended["reason"], ended["detail"]) == (
                "ended",
                "orphaned",
                "bridge_restarted",
            )
        audited = bridge.command("audit")
        assert audited.returncode == 0, audited.stdout + audited.stderr


def test_a_stop_ends_every_session_and_exits_well(tool: Tool, tmp_path: Path) -> None:
    """SIGTERM: players see a clean end, the log says `shutdown`, the exit code is 0."""
    bridge = RunningBridge(tmp_path / "data", "--demo").start()
    player = subprocess.Popen([tool("curl"), "-s", "-o", os.devnull, f"{bridge.base}/auto/v1"])
    session = until("it is active", lambda: bridge.sessions("active"))[0]["id"]
    assert bridge.stop() == 0
    assert player.wait(timeout=5) == 0
    shown = bridge.command("sessions", "show", session, "--json")
    assert shown.returncode == 0, shown.stderr
    assert '"shutdown"' in shown.stdout


def test_the_commands_read_beside_a_running_bridge(demo: RunningBridge, tool: Tool) -> None:
    """`sessions ls`, `replay`, `at`, `audit`, `events tail`, `projections verify`."""
    subprocess.run(
        [tool("curl"), "-s", "-m", "1", "-o", os.devnull, f"{demo.base}/auto/v1"], check=False
    )
    until("its session ended", lambda: not demo.sessions())
    for words in (
        ("sessions", "ls"),
        ("replay", "--all"),
        ("at", "1s ago"),
        ("audit",),
        ("events", "tail"),
        ("doctor",),
    ):
        ran = demo.command(*words)
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
        assert ran.stdout.strip(), f"{words} says something"
