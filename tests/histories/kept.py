"""A kept history, taken apart, and what has to hold of each: whole logs and parts alike.

A part begins behind what its seal says; a whole log begins with nothing.
"""

import hashlib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from events.envelope import Recorded
from events.machine import ENDED, RELEASED
from plexbridge.audit.checks import check, promises
from plexbridge.audit.replaying import replay
from plexbridge.control.seals import folding_of
from plexbridge.log.exported import (
    Before,
    Closing,
    Header,
    read_before,
    read_header,
    read_line,
)
from plexbridge.log.exporting import checked
from projections.folding import Folding
from projections.words import explain


@dataclass(frozen=True, slots=True)
class History:
    """One file."""

    header: Header
    before: Before | None
    rows: list[Recorded]
    closing: Closing
    body: bytes
    """Everything that the digest is of."""

    def beginning(self) -> Folding:
        """How things stood before the first event; anew at each call."""
        return Folding() if self.before is None else deepcopy(folding_of(self.before.seal))


@cache
def history(path: Path) -> History:
    """Read a file."""
    lines = path.read_bytes().splitlines(keepends=True)
    header = read_header(lines[0])
    assert header is not None, "it begins as an export does"
    before = read_before(lines[1]) if header.sealed else None
    *rows, closing = map(read_line, lines[2 if header.sealed else 1 :])
    assert isinstance(closing, Closing)
    found = [row for row in rows if isinstance(row, Recorded)]
    return History(header, before, found, closing, b"".join(lines[:-1]))


def is_what_was_written(kept: History) -> None:
    """Not a byte has changed, and every hash is in its place."""
    header, rows = kept.header, kept.rows
    assert kept.closing.digest == f"sha256:{hashlib.sha256(kept.body).hexdigest()}"
    assert kept.closing.events == header.last - header.first + 1 == len(rows)
    assert list(checked(rows, after=header.first - 1, previous=header.before)) == rows
    if kept.before is None:
        assert header.first == 1, "a part says how things stood before it"
    else:
        assert kept.before.seal.pos == header.first - 1


def folded(kept: History) -> Folding:
    """All of it folds: the decided state, and everything that is shown."""
    folding = kept.beginning()
    for row in kept.rows:
        folding.fold(row)
    assert folding.position == kept.header.last
    return folding


def is_legal(kept: History) -> None:
    """Every step, on the machine that decided it: one that was released is never forgotten."""
    replayed = replay(kept.rows, begun=kept.beginning() if kept.before else None)
    assert (replayed.illegal, replayed.unknown) == (0, 0), [one.verdict for one in replayed.wrong]
    assert replayed.machines.keys() <= RELEASED.keys()


def keeps_every_promise(kept: History) -> None:
    """The audit finds nothing."""
    promised = promises()
    if kept.before is not None:
        promised.begin(kept.beginning().decided, kept.before.seal.pos)
    found = [f"#{finding.pos} {finding.text}" for finding in check(promised, kept.rows)]
    assert found == [], found


def ends(rows: list[Recorded]) -> Iterator[tuple[str, str, str]]:
    """Trigger, reason and detail of every terminal event."""
    for row in rows:
        if row.stream.startswith("session-") and row.dst == ENDED:
            yield row.type, row.payload["reason"], row.payload["detail"]


def has_words(kept: History) -> None:
    """Nobody is told "not known" of an end; a detail that a test made up says so itself."""
    for _, reason, detail in ends(kept.rows):
        assert detail == "asked" or "last evidence" not in explain(reason, detail).text
