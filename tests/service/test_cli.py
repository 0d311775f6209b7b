"""The command line on a real data directory: what it prints, and with which exit code it ends."""

import json
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from events.ids import UnixMicros
from plexbridge.commands.exits import NotUnderstood
from plexbridge.commands.moments import Moment, parse_moment, shown, size, span
from tests.core.given import (
    given,
    tune,
)
from tests.service.command_line import ENDED, OPEN, Cli, happened, named, on_a_sound_log, store


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return on_a_sound_log(tmp_path / "data", capsys, monkeypatch)


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
