"""Folds recorded sessions again, step by step, through the machines that decided them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from events.envelope import Recorded
from events.machine import ENDED, NEW
from plexbridge.audit.steps import SESSION_PREFIX, Steps, Verdict


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

    @property
    def open(self) -> int:
        """Sessions not ended."""
        return sum(state != ENDED for state in self.sessions.values())


WRONG_MAX = 1_000
"""Wrong steps kept to be shown; all are counted."""


def steps(events: Iterable[Recorded]) -> Iterator[Step]:
    """Every session event among these, judged in order."""
    following = Steps()
    for row in events:
        if row.stream.startswith(SESSION_PREFIX):
            yield Step(row, following.judge(row))


def replay(events: Iterable[Recorded]) -> Replay:
    """Fold the sessions among these events."""
    result = Replay()
    for step in steps(events):
        row, verdict = step.row, step.verdict
        result.events += 1
        result.sessions[row.stream.removeprefix(SESSION_PREFIX)] = row.dst or NEW
        machine = row.machine or "none"
        result.machines[machine] = result.machines.get(machine, 0) + 1
        if verdict.legal:
            continue
        if verdict.legal is None:
            result.unknown += 1
        else:
            result.illegal += 1
        if len(result.wrong) < WRONG_MAX:
            result.wrong.append(step)
    return result
