"""`replay --step` and `--speed`: one event after the other, and never longer than asked for."""

import io
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from events.ids import SessionId
from plexbridge.commands.keys import pressed
from plexbridge.commands.stepping import WAIT_S_MAX, Walk, by_key, by_time
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.reader import SqliteReader
from tests.service.command_line import ENDED, Cli, on_a_sound_log
from tests.service.written_logs import events_of, house, write


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return on_a_sound_log(tmp_path / "data", capsys, monkeypatch)


@pytest.fixture
def reader(cli: Cli) -> Iterator[SqliteReader]:
    with closing(SqliteReader(cli.data_dir / LOG_FILE)) as opened:
        yield opened


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What somebody types where there is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


# At the press of a key ---------------------------------------------------------------------------


def test_a_step_shows_before_event_and_change(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one session, each with its verdict; Enter goes on."""
    typed(monkeypatch, "\n\n\n\n")
    ran = cli("replay", ENDED, "--step", "--utc")
    assert ran.code == 0
    assert "Enter or any key" in ran.err
    lines = ran.out.splitlines()
    assert "connect" in lines[0]
    assert lines[0].endswith("legal")
    assert f"    changed  session {ENDED} began" in lines
    assert "    before   connecting for 400 ms, 0 B, tuner 0" in lines
    changed = f"    changed  session {ENDED} state connecting → active, bytes 0 B → 1.0 MB"
    assert changed in lines
    assert f"    changed  session {ENDED} is over" in lines
    assert "1 sessions, 0 of them open, 3 steps: 0 illegal, 0 not checkable" in ran.out


@pytest.mark.parametrize(("keys", "events"), [("", 1), ("q\n", 1), ("\n\nq\n\n\n", 3)])
def test_q_and_the_end_of_the_input_end_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, keys: str, events: int
) -> None:
    """The first event is shown at once; what was seen is what is summed up."""
    typed(monkeypatch, keys)
    ran = cli("replay", "--all", "--step", "--json")
    assert (ran.code, len(ran.out.splitlines())) == (0, events)


def test_every_event_is_shown_of_all(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of channels and of the bridge too, as documents for programs."""
    rows = events_of(cli.data_dir / LOG_FILE)
    typed(monkeypatch, "\n" * len(rows))
    documents = [
        json.loads(text)
        for text in cli("replay", "--all", "--step", "--json").out.split("\n")
        if text
    ]
    assert [one["event"]["pos"] for one in documents] == [row.pos for row in rows]
    leased = next(one for one in documents if one["event"]["type"] == "tuner_leased")
    assert leased["changed"]["tuners"][0]["to"]["state"] == "lingering"
    assert leased["legal"] is None
    assert {one["schema"] for one in documents} == {"plexbridge.step/1"}


def test_a_key_needs_no_enter_at_a_terminal() -> None:
    """Any key; afterwards the terminal is as it was."""
    master, slave = os.openpty()
    with os.fdopen(slave, encoding="utf-8") as terminal:
        before = termios.tcgetattr(terminal)
        with pressed(terminal) as key:
            os.write(master, b"x")
            assert key() == "x"
            os.write(master, b"\x1b[B")
            assert key() == "\x1b[B"
        assert termios.tcgetattr(terminal) == before
    os.close(master)


def test_any_key_but_q_goes_on(reader: SqliteReader) -> None:
    """The space bar too."""
    keys = iter([" ", "x", "\x1b[B", "q"])
    row = reader.read(0, 1)[0]
    go_on = by_key(lambda: next(keys))
    assert [go_on(row) for _ in range(5)] == [True, True, True, True, False]


# As it happened ----------------------------------------------------------------------------------


def walked(reader: SqliteReader, speed: float, session: str | None = None) -> list[float]:
    """The waits between the events."""
    waits: list[float] = []
    walk = Walk(by_time(speed, waits.append), True, None, str)
    walk.through(reader, None if session is None else SessionId(session))
    return waits


def test_it_waits_as_long_as_it_took_so_many_times_shorter(reader: SqliteReader, cli: Cli) -> None:
    """Between the events that are shown; never longer than the bound."""
    rows = [row for row in events_of(cli.data_dir / LOG_FILE) if row.stream.endswith(ENDED)]
    apart = [(b.at - a.at) / 1e6 for a, b in pairwise(rows)]
    assert walked(reader, 2.0, ENDED) == pytest.approx([min(WAIT_S_MAX, s / 2) for s in apart])
    assert walked(reader, 60.0, ENDED) == pytest.approx([s / 60 for s in apart])
    assert max(walked(reader, 0.01)) == WAIT_S_MAX


def test_a_clock_that_went_back_is_not_waited_for(tmp_path: Path) -> None:
    """There is no time to wait."""
    path = write(tmp_path / "data", house().appends)
    with closing(SqliteReader(path)) as opened:
        assert min(walked(opened, 1e6)) >= 0


def test_it_is_quick_when_told_to_be(cli: Cli) -> None:
    """And sums up as a replay does."""
    ran = cli("replay", ENDED, "--speed", "1000000")
    assert ran.code == 0
    assert "3 steps: 0 illegal" in ran.out


@pytest.mark.parametrize(
    "words",
    [("--step", "--speed", "2"), ("--step", "--against", "."), ("--speed", "2", "--against", ".")],
)
def test_only_one_of_them_is_taken(cli: Cli, words: tuple[str, ...]) -> None:
    """Exit code 2."""
    assert "exclude each other" in cli.fails(2, "replay", ENDED, *words)


def test_an_illegal_step_is_told_where_it_stands(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, as of a replay."""
    cli.tamper("UPDATE events SET machine = 'unknown' WHERE type = 'disconnect'")
    typed(monkeypatch, "\n" * 9)
    ran = cli("replay", ENDED, "--step")
    assert ran.code == 3
    assert "UNKNOWN: machine unknown" in ran.out


def test_ctrl_c_ends_it_cleanly(cli: Cli) -> None:
    """No traceback, exit code 130."""
    words: Any = ["replay", "--all", "--speed", "0.01", "--data-dir", str(cli.data_dir)]
    with subprocess.Popen(
        [sys.executable, "-m", "plexbridge.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("#1")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (130, "")
