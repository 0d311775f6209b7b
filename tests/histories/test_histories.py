"""Recorded logs, read again by the rules of today: what a release wrote stays true."""

import hashlib
from functools import cache
from pathlib import Path

import pytest

from events.codec import GENESIS
from events.envelope import Recorded
from events.machine import ENDED, RELEASED
from events.reasons import ERRORS, INTENTIONAL
from events.world import fold
from plexbridge.audit.checks import check, promises
from plexbridge.audit.replaying import replay
from plexbridge.log.exported import Closing, Header, read_header, read_line
from plexbridge.log.exporting import checked
from projections.folding import Folding
from projections.words import explain
from tests.histories.make import HERE, SUFFIX
from tests.histories.stories import BUGS, STORIES

FILES = sorted(HERE.glob(f"*{SUFFIX}"))


@cache
def recorded(path: Path) -> tuple[Header, list[Recorded], Closing]:
    """A file, taken apart."""
    first, *lines = path.read_bytes().splitlines()
    header = read_header(first)
    assert header is not None, "it begins as an export does"
    *rows, closing = map(read_line, lines)
    assert isinstance(closing, Closing)
    return header, [row for row in rows if isinstance(row, Recorded)], closing


def ends(rows: list[Recorded]) -> list[tuple[str, str, str]]:
    """Trigger, reason and detail of every terminal event."""
    return [
        (row.type, row.payload["reason"], row.payload["detail"])
        for row in rows
        if row.stream.startswith("session-") and row.dst == ENDED
    ]


each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@each
def test_it_is_what_was_written(path: Path) -> None:
    """Not a byte has changed, and every hash is in its place."""
    header, rows, closing = recorded(path)
    body = b"".join(path.read_bytes().splitlines(keepends=True)[:-1])
    assert closing.digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert closing.events == header.last == len(rows)
    assert list(checked(rows, after=0, previous=GENESIS)) == rows


@each
def test_it_folds_and_nothing_is_left_open(path: Path) -> None:
    """The decided state, and everything that is shown."""
    _, rows, _ = recorded(path)
    world = fold(rows)
    folding = Folding()
    for row in rows:
        folding.fold(row)
    assert folding.position == len(rows)
    open_in_the_end = path.stem in ("kept_over_another_word", "recovered")
    assert bool(world.sessions) == open_in_the_end
    assert bool(world.leases) == open_in_the_end


@each
def test_every_step_is_legal_on_the_machine_that_decided_it(path: Path) -> None:
    """A machine that was released is never forgotten."""
    _, rows, _ = recorded(path)
    replayed = replay(rows)
    assert (replayed.illegal, replayed.unknown) == (0, 0)
    assert replayed.machines.keys() <= RELEASED.keys()


@each
def test_the_audit_finds_nothing(path: Path) -> None:
    """Every promise was kept."""
    _, rows, _ = recorded(path)
    assert [finding.text for finding in check(promises(), rows)] == []


@each
def test_every_end_has_words(path: Path) -> None:
    """Nobody is told "not known"; a detail that a test made up says so itself."""
    _, rows, _ = recorded(path)
    for _, reason, detail in ends(rows):
        assert detail == "asked" or "last evidence" not in explain(reason, detail).text


def test_there_is_a_history_for_every_reason() -> None:
    """The eight deliberate ones, the nine errors, and a word of a program."""
    reasons = set()
    for path in FILES:
        _, rows, _ = recorded(path)
        reasons |= {
            row.payload["reason"] for row in rows if "reason" in row.payload and row.dst is not None
        }
    assert reasons >= INTENTIONAL | ERRORS
    assert reasons - INTENTIONAL - ERRORS


def test_every_story_was_recorded() -> None:
    """`python -m tests.histories.make` writes those that are missing."""
    assert {path.stem for path in FILES} >= {story.name for story in (*STORIES, *BUGS)}
