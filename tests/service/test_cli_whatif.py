"""`whatif`, `why`, `bisect`, `at --diff` and `replay --against` on a real data directory."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from events.policy import Policy
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.lock import WriterLock
from tests.core.given import given, tune
from tests.service.command_line import ENDED, OPEN, Cli, happened, named, on_a_sound_log, store

HERE = Path(__file__).parents[2]
REFUSED = "01HF7YAT00CCCCCCCCCCCCCCC3"


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return on_a_sound_log(tmp_path / "data", capsys, monkeypatch)


def position(type_: str, nth: int = 0) -> int:
    """Where the nth event of a type stands."""
    return [n for n, event in enumerate(happened(), 1) if event.type == type_][nth]


# What if ---------------------------------------------------------------------------------------


def test_the_recorded_policy_gives_what_was_recorded(cli: Cli) -> None:
    """Said in a sentence, and in JSON with its schema."""
    ran = cli("whatif", "--policy", "recorded")
    assert (ran.code, ran.err) == (0, "")
    assert "nothing comes out otherwise" in ran.out
    document = cli("whatif", "--policy", "recorded", "--json").json()
    assert document["schema"] == "plexbridge.whatif/1"
    assert document["first_difference"] is None
    assert document["exact"] == document["decisions"]
    assert document["policy"] == {}


def test_figures_are_told_recorded_beside_hypothetical(cli: Cli) -> None:
    """With how far each can be trusted."""
    ran = cli("whatif", "--policy", "before_fix", "--utc")
    assert ran.code == 0
    assert "keep_alive: False in force then, True asked about" in ran.out
    [row] = [text for text in ran.out.splitlines() if text.startswith("ended client_disconnect")]
    assert row.split()[-3:] == ["1", "0", "exact"]
    assert f"the first thing to come out otherwise: #{position('disconnect')}" in ran.out
    document = cli("whatif", "--policy", "before_fix", "--json").json()
    assert document["policy"]["keep_alive"] == {"recorded": False, "hypothetical": True}
    assert {one["trust"] for one in document["figures"]} <= {"exact", "at least"}


def test_a_start_is_a_moment_and_an_end_may_hold_nothing(cli: Cli) -> None:
    """By position or time; behind the head there is nothing to decide."""
    middle = position("disconnect")
    document = cli("whatif", "--policy", "linger=0", "--from", f"#{middle}", "--json").json()
    assert document["first"] == middle + 1
    assert cli("whatif", "--policy", "linger=0", "--from", "now").out == (
        "no events are recorded there\n"
    )


@pytest.mark.parametrize("policy", ["turners=2", "tuners=0", "grace", "auto_upgrade=false"])
def test_a_policy_that_is_none(cli: Cli, policy: str) -> None:
    """Usage: exit code 2, one line."""
    cli.fails(2, "whatif", "--policy", policy)


def test_a_log_that_does_not_hold_together_is_not_decided(cli: Cli) -> None:
    """Exit code 4, with the position."""
    cli.tamper(
        "UPDATE events SET data = CAST(json_set(CAST(data AS TEXT), '$.why', 'linger') AS BLOB) "
        "WHERE type = 'tuner_released'"
    )
    told = cli.fails(4, "whatif", "--policy", "tuners=2")
    assert f"position {position('tuner_released')}" in told


# Why -------------------------------------------------------------------------------------------


def test_why_a_tuner_was_busy_or_free(cli: Cli) -> None:
    """In a sentence, with evidence; exit code 1 where it was not so."""
    busy = cli("why", "tuner", "0", "busy", "--at", f"#{position('activity')}", "--utc")
    assert busy.code == 0
    assert busy.out.startswith("tuner 0 was busy: Lavf/60 at 10.0.0.9")
    assert f"#{position('connect')} " in busy.out
    free = cli("why", "tuner", "1", "free", "--json")
    assert free.code == 0
    assert free.json()["schema"] == "plexbridge.why/1"
    assert cli("why", "tuner", "1", "busy").code == 1
    cli.fails(2, "why", "tuner", "1", "broken")


def test_why_somebody_was_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the refusal's id, or a part of it."""
    story = given(Policy(tuners=1)).after(named(tune("1", second=1), ENDED))
    story.after(replace(tune("2", "2", second=9, asked=5), refusal_id=REFUSED))
    store(tmp_path / "data", story.events)
    cli = Cli(tmp_path / "data", capsys)
    for meant in (REFUSED, REFUSED.lower(), "CCC3"):
        ran = cli("why", "refused", meant)
        assert ran.code == 0
        assert "was refused 2 Channel 2: " in ran.out
        assert f"(session {ENDED}, connecting)" in ran.out
    assert "no refusal" in cli.fails(2, "why", "refused", "ZZZ")
    assert "letters and digits" in cli.fails(2, "why", "refused", "%")


