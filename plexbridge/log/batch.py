"""What may be appended, where it lands, and what each asker is told: one rule for every log.

Pure: the end of the log and its streams' versions go in, rows and answers come out. The SQLite
log and its twin in memory both ask here, so they cannot disagree.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from events.codec import canonical, chain, fields_of
from events.envelope import NewEvent, Recorded
from plexbridge.log.port import Durable, VersionConflict

ID_BYTES = 16
"""A UUIDv7."""

MAX_WAITING_EVENTS = 10_000
"""Events that may wait for the disk (DESIGN section 2): some 10 MB, seconds of a full house."""


class End(NamedTuple):
    """Where the log ends: position, hash and time (µs) of its last event."""

    pos: int
    hash: bytes
    at: int


class Append(NamedTuple):
    """One append on its way: its events, encoded where a mistake still hits the one who made it."""

    future: "asyncio.Future[Durable]"
    events: Sequence[NewEvent]
    fields: list[tuple[Any, ...]]
    """Of each event, its fields from `stream` to `data`."""
    hashed: list[bytes]
    """Of each event, what the hash covers."""

    @classmethod
    def of(cls, future: "asyncio.Future[Durable]", events: Sequence[NewEvent]) -> "Append":
        """Encode `events`.

        Raises:
            TypeError, NotCanonical: a payload or a name cannot be stored; nothing was queued.
        """
        for event in events:
            assert len(event.id) == ID_BYTES, "an id has 16 bytes"
        fields = [fields_of(event) for event in events]
        return cls(future, tuple(events), fields, [canonical(*each) for each in fields])

    @property
    def ids(self) -> list[bytes]:
        """The ids of its events, in order."""
        return [event.id for event in self.events]


@dataclass(frozen=True, slots=True)
class Refuse:
    """An append that found the queue full. It waits its turn to be told, so that whoever hears of
    it knows everything before it to be settled."""

    future: "asyncio.Future[Durable]"
    why: str

    @classmethod
    def full(cls, future: "asyncio.Future[Durable]") -> "Refuse":
        """The refusal that names the bound."""
        return cls(future, f"queue full: {MAX_WAITING_EVENTS} events wait for the disk")


Answer = Durable | Exception
Settlement = list[tuple["asyncio.Future[Durable]", Answer]]


@dataclass(slots=True)
class Verdict:
    """What becomes of a batch once its rows are durable."""

    end: End
    rows: list[Recorded] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    """Last version of every stream the rows belong to."""
    clock_steps: list[tuple[int, int]] = field(default_factory=list)
    """Position and time of each row that is earlier than the one before it."""
    answers: Settlement = field(default_factory=list)


def judge(
    batch: Sequence[Append],
    end: End,
    version_of: Callable[[str], int],
    find: Callable[[Sequence[bytes]], Durable | None],
) -> Verdict:
    """Give each append its rows, or its conflict, or what an earlier try of it stored.

    `version_of` tells a stream's stored version, `find` what is stored under the given ids.
    Ids are looked up only where versions do not fit: a retry always asks for versions taken.
    """
    verdict = Verdict(end)
    pos, head, at = end
    rows, versions = verdict.rows, verdict.versions
    for append in batch:
        fits = _expected(append.events, versions, version_of)
        if isinstance(fits, VersionConflict):
            earlier = _within(verdict.answers, append) or find(append.ids)
            verdict.answers.append((append.future, earlier or fits))
            continue
        start = len(rows)
        for event, fields, hashed in zip(*append[1:], strict=True):
            pos += 1
            head = chain(head, pos, hashed)
            rows.append(Recorded._make((pos, *fields, head)))
            if event.at < at:
                verdict.clock_steps.append((pos, event.at))
            at = event.at
        versions.update(fits)
        verdict.answers.append((append.future, tuple(rows[start:])))
    verdict.end = End(pos, head, at)
    return verdict


def _expected(
    events: Sequence[NewEvent], versions: dict[str, int], version_of: Callable[[str], int]
) -> dict[str, int] | VersionConflict:
    reached: dict[str, int] = {}
    for event in events:
        stream = event.stream
        actual = reached.get(stream)
        if actual is None:
            actual = versions.get(stream)
            if actual is None:
                actual = version_of(stream)
        if event.ver != actual + 1:
            return VersionConflict(stream, expected=event.ver - 1, actual=actual)
        reached[stream] = event.ver
    return reached


def _within(answers: Settlement, append: Append) -> Durable | None:
    """What an append before it in the same batch stored under the same ids."""
    for _, answer in answers:
        if not isinstance(answer, Exception) and [row.id for row in answer] == append.ids:
            return answer
    return None
