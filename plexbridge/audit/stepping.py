"""Recorded events one at a time: how things stood before each, and what it changed.

Folds the events as they come and shows what a dashboard shows; judges sessions' steps as a replay
does. Knows nothing of who looks, or of how long they take.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from events.envelope import Recorded
from plexbridge.audit.difference import difference
from plexbridge.audit.event_json import event_json
from plexbridge.audit.replaying import Step
from plexbridge.audit.steps import SESSION_PREFIX, Steps
from projections.folding import Folding

SCHEMA: Final = "plexbridge.step/1"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stepped:
    """One event, taken."""

    row: Recorded
    step: Step | None
    """The session's step and whether it was legal; None: the event is no session's."""
    before: Document | None
    """The session as it was shown before; None where it was not open."""
    changed: Document
    """What the dashboard showed otherwise afterwards; see `difference`."""

    def as_json(self) -> Document:
        """For `--json`."""
        verdict = None if self.step is None else self.step.verdict
        return {
            "schema": SCHEMA,
            "event": event_json(self.row),
            "legal": verdict and verdict.legal,
            "text": verdict and verdict.text,
            "before": self.before,
            "changed": {name: self.changed[name] for name in _CHANGES},
        }


_CHANGES: Final = ("tuners", "sessions", "sources", "totals")


def stepping(folding: Folding, rows: Iterable[Recorded], stream: str = "") -> Iterator[Stepped]:
    """Take events behind a fold, which is folded on; yields those of `stream` (of all, if empty).

    Raises:
        AssertionError, KeyError, TypeError, ValueError: an event does not follow; the fold stands
            before it.
    """
    judge = Steps()
    if folding.position:
        judge.begin(folding.decided, folding.position)
    for row in rows:
        of_session = row.stream.startswith(SESSION_PREFIX)
        step = Step(row, judge.judge(row)) if of_session else None
        if stream not in ("", row.stream):
            folding.fold(row)
            continue
        before = folding.shown.document()
        folding.fold(row)
        after = folding.shown.document()
        session = row.stream.removeprefix(SESSION_PREFIX) if of_session else ""
        was = next((one for one in before["sessions"] if one["id"] == session), None)
        yield Stepped(row, step, was, difference(before, after, [row]))