def test_why_a_session_ended_is_what_the_sessions_verb_says(cli: Cli) -> None:
    """Word for word."""
    assert cli("why", "session", ENDED).out == cli("sessions", "show", ENDED).out


# Bisect ----------------------------------------------------------------------------------------


def test_the_first_failure_is_searched_for(cli: Cli) -> None:
    """0 where there is none, 1 and its position where there is."""
    assert cli("bisect").code == 0
    cli.tamper(
        "UPDATE events SET src = 'recovering' WHERE type = 'disconnect'",
    )
    broken = cli("bisect", "--json")
    assert (broken.code, broken.json()["found"]["check"]) == (4, "chain")
    ran = cli("bisect", "steps")
    assert ran.code == 1
    assert ran.out.startswith(f"steps: #{position('disconnect')} ")
    assert "disconnect" in ran.out.splitlines()[1]
    cli.fails(2, "bisect", "leashes")


def test_the_position_where_a_total_reaches_a_number(cli: Cli) -> None:
    """By halving; exit code 1 when it is reached."""
    ran = cli("bisect", "--total", "sessions=2")
    assert ran.code == 1
    assert ran.out.startswith(f"total: #{position('connect', 1)} ")
    assert cli("bisect", "--total", "sessions=3").code == 0
    cli.fails(2, "bisect", "--total", "nothing.of=that=sort")
    cli.fails(2, "bisect", "steps", "--total", "sessions")


# A moment --------------------------------------------------------------------------------------


def test_a_moment_inside_a_decision_is_the_end_of_it(cli: Cli) -> None:
    """A tuner leased to a session that has not begun was never the state of anything."""
    leased = position("tuner_leased")
    document = cli("at", f"#{leased}", "--json").json()
    assert document["position"] == leased + 1
    assert [one["id"] for one in document["sessions"]] == [ENDED]


def test_what_changed_between_two_moments(cli: Cli) -> None:
    """From the earlier to the later, in whichever order they are given."""
    start, end = position("connect"), position("activity", 1)
    document = cli("at", f"#{start}", "--diff", f"#{end}", "--json").json()
    assert document == cli("at", f"#{end}", "--diff", f"#{start}", "--json").json()
    assert document["schema"] == "plexbridge.diff/1"
    assert [one["id"] for one in document["sessions"]["begun"]] == [OPEN]
    assert [one["id"] for one in document["sessions"]["ended"]] == [ENDED]
    assert document["totals"]["sessions"] == {"from": 1, "to": 2}
    ran = cli("at", f"#{start}", "--diff", f"#{end}", "--utc")
    assert ran.code == 0
    assert "client_disconnect · client_closed" in ran.out
    assert "7 Channel 7" in ran.out
    assert cli("at", "now", "--diff", "now").out.splitlines()[-1] == "nothing changed"


# Another version -------------------------------------------------------------------------------


def test_this_version_decides_the_log_as_recorded(cli: Cli) -> None:
    """Through a process of its own."""
    ran = cli("replay", "--against", str(HERE))
    assert (ran.code, ran.err) == (0, "")
    assert "0 decided otherwise" in ran.out
    document = cli("replay", "--against", str(HERE), "--json", ENDED).json()
    assert (document["schema"], document["first"]) == ("plexbridge.against/1", [])
    assert "holds no" in cli.fails(3, "replay", "--against", str(HERE / "docs"))


def test_nothing_is_written_and_a_running_bridge_is_not_disturbed(cli: Cli) -> None:
    """Every verb reads beside whoever holds the writer's lock, and leaves the log as it is."""
    before = (cli.data_dir / LOG_FILE).read_bytes()
    lock = WriterLock(cli.data_dir / LOG_FILE)
    try:
        for words in (
            ("whatif", "--policy", "tuners=1"),
            ("why", "tuner", "0", "free"),
            ("bisect",),
            ("at", "#5", "--diff", "now"),
            ("replay", "--against", str(HERE)),
        ):
            ran = cli(*words, *(["--json"] if words[0] != "bisect" else []))
            assert ran.code in (0, 1), ran
            assert ran.err == ""
            assert ran.out
            if words[0] != "bisect":
                assert json.loads(ran.out)
    finally:
        lock.release()
    assert (cli.data_dir / LOG_FILE).read_bytes() == before


@pytest.mark.parametrize("words", [("whatif",), ("why", "tuner"), ("bisect",), ("at",)])
def test_help_has_examples(cli: Cli, words: tuple[str, ...]) -> None:
    """One that can be typed."""
    ran = cli(*words, "--help")
    assert ran.code == 0
    assert f"plexbridge {words[0]}" in ran.out.partition("Example")[2]
