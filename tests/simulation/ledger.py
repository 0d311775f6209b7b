"""The independent book: counts sessions, ends, tuners and connections from recorded events alone.

Knows what an event says and what must never be. Refuses to know how the rules reach an answer.
Every event is checked as it becomes durable, so "not even for a moment" means between two events.
"""

from collections.abc import Iterable, Mapping

from events.envelope import Recorded
from events.machine import ENDED, NEW, RELEASED
from events.policy import Policy


class Broken(AssertionError):
    """A promise that does not hold."""


def must(holds: bool, what: str) -> None:
    """Fail with `what` unless it holds (an `assert` that costs nothing to name)."""
    if not holds:
        raise Broken(what)


class Ledger:
    """What the events amount to."""

    def __init__(self, policy: Policy, allowed: Mapping[str, int]) -> None:
        """`allowed`: connections by source; 0 is no bound."""
        self.policy = policy
        self.allowed = allowed
        self.open: dict[str, str] = {}
        """Open sessions and the state of each."""
        self.ended: set[str] = set()
        self.leases: dict[str, tuple[int, str]] = {}
        """Channel → tuner and source."""
        self.position = 0
        self.problem: Broken | None = None
        """The first promise that broke."""

    def became_durable(self, rows: Iterable[Recorded]) -> None:
        """A listener of the log."""
        for row in rows:
            try:
                self._count(row)
            except Broken as broken:
                self.problem = self.problem or broken

    def check(self) -> None:
        """Fail if anything broke so far."""
        if self.problem is not None:
            raise self.problem

    def _count(self, row: Recorded) -> None:
        must(row.pos == self.position + 1, f"#{row.pos} after #{self.position}")
        self.position = row.pos
        kind, _, name = row.stream.partition("-")
        if kind == "session":
            self._session(row, name)
        elif row.type == "tuner_leased":
            must(name not in self.leases, f"#{row.pos}: channel {name} is leased twice")
            self.leases[name] = (row.payload["tuner"], row.payload["source"])
            self._bounds(row)
        elif row.type == "source_changed":
            tuner, before = self.leases[name]
            must(before == row.payload["before"], f"#{row.pos}: {name} did not read {before}")
            self.leases[name] = (tuner, row.payload["source"])
            self._bounds(row)
        elif row.type == "tuner_released":
            held = (row.payload["tuner"], row.payload["source"])
            must(self.leases.pop(name, None) == held, f"#{row.pos}: {name} did not hold {held}")
        elif row.type == "policy_set":
            self.policy = Policy.from_payload(dict(row.payload))

    def _session(self, row: Recorded, name: str) -> None:
        must(name not in self.ended, f"#{row.pos}: {row.type} after the end of {name}")
        assert row.machine is not None
        successors = RELEASED[row.machine].get((row.src or "", row.type), frozenset())
        must(row.dst in successors, f"#{row.pos}: {row.src} {row.type} {row.dst} is no edge")
        must(row.src == self.open.get(name, NEW), f"#{row.pos}: {name} was not {row.src}")
        if row.dst == ENDED:
            self.ended.add(name)
            del self.open[name]
            return
        self.open[name] = row.dst or ""
        if row.src == NEW:
            most = self.policy.max_sessions
            must(not most or len(self.open) <= most, f"#{row.pos}: {len(self.open)} sessions open")

    def _bounds(self, row: Recorded) -> None:
        tuners = {tuner for tuner, _ in self.leases.values()}
        must(len(tuners) == len(self.leases), f"#{row.pos}: a tuner is given twice")
        must(len(tuners) <= self.policy.tuners, f"#{row.pos}: {len(tuners)} tuners in use")
        must(max(tuners) < self.policy.tuners, f"#{row.pos}: no such tuner")
        source = row.payload["source"]
        allowed = self.allowed[source]
        in_use = sum(used == source for _, used in self.leases.values())
        must(not allowed or in_use <= allowed, f"#{row.pos}: {source} has {in_use} of {allowed}")
