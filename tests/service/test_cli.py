"""The command line on a real data directory: what it prints, and with which exit code it ends."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from events.commands import Started
from events.envelope import NewEvent
from events.ids import UnixMicros
from events.machine import MACHINE_ID
from events.policy import Policy
from plexbridge.cli import run
from plexbridge.commands.exits import NotUnderstood
from plexbridge.commands.moments import Moment, parse_moment, shown, size, span
from plexbridge.data_dir import LOG_FILE
from plexbridge.doctor import State, data_directory
from plexbridge.log.driver import sqlite3
from plexbridge.log.lock import WriterLock
from plexbridge.log.sqlite import SqliteLog
from tests.core.given import (
    at,
    closed,
    first_byte,
    given,
    linger_over,
    opened,
    progress,
    socket_gone,
    took,
    tune,
)

ENDED = "01HF7YAT00AAAAAAAAAAAAAAA1"
OPEN = "01HF7YAT00BBBBBBBBBBBBBBB2"


def happened() -> list[NewEvent]:
    """One session that ended and one that goes on."""
    story = given().after(
        Started(at=at(0), version="1", machine=MACHINE_ID, policy=Policy()),
        named(tune("1", second=1), ENDED),
        opened(second=1.2),
        first_byte(second=1.3),
        named(took("1", 1_000_000, second=1.4), ENDED),
        named(closed("1", second=20, seen=progress(9_500_000, 20)), ENDED),
        linger_over(second=25),
        socket_gone(second=25.1),
        named(tune("2", "7", second=30), OPEN),
        opened("7", second=30.2),
        first_byte("7", second=30.3),
        named(took("2", 1_000, second=30.4), OPEN),
    )
    return story.events


def named(command: Any, session: str) -> Any:
    """The command with a session id as real ones are."""
    return replace(command, session=session)


def store(data_dir: Path, events: Iterable[NewEvent]) -> None:
    """Append to the directory's log as a bridge does, a cause for each."""

    async def append() -> None:
        log = SqliteLog(data_dir / LOG_FILE)
        last = None
        for number, event in enumerate(events, 1):
            id_ = number.to_bytes(16, "big")
            await log.append([replace(event, id=id_, cause=last)])
            last = id_
        await log.close()

    data_dir.mkdir(exist_ok=True)
    asyncio.run(append())


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of one ended and one open session; to be copied, not written."""
    data_dir = tmp_path_factory.mktemp("stored")
    store(data_dir, happened())
    return data_dir


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class Cli:
    """Runs commands on one data directory."""

    def __init__(self, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data_dir = data_dir
        self._capsys = capsys

    def __call__(self, *words: str) -> Ran:
        code = run([*words, "--data-dir", str(self.data_dir)])
        told = self._capsys.readouterr()
        return Ran(code, told.out, told.err)

    def fails(self, code: int, *words: str) -> str:
        """The one line on stderr that a command ends with."""
        ran = self(*words)
        assert (ran.code, ran.out) == (code, ""), ran
        [text] = ran.err.splitlines()
        return text

    def tamper(self, *statements: str) -> None:
        """Change the file behind the log's back, its triggers dropped."""
        raw = sqlite3.connect(self.data_dir / LOG_FILE)
        for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            raw.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            raw.execute(statement)
        raw.commit()
        raw.close()


