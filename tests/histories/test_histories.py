"""Recorded logs, read again by the rules of today: what a release wrote stays true."""

from itertools import pairwise
from pathlib import Path

import pytest

from events.machine import RECOVERING
from events.reasons import ERRORS, INTENTIONAL
from plexbridge.audit.replaying import replay
from plexbridge.data_dir import LOG_FILE
from tests.docs.bad_night import bad_night
from tests.histories.kept import (
    folded,
    has_words,
    history,
    is_legal,
    is_what_was_written,
    keeps_every_promise,
)
from tests.histories.make import HERE, SUFFIX
from tests.histories.stories import BUGS, STORIES
from tests.service.command_line import Cli, on_a_sound_log
from tests.service.written_logs import events_of, house, write

FILES = sorted(HERE.glob(f"*{SUFFIX}"))
LEFT_OPEN = ("kept_over_another_word", "recovered")

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@each
def test_it_is_what_was_written(path: Path) -> None:
    """Not a byte has changed, and every hash is in its place."""
    is_what_was_written(history(path))


@each
def test_it_folds_and_nothing_is_left_open(path: Path) -> None:
    """The decided state, and everything that is shown; a part may end before its sessions do."""
    kept = history(path)
    world = folded(kept).decided
    if kept.before is None:
        open_in_the_end = path.stem in LEFT_OPEN
        assert bool(world.sessions) == open_in_the_end
        assert bool(world.leases) == open_in_the_end


@each
def test_every_step_is_legal_on_the_machine_that_decided_it(path: Path) -> None:
    """A machine that was released is never forgotten."""
    is_legal(history(path))


@each
def test_the_audit_finds_nothing(path: Path) -> None:
    """Every promise was kept."""
    keeps_every_promise(history(path))


@each
def test_every_end_has_words(path: Path) -> None:
    """Nobody is told "not known"."""
    has_words(history(path))


def test_there_is_a_history_for_every_reason() -> None:
    """The eight deliberate ones, the nine errors, and a word of a program."""
    reasons = set()
    for path in FILES:
        reasons |= {
            row.payload["reason"]
            for row in history(path).rows
            if "reason" in row.payload and row.dst is not None
        }
    assert reasons >= INTENTIONAL | ERRORS
    assert reasons - INTENTIONAL - ERRORS


def test_every_story_was_recorded() -> None:
    """`python -m tests.histories.make` writes those that are missing."""
    assert {path.stem for path in FILES} >= {story.name for story in (*STORIES, *BUGS)}


# Parts, as `incident --as-test` writes them -------------------------------------------------------


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    on_a_sound_log(tmp_path / "sound", capsys, monkeypatch)
    return Cli(tmp_path / "data", capsys)


def runs(path: Path) -> None:
    """Everything above but the audit, of one file."""
    kept = history(path)
    is_what_was_written(kept)
    folded(kept)
    is_legal(kept)
    has_words(kept)


def incident(cli: Cli, around: str, minutes: float) -> Path:
    """A part of the log, made into a history."""
    path = cli.data_dir.with_name(f"part-{around.strip('#')}-{minutes}{SUFFIX}")
    words = ("--around", around, "--minutes", str(minutes), "--as-test", "-o", str(path))
    assert cli("incident", *words).code == 0
    return path


def test_an_incident_from_the_middle_of_a_night_runs(cli: Cli) -> None:
    """With sessions open at its beginning, which the seal tells of, and at its end."""
    write(cli.data_dir, bad_night())
    path = incident(cli, "2023-11-15T03:12:00Z", 3)
    kept = history(path)
    assert kept.header.first > 1
    assert kept.header.redacted
    assert {one.state for one in kept.beginning().decided.sessions.values()} == {"active"}
    assert folded(kept).decided.sessions
    runs(path)
    keeps_every_promise(kept)


@pytest.mark.parametrize("seed", [8, 11])
def test_an_incident_from_anywhere_runs(cli: Cli, seed: int) -> None:
    """Wherever in a busy house it is cut; such a house closes its sockets when it likes."""
    write(cli.data_dir, house(seed).appends)
    rows = events_of(cli.data_dir / LOG_FILE)
    for pos in range(40, len(rows), 130):
        runs(incident(cli, f"#{pos}", 2))


def test_a_part_is_judged_by_its_beginning(cli: Cli) -> None:
    """Its first steps leave the states that its seal tells of; a byte that changed is noticed."""
    write(cli.data_dir, bad_night())
    path = incident(cli, "2023-11-15T03:12:00Z", 3)
    kept = history(path)
    begun = kept.beginning()
    assert replay(kept.rows, begun=begun).illegal == 0
    for session in begun.decided.sessions.values():
        session.state = RECOVERING
    assert replay(kept.rows, begun=begun).illegal > 0
    changed = path.with_name(f"changed{SUFFIX}")
    changed.write_bytes(path.read_bytes().replace(b"active", b"native", 1))
    with pytest.raises(AssertionError):
        is_what_was_written(history(changed))


def test_positions_of_a_part_are_those_of_the_log(cli: Cli) -> None:
    """So that what was said of them elsewhere still fits."""
    write(cli.data_dir, bad_night())
    rows = history(incident(cli, "2023-11-15T03:12:00Z", 3)).rows
    assert all(after.pos == before.pos + 1 for before, after in pairwise(rows))
    whole = events_of(cli.data_dir / LOG_FILE)
    assert [row.id for row in rows] == [
        row.id for row in whole if row.pos in range(rows[0].pos, rows[-1].pos + 1)
    ]
