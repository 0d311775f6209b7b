"""`replay`, `audit`, `projections`, and what the world may hold against any command."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from events.machine import MACHINE_ID
from plexbridge.cli import run
from plexbridge.commands.projections import _rebuild
from plexbridge.control.building import Build
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.lock import WriterLock
from tests.service.command_line import ENDED, Cli, happened, on_a_sound_log, store


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return on_a_sound_log(tmp_path / "data", capsys, monkeypatch)


# Replay and audit ------------------------------------------------------------------------------


def test_a_replay_of_a_sound_log_is_fine(cli: Cli) -> None:
    """Of all and of one."""
    every = cli("replay", "--all")
    assert (every.code, every.err) == (0, "")
    assert "2 sessions, 1 of them open, 5 steps: 0 illegal, 0 not checkable" in every.out
    one = cli("replay", ENDED)
    assert one.code == 0
    assert one.out.count("legal") == 4  # three steps and the summary
    assert cli("replay", "--all", "--json").json()["machines"] == {MACHINE_ID: 5}


def test_a_replay_wants_one_session_or_all(cli: Cli) -> None:
    """Neither nor both."""
    assert "--all" in cli.fails(2, "replay")
    assert "--all" in cli.fails(2, "replay", ENDED, "--all")


def test_a_replay_names_the_illegal_step(cli: Cli) -> None:
    """By position, with the state it was in; exit code 1."""
    cli.tamper("UPDATE events SET src = 'recovering' WHERE type = 'disconnect'")
    ran = cli("replay", "--all")
    assert ran.code == 1
    assert "ILLEGAL: disconnect leaves recovering, but it was active" in ran.out
    assert cli("replay", ENDED).code == 1


def test_a_step_of_an_unknown_machine_is_never_fine(cli: Cli) -> None:
    """It could not be checked: exit code 3."""
    cli.tamper("UPDATE events SET machine = 'unknown' WHERE type = 'disconnect'")
    ran = cli("replay", "--all")
    assert ran.code == 3
    assert "0 illegal, 1 not checkable" in ran.out


def test_an_audit_of_a_sound_log_is_fine(cli: Cli) -> None:
    """Every promise is named."""
    ran = cli("audit")
    assert (ran.code, ran.err) == (0, "")
    assert "nothing found" in ran.out
    assert ran.out.count("✓") == len(cli("audit", "--json").json()["checks"])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), 'Channel 1', 'Channel 2') "
        "AS BLOB) WHERE pos = 4",
        "UPDATE events SET at = at + 1 WHERE pos = 4",
        "UPDATE events SET hash = zeroblob(32) WHERE pos = 4",
    ],
    ids=["payload", "time", "hash"],
)
def test_an_altered_event_is_named_and_the_log_is_broken(cli: Cli, statement: str) -> None:
    """Exit code 4; the rest is said to be unchecked."""
    cli.tamper(statement)
    ran = cli("audit")
    assert ran.code == 4
    assert "✗ chain: #4 hash" in ran.out
    assert "? steps: not checked" in ran.out


def test_a_dropped_event_is_named(cli: Cli) -> None:
    """At the position behind the gap."""
    cli.tamper("DELETE FROM events WHERE pos = 6")
    ran = cli("audit", "--json")
    assert ran.code == 4
    assert ran.json()["checks"][0]["findings"][0]["pos"] == 7


def test_a_broken_promise_in_a_sound_log_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1: a source over its limit, though the log is exactly what was written."""
    events = happened()
    place = next(n for n, event in enumerate(events) if event.type == "tuner_leased")
    events[place] = replace(
        events[place], payload={**events[place].payload, "in_use": 3, "allowed": 2}
    )
    store(tmp_path / "over", events)
    ran = Cli(tmp_path / "over", capsys)("audit")
    assert ran.code == 1
    assert "3 connections of source p; 2 are allowed" in ran.out


# Projections -----------------------------------------------------------------------------------


def test_projections_can_be_verified_and_rebuilt(cli: Cli) -> None:
    """Before anything is kept, and after a rebuild; what is shown stays the same."""
    assert "none kept yet" in cli("projections", "ls").out
    assert cli("projections", "verify").code == 0
    before = [cli(*words).out for words in SHOWN]
    assert "2 sessions" in cli("projections", "rebuild").out
    kept = [json.loads(text) for text in cli("projections", "ls", "--json").out.splitlines()]
    assert {(one["name"], one["lag_events"]) for one in kept} == {("dashboard", 0), ("world", 0)}
    assert "✓ 4 stored states and rows" in cli("projections", "verify").out
    assert [cli(*words).out for words in SHOWN] == before