@pytest.fixture
def cli(
    stored: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Cli:
    """Commands on a copy of the stored log, with an environment that sets nothing."""
    for name in list(os.environ):
        if name.startswith("PLEXBRIDGE_") or name == "PORT":
            monkeypatch.delenv(name)
    data_dir = tmp_path / "data"
    shutil.copytree(stored, data_dir)
    return Cli(data_dir, capsys)


# What happened ---------------------------------------------------------------------------------


def test_the_last_events_are_shown_one_a_line(cli: Cli) -> None:
    """With position, stream, step and why."""
    ran = cli("events", "tail", "-n", "3", "--stream", f"session-{ENDED}", "--utc")
    assert ran.code == 0
    connect, activity, end = ran.out.splitlines()
    assert f"session-{ENDED}#1" in connect
    assert "connecting → active" in activity
    assert end.endswith("client_disconnect client_closed")
    assert "2023-11-14 22:13:40.000" in end


def test_the_last_events_are_found_from_the_end(cli: Cli) -> None:
    """Of the wanted ones, however many others lie between."""
    ran = cli("events", "tail", "-n", "1", "--type", "policy_set", "--json")
    assert [json.loads(text)["pos"] for text in ran.out.splitlines()] == [2]
    assert cli("events", "tail", "-n", "0").out == ""


def test_events_since_a_moment(cli: Cli) -> None:
    """By position or by time."""
    every = [json.loads(x) for x in cli("events", "tail", "-n", "99", "--json").out.splitlines()]
    since = cli("events", "tail", "--since", "#5", "--json").out.splitlines()
    assert [json.loads(text)["pos"] for text in since] == [one["pos"] for one in every[4:]]
    since = cli("events", "tail", "--since", "2023-11-14T22:13:50Z", "--json").out.splitlines()
    assert [json.loads(text)["pos"] for text in since] == [
        one["pos"] for one in every if one["stream"] in (f"session-{OPEN}", "channel-7")
    ]


def test_an_export_closes_with_the_digest_of_what_was_written(cli: Cli, tmp_path: Path) -> None:
    """On stdout and into a file alike; the digest goes to stderr."""
    to_file = tmp_path / "events.ndjson"
    ran = cli("events", "export", "--out", str(to_file))
    assert ran.code == 0
    assert ran.out == ""
    assert f"sha256 {sha256(to_file.read_bytes()).hexdigest()}" in ran.err
    assert [json.loads(text)["pos"] for text in to_file.read_text().splitlines()][-1] == len(
        happened()
    )
    assert list(tmp_path.glob("*.part")) == []


def test_an_export_that_cannot_be_written_says_so(cli: Cli, tmp_path: Path) -> None:
    """In one line."""
    text = cli.fails(3, "events", "export", "--out", str(tmp_path / "none" / "events.ndjson"))
    assert "cannot write" in text


# Sessions --------------------------------------------------------------------------------------


def test_sessions_are_listed_without_a_server(cli: Cli) -> None:
    """Ended and open ones, in a table that a script can read too."""
    ran = cli("sessions", "ls")
    assert ran.code == 0
    head, *rows = ran.out.splitlines()
    assert head.split()[:2] == ["SESSION", "STATE"]
    assert [row.split()[:2] for row in rows] == [[ENDED, "ended"], [OPEN, "active"]]
    assert "client_disconnect · client_closed" in rows[0]
    documents = [json.loads(text) for text in cli("sessions", "ls", "--json").out.splitlines()]
    assert [one["id"] for one in documents] == [ENDED, OPEN]
    only = cli("sessions", "ls", "--state", "active", "--json").out.splitlines()
    assert [json.loads(text)["id"] for text in only] == [OPEN]


@pytest.mark.parametrize("meant", [ENDED, ENDED.lower(), "01HF7YAT00AA", "AAA1", "a1"])
def test_a_session_may_be_named_by_either_end_of_its_id(cli: Cli, meant: str) -> None:
    """As long as only one is meant."""
    assert cli("sessions", "show", meant, "--json").json()["id"] == ENDED


def test_a_session_that_is_not_one_is_told_in_a_line(cli: Cli) -> None:
    """Unknown, ambiguous, or no id at all."""
    assert "no session ZZZZ" in cli.fails(2, "sessions", "show", "ZZZZ")
    ambiguous = cli.fails(2, "sessions", "show", "01HF7")
    assert ENDED in ambiguous
    assert OPEN in ambiguous
    assert "no session id" in cli.fails(2, "sessions", "show", "*")


def test_a_session_is_shown_with_why_it_ended_and_its_evidence(cli: Cli) -> None:
    """One sentence, what led there, figures, and each step with its position."""
    ran = cli("sessions", "show", ENDED, "--utc")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "1 Channel 1  ended 2023-11-14 22:13:40.000 UTC after 19.0 s"
    why = next(text for text in lines if text.startswith("Why"))
    assert "disconnect)" in why
    assert any("9.5 MB" in text and "first byte after 400 ms" in text for text in lines)
    assert any("tuner returned after 5.0 s (linger_over)" in text for text in lines)
    steps = lines[-3:]
    assert [text.split()[1] for text in steps] == ["connecting", "active", "ended"]
    assert all("#" in text for text in steps)


def test_texts_of_strangers_cannot_drive_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters of a user agent are shown as dots."""
    evil = named(tune("1", second=1), ENDED)
    evil = replace(evil, client=replace(evil.client, name="\x1b[2Jgotcha\r\n"))
    store(tmp_path / "evil", given().after(evil).events)
    cli = Cli(tmp_path / "evil", capsys)
    for words in (("sessions", "ls"), ("sessions", "show", ENDED)):
        out = cli(*words).out
        assert "gotcha" in out
        assert "\x1b" not in out
        assert "\r" not in out


# A moment --------------------------------------------------------------------------------------


def test_the_dashboard_of_a_moment(cli: Cli) -> None:
    """By position and by time; the same document as the HTTP API gives for it."""
    events = happened()
    first_end = next(n for n, event in enumerate(events, 1) if event.dst == "ended")
    before = cli("at", f"#{first_end - 1}", "--json").json()
    assert [one["id"] for one in before["sessions"]] == [ENDED]
    after = cli("at", str(first_end), "--json").json()
    assert after["position"] == first_end
    assert after["sessions"] == []
    assert [one["id"] for one in after["just_ended"]] == [ENDED]
    by_time = cli("at", "2023-11-14T22:13:25Z", "--json").json()
    assert by_time["position"] == first_end - 1
    assert cli("at", "now", "--json").json()["position"] == len(events)


def test_the_dashboard_of_a_moment_as_tables(cli: Cli) -> None:
    """The moment asked for, the position it stands for, and who watched."""
    ran = cli("at", "2023-11-14T22:13:25Z", "--utc")
    assert ran.code == 0
    head, _, columns, row = ran.out.splitlines()[:4]
    assert head.startswith("2023-11-14 22:13:25.000 UTC  #")
    assert "1 sessions, 1/4 tuners" in head
    assert columns.split()[0] == "TUNER"
    assert ENDED in row
    assert "active" in row


def test_a_moment_that_is_none(cli: Cli) -> None:
    """Says what is accepted, or what the log holds."""
    assert "2h ago" in cli.fails(2, "at", "yesterdayish")
    assert "the log holds #1 to" in cli.fails(2, "at", "#9999")


NOON = UnixMicros(1_700_049_600_000_000 - 1_700_049_600_000_000 % 86_400_000_000 + 43_200_000_000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", 0),
        ("2h ago", -7_200),
        ("90s ago", -90),
        ("1.5m ago", -90),
        ("3 days ago", -259_200),
        ("11:59", -60),
        ("11:59:30.5", -29.5),
        ("12:01", 60 - 86_400),
    ],
)
def test_how_moments_are_written(text: str, seconds: float) -> None:
    """A time of day is the last one that was."""
    moment = parse_moment(text, NOON, UTC)
    assert moment == Moment(at=UnixMicros(NOON + round(seconds * 1_000_000)))


@pytest.mark.parametrize("text", ["", "25:00", "12:60", "soon", "#", "-3", "1 parsec ago"])
def test_what_is_no_moment(text: str) -> None:
    """Is never guessed at."""
    with pytest.raises(NotUnderstood):
        parse_moment(text, NOON, UTC)


def test_how_figures_are_shown() -> None:
    """As a person says them."""
    assert [span(us) for us in (12_000, 4_200_000, 61_000_000, 11_100_000_000)] == [
        "12 ms",
        "4.2 s",
        "1m01s",
        "3h05m",
    ]
    assert [size(count) for count in (0, 999, 1_500, 12_300_000)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "12.3 MB",
    ]
    assert shown(NOON, UTC).endswith("12:00:00.000")


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


def test_a_reader_that_stops_reading_is_no_error(stored: Path) -> None:
    """`plexbridge events export | head -1`."""
    ran = subprocess.run(
        f"{sys.executable} -m plexbridge.cli events export --data-dir {stored} | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout == "{"
    assert "Traceback" not in ran.stderr


# Beside a running bridge ------------------------------------------------------------------------

Reply = Callable[[str, str, dict[str, str]], tuple[int, dict[str, Any]]]


@asynccontextmanager
async def answering(reply: Reply, *, server: str = "PlexBridge/1") -> AsyncIterator[int]:
    """A tiny HTTP server on a free port: `reply(method, path, headers)` gives status and JSON."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        method, path, _ = request.split(" ")
        pairs = (text.partition(": ") for text in headers if text)
        status, document = reply(method, path, {name.lower(): text for name, _, text in pairs})
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} X\r\nServer: {server}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_session_is_stopped_over_http(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The running bridge is asked, with the admin key, by the whole id."""
    monkeypatch.setenv("PLEXBRIDGE_ADMIN_KEY", "a-key-that-is-long-enough-to-be-one")
    asked = []

    def reply(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked.append((method, path, headers.get("x-api-key")))
        return 200, {"id": OPEN, "bytes": 5_000}

    async with answering(reply) as port:
        ran = await asyncio.to_thread(cli, "sessions", "stop", "BBB2", "--port", str(port))
    assert (ran.code, ran.out) == (0, f"{OPEN} ended: manual, 5.0 kB\n")
    key = "a-key-that-is-long-enough-to-be-one"
    assert asked == [("DELETE", f"/api/sessions/{OPEN}?reason=manual", key)]


@pytest.mark.parametrize(("status", "code"), [(409, 1), (404, 1), (403, 3), (500, 3)])
async def test_a_stop_that_is_declined(cli: Cli, status: int, code: int) -> None:
    """Ended already or unknown: 1. Not allowed, or no bridge of ours: 3."""
    async with answering(lambda *_: (status, {"detail": "as it is"})) as port:
        told = await asyncio.to_thread(
            cli.fails, code, "sessions", "stop", OPEN, "--port", f"{port}"
        )
    assert "as it is" in told


def test_a_stop_without_a_bridge(cli: Cli) -> None:
    """Says where it was looked for; exit code 3."""
    port = free_port()
    assert f"127.0.0.1:{port}" in cli.fails(3, "sessions", "stop", OPEN, "--port", str(port))
    assert "--port" in cli.fails(3, "sessions", "stop", OPEN, "--port", "0")
    assert "stale" in cli.fails(2, "sessions", "stop", OPEN, "--reason", "because")


async def test_a_healthcheck(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 when it answers 200, 1 when it does not; the port is the setting's."""
    async with answering(lambda *_: (200, {})) as port:
        monkeypatch.setenv("PORT", str(port))
        ran = await asyncio.to_thread(cli, "healthcheck")
        assert (ran.code, ran.out) == (0, "alive\n")
    async with answering(lambda *_: (503, {})) as port:
        ran = await asyncio.to_thread(cli, "healthcheck", "--port", str(port))
        assert ran.code == 1
    assert "no PlexBridge answers" in cli.fails(1, "healthcheck", "--port", str(free_port()))


# Doctor ----------------------------------------------------------------------------------------


def test_a_doctor_finds_a_healthy_installation_healthy(cli: Cli, tmp_path: Path) -> None:
    """And says where what differs from the defaults comes from."""
    ran = cli("doctor", "--port", str(free_port()))
    assert ran.code == 0, ran.out
    assert "✓ data directory" in ran.out
    assert "✓ event log" in ran.out
    assert "PORT = " in ran.out
    assert "(command line)" in ran.out
    assert "✗" not in ran.out


async def test_a_doctor_tells_our_port_from_anothers(cli: Cli) -> None:
    """Ours is fine; something else there is what keeps a start from listening."""
    async with answering(lambda *_: (200, {})) as port:
        ran = await asyncio.to_thread(cli, "doctor", "--port", str(port))
        assert (ran.code, "PlexBridge is running on it" in ran.out) == (0, True), ran.out
    async with answering(lambda *_: (200, {}), server="nginx") as port:
        ran = await asyncio.to_thread(cli, "doctor", "--port", str(port))
        assert ran.code == 1
        assert "✗ port" in ran.out


def test_a_doctor_reads_the_playlists(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each for itself; one that is none is a fault."""
    good, bad = tmp_path / "good.m3u", tmp_path / "bad.m3u"
    good.write_text('#EXTM3U\n#EXTINF:-1 tvg-chno="1",One\nhttp://127.0.0.1:9/one.ts\n')
    bad.write_text("<html>login</html>")
    monkeypatch.setenv("PLEXBRIDGE_PLAYLIST", f"{good} {bad}")
    ran = cli("doctor", "--port", "0")
    assert ran.code == 1
    assert f"✓ playlist       {good}: 1 channels" in ran.out
    assert f"✗ playlist       playlist {bad}" in ran.out


def test_a_doctor_names_a_directory_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that is yet to be made, which is fine and stays unmade."""
    (tmp_path / "file").write_text("")
    answer = data_directory(tmp_path / "file" / "data")
    assert (answer.state, "is a file" in answer.text) == (State.FAULT, True)
    ran = Cli(tmp_path / "new", capsys)("doctor", "--port", "0")
    assert (ran.code, (tmp_path / "new").exists()) == (0, False)
