"""Folds recorded sessions again, step by step, through the machines that decided them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from events.envelope import Recorded
from events.machine import ENDED, NEW
from plexbridge.audit.steps import SESSION_PREFIX, Steps, Verdict
from projections.folding import Folding


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded step and what is to be said about it."""

    row: Recorded
    verdict: Verdict


@dataclass(slots=True)
class Replay:
    """What a replay came to."""

    events: int = 0
    sessions: dict[str, str] = field(default_factory=dict)
    """Session id → the state it was left in."""
    machines: dict[str, int] = field(default_factory=dict)
    """Machine id → steps it decided."""
    wrong: list[Step] = field(default_factory=list)
    """Steps that are illegal, or whose machine is not known; at most `WRONG_MAX`."""
    illegal: int = 0
    unknown: int = 0

    def count(self, step: Step) -> None:
        """Take a step into account."""
        row, verdict = step.row, step.verdict
        self.events += 1
        self.sessions[row.stream.removeprefix(SESSION_PREFIX)] = row.dst or NEW
        machine = row.machine or "none"
        self.machines[machine] = self.machines.get(machine, 0) + 1
        if verdict.legal:
            return
        if verdict.legal is None:
            self.unknown += 1
        else:
            self.illegal += 1
        if len(self.wrong) < WRONG_MAX:
            self.wrong.append(step)

    @property
    def open(self) -> int:
        """Sessions not ended."""
        return sum(state != ENDED for state in self.sessions.values())


WRONG_MAX = 1_000
"""Wrong steps kept to be shown; all are counted."""


def steps(events: Iterable[Recorded], begun: Folding | None = None) -> Iterator[Step]:
    """Every session event among these, judged in order; `begun`: how things stood before the first
    one, where that is not the first of its log."""
    following = Steps()
    if begun is not None and begun.position:
        following.begin(begun.decided, begun.position)
    for row in events:
        if row.stream.startswith(SESSION_PREFIX):
            yield Step(row, following.judge(row))


def replay(events: Iterable[Recorded], begun: Folding | None = None) -> Replay:
    """Fold the sessions among these events; `begun`: see `steps`."""
    result = Replay()
    for step in steps(events, begun):
        result.count(step)
    return result