SHOWN: tuple[tuple[str, ...], ...] = (
    ("sessions", "ls", "--json"),
    ("sessions", "ls", "--json", "--state", "ended"),
    ("sessions", "show", ENDED, "--json"),
    ("at", "now", "--json"),
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE projections SET state = CAST(replace(CAST(state AS TEXT), '9500000', '9') AS BLOB)",
        "UPDATE sessions SET document = replace(document, 'Channel 1', 'Channel 2')",
        "DELETE FROM sessions WHERE state = 'ended'",
    ],
    ids=["state", "row", "missing"],
)
def test_a_projection_that_differs_from_its_rebuild_is_found(cli: Cli, statement: str) -> None:
    """By `verify` and by the audit; a rebuild mends it."""
    cli("projections", "rebuild")
    cli.tamper(statement)
    ran = cli("projections", "verify")
    assert ran.code == 1
    assert "DIFFER" in ran.out
    assert cli("audit").code == 1
    assert cli("projections", "rebuild").code == 0
    assert cli("audit").code == 0


def test_a_rebuild_that_is_interrupted_changes_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept stays, `ls` tells what is there beside it, and the next one begins again."""
    assert cli("projections", "rebuild").code == 0
    kept = cli("projections", "ls", "--kept", "--json").out
    with monkeypatch.context() as patch:
        patch.setattr(Build, "switch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(_rebuild(cli.data_dir / LOG_FILE, lambda position: None))
    assert cli("projections", "ls", "--kept", "--json").out == kept
    shown = cli("projections", "ls").out
    assert shown.count("being built: position") == 2
    assert cli("projections", "verify").code == 0
    assert cli("projections", "rebuild").code == 0
    assert "being built" not in cli("projections", "ls").out
    assert cli("projections", "ls", "--kept", "--json").out == kept


async def interrupted(build: Build) -> None:
    """As by a person at the keyboard, at the last moment."""
    assert build.position > 0
    raise KeyboardInterrupt


def test_nothing_is_rebuilt_under_a_running_bridge(cli: Cli) -> None:
    """It has the directory; reading commands do not mind."""
    lock = WriterLock(cli.data_dir / LOG_FILE)
    try:
        assert f"pid {os.getpid()}" in cli.fails(3, "projections", "rebuild")
        assert cli("sessions", "ls").code == 0
    finally:
        lock.release()


def test_a_log_that_cannot_be_folded_says_where(cli: Cli) -> None:
    """Exit code 4, and what tells more."""
    cli.tamper("UPDATE events SET type = 'activity' WHERE type = 'connect'")
    for words in (("sessions", "ls"), ("at", "now"), ("projections", "rebuild")):
        assert "cannot be folded at position 4" in cli.fails(4, *words)


# What the world may hold against a command -------------------------------------------------------

READING: tuple[tuple[str, ...], ...] = (
    ("sessions", "ls"),
    ("sessions", "show", ENDED),
    ("sessions", "stop", ENDED, "--port", "1"),
    ("events", "tail"),
    ("events", "export"),
    ("replay", "--all"),
    ("at", "now"),
    ("audit",),
    ("projections", "ls"),
    ("projections", "verify"),
    ("projections", "rebuild"),
)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_without_a_log_every_command_says_so(
    words: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the path, exit code 3; nothing is created."""
    cli = Cli(tmp_path / "none", capsys)
    assert str(tmp_path / "none") in cli.fails(3, *words)
    assert not cli.data_dir.exists()
    cli.data_dir.mkdir()
    assert LOG_FILE in cli.fails(3, *words)
    (cli.data_dir / LOG_FILE).write_text("not a database at all, but longer than a header")
    assert LOG_FILE in cli.fails(3, *words)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_log_of_a_newer_version_is_left_alone(cli: Cli, words: Sequence[str]) -> None:
    """One line, exit code 3."""
    cli.tamper("PRAGMA user_version = 9999")
    before = (cli.data_dir / LOG_FILE).read_bytes()
    assert "newer" in cli.fails(3, *words)
    assert (cli.data_dir / LOG_FILE).read_bytes() == before


def test_a_wrong_setting_is_named_before_anything_starts(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for each, exit code 2."""
    monkeypatch.setenv("TUNER_COUNT", "many")
    ran = cli("serve", "--port", "notaport")
    assert (ran.code, ran.out) == (2, "")
    lines = ran.err.splitlines()
    assert any("TUNER_COUNT (environment)" in text for text in lines)
    assert any("PORT (command line)" in text for text in lines)
    assert len(lines) == 2


def test_a_wrong_setting_keeps_nobody_from_reading(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log does not depend on it."""
    monkeypatch.setenv("TUNER_COUNT", "many")
    assert cli("audit").code == 0


def test_an_unknown_command_is_usage() -> None:
    """Exit code 2."""
    assert run(["nonsense"]) == 2
    assert run(["sessions", "ls", "--nonsense"]) == 2


def test_the_versions(capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for programs."""
    assert run(["version"]) == 0
    assert capsys.readouterr().out.startswith("PlexBridge ")
    assert run(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["machine"] == MACHINE_ID


def test_a_reader_that_stops_reading_is_no_error(cli: Cli) -> None:
    """`plexbridge events export | head -1`."""
    ran = subprocess.run(
        f"{sys.executable} -m plexbridge.cli events export --data-dir {cli.data_dir} | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout == "{"
    assert "Traceback" not in ran.stderr
