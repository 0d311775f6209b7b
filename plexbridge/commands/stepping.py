"""`replay --step` and `--speed`: recorded events at a person's own pace, or so many times faster.

Knows how long to wait between two events and how each is told. Who waits, and for which key, is
handed in.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from itertools import chain
from typing import Any, Final

from events.envelope import Recorded
from events.ids import SessionId, session_stream
from plexbridge.audit.exports import folded_to
from plexbridge.audit.reading import recorded
from plexbridge.audit.replaying import Replay, Step
from plexbridge.audit.stepping import Stepped, stepping
from plexbridge.commands.beside import Pause, pause
from plexbridge.commands.changes import field_changes, tuner_change
from plexbridge.commands.events import told
from plexbridge.commands.exits import NotUnderstood, Unfoldable
from plexbridge.commands.keys import Key, pressed
from plexbridge.commands.moments import size, span
from plexbridge.commands.output import json_line, line, note
from plexbridge.log.reader import SqliteReader

WAIT_S_MAX: Final = 10.0
"""Between two events, however far apart they were: longer looks like a command that hangs."""

NO_MORE: Final = frozenset({"q", "Q", "\x04", ""})
"""Ends the stepping; the last is the end of the input."""

SESSION_EVENTS_MAX: Final = 100_000

Before = Callable[[Recorded], bool]
"""Called before each event is shown; False: no more."""


def by_key(key: Key) -> Before:
    """Goes on with every key or line but `q`; the first event is shown at once."""
    shown = [False]

    def go_on(row: Recorded) -> bool:
        if not shown[0]:
            shown[0] = True
            return True
        return key() not in NO_MORE

    return go_on


def by_time(speed: float, wait: Pause) -> Before:
    """Waits as long as it took then, `speed` times shorter, and `WAIT_S_MAX` at most."""
    last: list[int] = []

    def go_on(row: Recorded) -> bool:
        if last:
            wait(min(WAIT_S_MAX, max(0, row.at - last[0]) / 1e6 / speed))
        last[:] = [row.at]
        return True

    return go_on


@contextmanager
def pace(step: bool, speed: float | None) -> Iterator[Before]:
    """What was asked for: keys of this terminal, or time."""
    if step:
        with pressed(sys.stdin) as key:
            note("Enter or any key: the next step; q: no more")
            yield by_key(key)
        return
    assert speed is not None, "one of the two is asked for"
    yield by_time(speed, pause)


@dataclass(frozen=True, slots=True)
class Walk:
    """How the steps are shown."""

    go_on: Before
    as_json: bool
    zone: tzinfo | None
    verdict: Callable[[Step], str]

    def through(self, reader: SqliteReader, session: SessionId | None) -> Replay:
        """One session's steps, or every event; what they came to, up to where it was left. Blocks.

        Raises:
            Unfoldable: the log does not hold together.
            NotUnderstood: the session's events are not in this log.
        """
        result = Replay()
        for taken in _checked(*_asked(reader, session)):
            if not self.go_on(taken.row):
                break
            if taken.step is not None:
                result.count(taken.step)
            if self.as_json:
                json_line(taken.as_json())
            else:
                self._tell(taken)
            sys.stdout.flush()
        return result

    def _tell(self, taken: Stepped) -> None:
        verdict = "" if taken.step is None else f"  {self.verdict(taken.step)}"
        line(told(taken.row, self.zone) + verdict)
        if taken.before is not None:
            line(f"    before   {_standing(taken.before, taken.row.at)}")
        for text in _changes(taken.changed):
            line(f"    changed  {text}")


def _asked(reader: SqliteReader, session: SessionId | None) -> tuple[Any, Iterable[Recorded], str]:
    """The fold to begin with, the events behind it, and the stream that is shown."""
    if session is None:
        first, last, stream = reader.first(), int(reader.head().pos), ""
    else:
        stream = session_stream(session)
        rows = reader.read_stream(stream, 0, SESSION_EVENTS_MAX)
        if not rows:
            raise NotUnderstood(f"every event of {session} lies before where this log begins")
        first, last = rows[0].pos, int(rows[-1].pos)
    folding = folded_to(reader, first - 1)
    return folding, recorded(reader, after=first - 1, until=last), stream


def _checked(folding: Any, rows: Iterable[Recorded], stream: str) -> Iterator[Stepped]:
    try:
        yield from stepping(folding, rows, stream)
    except (AssertionError, KeyError, TypeError, ValueError) as fault:
        raise Unfoldable(folding.position + 1, fault) from fault


def _standing(session: dict[str, Any], at: int) -> str:
    lasted = span(max(0, at - session["since"] * 1_000))
    tuner = "" if session["tuner"] is None else f", tuner {session['tuner']}"
    errors = f", {session['errors']} errors" if session["errors"] else ""
    return f"{session['state']} for {lasted}, {size(session['bytes'])}{tuner}{errors}"


def _changes(changed: dict[str, Any]) -> Iterator[str]:
    sessions = changed["sessions"]
    yield from (tuner_change(row) for row in changed["tuners"])
    yield from chain(
        (f"session {row['id']} began" for row in sessions["begun"]),
        (f"session {row['id']} {field_changes(row['fields'])}" for row in sessions["changed"]),
        (f"session {row['id']} is over" for row in sessions["ended"]),
        (f"source {row['id']} {field_changes(row['fields'])}" for row in changed["sources"]),
    )
