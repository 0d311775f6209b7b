"""A session as lanes over time: its state, its client, its tuner, its upstream.

Pure over recorded events: knows what each of them begins and ends. Refuses to know how wide a lane
is drawn and in what colours.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.envelope import Recorded
from events.machine import CONNECT, DISCONNECT, ENDED, ERROR
from plexbridge.audit.story import story

PARTS_MAX: Final = 300
"""Spans and marks of one lane: an evening of failing upstreams; more cannot be told apart."""

GOOD: Final = "good"
WAIT: Final = "wait"
BAD: Final = "bad"
PLAIN: Final = "plain"

TONES: Final = {"connecting": WAIT, "active": GOOD, "recovering": WAIT, "ended": PLAIN}


@dataclass(frozen=True, slots=True)
class Part:
    """A span of a lane, or a mark on it, which takes no time. Times in microseconds."""

    begun: int
    ended: int
    tone: str
    text: str
    pos: int
    """The event that began it."""

    def as_json(self) -> dict[str, Any]:
        """Times in Unix milliseconds."""
        return {
            "from": self.begun // 1_000,
            "to": self.ended // 1_000,
            "tone": self.tone,
            "text": self.text,
            "pos": self.pos,
        }


@dataclass(frozen=True, slots=True)
class Lane:
    """What one thing did."""

    name: str
    parts: tuple[Part, ...]

    def as_json(self) -> dict[str, Any]:
        """The first parts, and how many there are."""
        shown = [part.as_json() for part in self.parts[:PARTS_MAX]]
        return {"name": self.name, "parts": shown, "count": len(self.parts)}


def lanes(session: Sequence[Recorded], channel: Sequence[Recorded], *, until: int) -> list[Lane]:
    """The four lanes of a session, from its start to `until` (µs). What its relay did before is
    drawn from the start on."""
    start = session[0].at
    return [
        Lane("state", tuple(_state(session, until))),
        Lane("client", tuple(_client(session, until))),
        Lane("tuner", tuple(_tuner(channel, start, until))),
        Lane("upstream", tuple(_upstream(channel, start, until))),
    ]


def _state(session: Sequence[Recorded], until: int) -> Iterator[Part]:
    """One span for as long as a state lasts, however often something happened in it."""
    since: tuple[int, str, int] | None = None
    for step in story(session):
        if since is not None and step.state == since[1]:
            continue
        if since is not None:
            yield Part(since[0], step.at, TONES[since[1]], since[1], since[2])
        since = step.at, step.state, step.pos
    assert since is not None, "a session has a first step"
    end = since[0] if since[1] == ENDED else until
    yield Part(since[0], end, TONES[since[1]], since[1], since[2])


def _client(session: Sequence[Recorded], until: int) -> Iterator[Part]:
    """Its connections: from `connect` until one closed, was closed, or the session ended."""
    since: Recorded | None = None
    for row in session:
        closes = row.dst == ENDED or row.type == DISCONNECT
        if since is not None and (closes or row.type == CONNECT):
            yield Part(since.at, row.at, GOOD, _asked(since), since.pos)
            since = None
        if row.type == CONNECT:
            since = row
        elif "first_byte_ms" in row.payload:
            text = f"first byte after {row.payload['first_byte_ms']} ms"
            yield Part(row.at, row.at, GOOD, text, row.pos)
        elif closes:
            tone = BAD if row.type == ERROR else PLAIN
            yield Part(row.at, row.at, tone, row.payload["detail"], row.pos)
    if since is not None:
        yield Part(since.at, until, GOOD, _asked(since), since.pos)


def _asked(connect: Recorded) -> str:
    name = connect.payload["client"]["name"] or "a player"
    return f"{name} came back" if connect.payload["resumed"] else str(name)


def _tuner(channel: Iterable[Recorded], start: int, until: int) -> Iterator[Part]:
    leased: Recorded | None = None
    for row in channel:
        if row.type == "tuner_leased":
            leased = row
        elif row.type == "tuner_released" and leased is not None:
            yield from _clipped(leased, row.at, GOOD, f"tuner {row.payload['tuner']}", start)
            yield from _mark(row, PLAIN, f"free: {row.payload['why']}", start)
            leased = None
    if leased is not None:
        yield from _clipped(leased, until, GOOD, f"tuner {leased.payload['tuner']}", start)


_UPSTREAM_ENDS: Final = ("upstream_lost", "upstream_closed")


def _upstream(channel: Iterable[Recorded], start: int, until: int) -> Iterator[Part]:
    """Attempts, each until it was lost or closed; a loss says why."""
    opened: Recorded | None = None
    flows = False

    def attempt(end: int) -> Iterator[Part]:
        if opened is not None:
            text = str(opened.payload["source"])
            yield from _clipped(opened, end, GOOD if flows else WAIT, text, start)

    for row in channel:
        if row.type in ("upstream_opened", *_UPSTREAM_ENDS):
            yield from attempt(row.at)
            opened, flows = (row, False) if row.type == "upstream_opened" else (None, False)
        if row.type == "upstream_first_byte":
            flows = True
            yield from _mark(row, GOOD, f"video after {row.payload['after_ms']} ms", start)
        elif row.type == "upstream_lost":
            yield from _mark(row, BAD, str(row.payload["detail"]), start)
        elif row.type == "source_changed":
            yield from _mark(row, PLAIN, f"to {row.payload['source']}", start)
    yield from attempt(until)


def _clipped(begin: Recorded, end: int, tone: str, text: str, start: int) -> Iterator[Part]:
    if end > start:
        yield Part(max(start, begin.at), end, tone, text, begin.pos)


def _mark(row: Recorded, tone: str, text: str, start: int) -> Iterator[Part]:
    if row.at >= start:
        yield Part(row.at, row.at, tone, text, row.pos)
