"""The promises a log must show were kept, each as one pass over its events.

Pure: any iterable of `Recorded`, from the first event of the log; or behind a decided state, which
is then taken over; or behind a prune, where what began earlier is unknown and left aside. Each
check knows one promise and nothing of the others.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from events.codec import NewerLog, upcast
from events.envelope import Recorded
from events.world import World
from plexbridge.audit.bounds import Bounds
from plexbridge.audit.cleanup import Cleanup
from plexbridge.audit.endings import OneEnd
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.leases import Leases
from plexbridge.audit.steps import SESSION_PREFIX, Steps

READABLE: Final = "payloads"
"""Name of the check that every payload can be read."""

Data = dict[str, Any]


class Check(Protocol):
    """One promise."""

    name: str
    promise: str
    """What holds when nothing is found, as a sentence."""
    passes_over: frozenset[str]
    """Types of events that show nothing of it: nearly all events are of one type."""

    @property
    def examined(self) -> int:
        """How many things were looked at."""
        ...

    def begin(self, world: World, pos: int) -> None:
        """Take over, before the first event, how things stood after the one at `pos`."""
        ...

    def event(self, row: Recorded, data: Data) -> Iterable[Finding]:
        """What the next event shows."""
        ...

    def end(self) -> Iterable[Finding]:
        """What is left to say when the log is over."""
        ...


class LegalSteps:
    """Every step is an edge of the machine that decided it."""

    name = "steps"
    promise = "every step is one that its machine allows"
    passes_over: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.examined = 0
        self._steps = Steps()

    def begin(self, world: World, pos: int) -> None:
        """Take over which sessions are open."""
        self._steps.begin(world, pos)

    def event(self, row: Recorded, data: Data) -> Iterator[Finding]:
        """Judge a session's event."""
        if not row.stream.startswith(SESSION_PREFIX):
            return
        self.examined += 1
        verdict = self._steps.judge(row)
        if not verdict.legal:
            kind = Kind.UNCHECKED if verdict.legal is None else Kind.PROBLEM
            text = f"{row.stream}: {verdict.text}"
            yield Finding(check=self.name, kind=kind, pos=row.pos, text=text)

    def end(self) -> tuple[()]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class Promises:
    """The checks of one audit; used for one pass."""

    checks: Sequence[Check]

    def begin(self, world: World, pos: int) -> None:
        """Take over how things stood after the event at `pos`; the one behind it comes next."""
        for one in self.checks:
            one.begin(world, pos)


def promises() -> Promises:
    """Every check there is, fresh."""
    return Promises((LegalSteps(), OneEnd(), Leases(), Bounds(), Cleanup()))


def check(promised: Promises, events: Iterable[Recorded]) -> Iterator[Finding]:
    """Run the checks over the events, in one pass. A payload without what a check needs cannot be
    judged, which is not "fine"."""
    asked: dict[str, list[Check]] = {}
    for row in events:
        try:
            data = dict(upcast(row))
        except (NewerLog, orjson.JSONDecodeError, ValueError, TypeError) as unreadable:
            text = f"{row.stream} {row.type}: {unreadable}"
            yield Finding(check=READABLE, kind=Kind.UNCHECKED, pos=row.pos, text=text)
            continue
        if row.type not in asked:
            asked[row.type] = [one for one in promised.checks if row.type not in one.passes_over]
        for one in asked[row.type]:
            try:
                yield from one.event(row, data)
            except (KeyError, TypeError, AttributeError) as missing:
                text = f"{row.stream} {row.type}: its payload cannot be judged ({missing!r})"
                yield Finding(check=one.name, kind=Kind.UNCHECKED, pos=row.pos, text=text)
    for one in promised.checks:
        yield from one.end()
