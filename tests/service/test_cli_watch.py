"""`sessions watch`: the running bridge's sessions as they come, flow and go."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from events.ids import UnixMicros
from plexbridge.commands.watching import drawn, messages, rows_of
from tests.end_to_end.running import RunningBridge, until
from tests.service.command_line import Cli, on_a_sound_log
from tests.service.test_cli_audit_beside import watching
from tests.service.test_cli_beside import free_port

SESSION = "01HF7YAT00BBBBBBBBBBBBBBB2"


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    with RunningBridge(tmp_path_factory.mktemp("watched") / "data", "--demo") as running:
        yield running


def command(bridge: RunningBridge, *words: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "plexbridge.cli", "sessions", "watch", *words]


@contextmanager
def watched(bridge: RunningBridge, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """The command while it runs; ended by Ctrl-C, cleanly."""
    environment = {"PATH": os.environ["PATH"], "PLEXBRIDGE_DATA_DIR": str(bridge.data_dir)}
    with subprocess.Popen(
        command(bridge, *words),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (130, "")


def first_channel(bridge: RunningBridge) -> str:
    """Its guide number."""
    number: str = bridge.get("/api/channels")[0]["guide_number"]
    return number


def test_each_event_is_a_document(bridge: RunningBridge) -> None:
    """Those that watch already, then each event with the session as it is by now."""
    with watching(bridge, first_channel(bridge)):
        until("somebody watches", lambda: bridge.sessions("active"))
        with watched(bridge, "--json") as process:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            assert (first["schema"], first["event"]) == ("plexbridge.watch/1", None)
            assert first["session"]["state"] == "active"
            with watching(bridge, first_channel(bridge)):
                second = json.loads(process.stdout.readline())
                assert second["event"]["stream"] == f"session-{second['session']['id']}"
            seen: list[dict[str, Any]] = []
            while not seen or seen[-1]["event"]["dst"] != "ended":
                seen.append(json.loads(process.stdout.readline()))
            assert seen[-1]["session"]["state"] == "ended"
            assert seen[-1]["session"]["reason"]


def test_on_a_pipe_each_event_is_a_line(bridge: RunningBridge) -> None:
    """For eyes and grep."""
    until("nobody watches", lambda: not bridge.sessions())
    with watched(bridge, "--utc") as process, watching(bridge, first_channel(bridge)):
        assert process.stdout is not None
        # Who was on before the command asked is told as one that watches.
        text = process.stdout.readline()
        assert re.match(r"\d\d:\d\d:\d\d\.\d{3}  [0-9A-Z]{26}  (connect|activity|watches) ", text)
        assert "VLC" in text


def test_at_a_terminal_there_is_a_list(bridge: RunningBridge) -> None:
    """Redrawn while bytes flow; Ctrl-C ends it, code 130."""
    with watching(bridge, first_channel(bridge)):
        until("somebody watches", lambda: bridge.sessions("active"))
        master, slave = pty.openpty()
        environment = {
            "PATH": os.environ["PATH"],
            "PLEXBRIDGE_DATA_DIR": str(bridge.data_dir),
            "TERM": "xterm",
            "COLUMNS": "160",
        }
        with subprocess.Popen(
            command(bridge), env=environment, stdin=slave, stdout=slave, stderr=subprocess.PIPE
        ) as process:
            os.close(slave)
            seen = b""
            while b"Mbit/s" not in seen or seen.count(b"SESSION") < 2:
                seen += os.read(master, 65_536)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        os.close(master)
    assert (process.returncode, errors) == (130, b"")
    assert b"active" in seen
    assert b"1 sessions" in seen


def test_a_bridge_that_stops_ends_it(tmp_path: Path) -> None:
    """Exit code 3, said in a line."""
    with RunningBridge(tmp_path / "data", "--demo") as running:
        environment = {"PATH": os.environ["PATH"], "PLEXBRIDGE_DATA_DIR": str(running.data_dir)}
        with subprocess.Popen(
            command(running, "--json"),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            with watching(running, first_channel(running)):
                assert process.stdout is not None
                assert process.stdout.readline()
            running.stop()
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 3
    [text] = errors.splitlines()
    assert text.startswith("plexbridge: the bridge")


def test_without_a_bridge_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, with where it was looked for."""
    cli: Cli = on_a_sound_log(tmp_path / "data", capsys, monkeypatch)
    port = str(free_port())
    assert f":{port}" in cli.fails(3, "sessions", "watch", "--port", port)


# What is shown -----------------------------------------------------------------------------------

DASHBOARD = {
    "tuners": [{"state": "free"}, {"state": "active"}],
    "sessions": [
        {
            "id": SESSION,
            "state": "active",
            "since": 1_000,
            "channel": {"guide_number": "5.1", "name": "News\x1b[2J"},
            "client": {"name": "VLC", "address": "192.168.1.20"},
            "tuner": 1,
            "bytes": 1_000,
            "reason": None,
        }
    ],
}
GAUGES = {
    "bitrate_out": 4_000_000,
    "sessions": {SESSION: {"bitrate_now": 4_000_000, "bytes": 2_500_000}},
}


def test_a_row_has_the_gauges_beside_what_is_recorded() -> None:
    """What the socket has accepted by now, and how fast."""
    [row] = rows_of(DASHBOARD, GAUGES, UnixMicros(61_000_000))
    assert row[1:] == (
        "active",
        "5.1 News\x1b[2J",
        "VLC 192.168.1.20",
        1,
        "1m00s",
        "2.5 MB",
        "4.0 Mbit/s",
        None,
    )
    [bare] = rows_of(DASHBOARD, {"bitrate_out": 0, "sessions": {}}, UnixMicros(0))
    assert bare[5:8] == ("0 ms", "1.0 kB", "0.0 Mbit/s")


def test_the_title_sums_up() -> None:
    """And what a playlist named drives no terminal."""
    table = drawn(DASHBOARD, GAUGES, UnixMicros(61_000_000))
    assert table.title == "1 sessions, 1 of 2 tuners free, 4.0 Mbit/s"
    assert "\x1b" not in "".join(str(cell) for cell in table.columns[2].cells)


def test_messages_are_put_together_from_lines() -> None:
    """Gauges by their name, events without one; what is neither is left out."""
    lines = (
        b'retry: 2000\n\nid: 5\ndata: {"pos":5}\n\nevent: gauges\ndata: {"sessions":{}}\n\n'
        b": nothing\n\nevent: gauges\ndata: {}"
    ).splitlines(keepends=True)
    told = list(messages(lines))
    assert [(one.event, one.gauges) for one in told] == [
        ({"pos": 5}, None),
        (None, {"sessions": {}}),
    ]
