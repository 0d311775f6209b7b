"""The first position at which an invariant fails.

The promises of an audit are folds: whether one holds at a position is known only from everything
before it, so one pass that stops at the first finding is the shortest search there is. A total of
the dashboard only grows, and any moment of it is folded from a stored state near by: the position
at which it first reaches a number is found by halving.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.envelope import Recorded
from plexbridge.audit.checks import READABLE, Promises, check, promises
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.reading import Progress, recorded
from plexbridge.audit.report import CHAIN, chain_findings
from plexbridge.log.verify import ChainReader

SCHEMA: Final = "plexbridge.bisect/1"
ONE_AT_A_TIME: Final = (CHAIN, READABLE)


class NoInvariant(ValueError):
    """There is no such check, or no such total; one line with what there is."""


def invariants() -> tuple[str, ...]:
    """The names of what can be searched for."""
    return (*ONE_AT_A_TIME, *(one.name for one in promises().checks))


@dataclass(frozen=True, slots=True)
class Failed:
    """Where an invariant first does not hold; None: it holds everywhere."""

    finding: Finding | None
    examined: int
    """The last position looked at."""

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        found = None if self.finding is None else self.finding.as_json()
        return {"schema": SCHEMA, "examined": self.examined, "found": found}


def first_failure(
    reader: ChainReader,
    names: Sequence[str] = (),
    progress: Callable[[str], Progress] | None = None,
) -> Failed:
    """The first finding of these checks (all of them, if none is named). Blocks.

    The chain comes first: what a broken log says proves nothing.

    Raises:
        NoInvariant: a name is none.
        StorageFailed: the log cannot be read.
    """
    unknown = [name for name in names if name not in invariants()]
    if unknown:
        raise NoInvariant(f"no invariant {unknown[0]}; there are {', '.join(invariants())}")
    head = reader.head().pos
    begin = progress or (lambda name: lambda position: None)
    if not names or CHAIN in names:
        broken = next(iter(chain_findings(reader, begin("Chain"))), None)
        if broken is not None:
            return Failed(broken, broken.pos if broken.pos is not None else head)
    if names and set(names) <= {CHAIN}:
        return Failed(None, head)
    looked_at = [0]
    rows = _watched(recorded(reader, until=head, progress=begin("Promises")), looked_at)
    unchecked: Finding | None = None
    for finding in check(_chosen(names), rows):
        if finding.kind is not Kind.UNCHECKED:
            return Failed(finding, looked_at[0])
        unchecked = unchecked or finding
    return Failed(unchecked, head)


def _chosen(names: Sequence[str]) -> Promises:
    return Promises([one for one in promises().checks if not names or one.name in names])


def _watched(rows: Iterable[Recorded], looked_at: list[int]) -> Iterator[Recorded]:
    for row in rows:
        looked_at[0] = row.pos
        yield row


def first_reached(
    total: Callable[[int], float], at_least: float, first: int, last: int
) -> int | None:
    """The first position in `[first, last]` where a total that never falls is `at_least` so much;
    None: nowhere. Asks for some 20 positions of a million."""
    if first > last or total(last) < at_least:
        return None
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if total(middle) >= at_least:
            high = middle
        else:
            low = middle + 1
    return low


def total_of(document: dict[str, Any], path: str) -> float:
    """A number among the totals of a dashboard, such as `ended.orphaned`; 0 while there is none.

    Raises:
        NoInvariant: something else stands there.
    """
    value: Any = document["totals"]
    for name in path.split("."):
        if isinstance(value, list):
            value = {row["id"]: row for row in value}
        if not isinstance(value, dict):
            raise NoInvariant(f"totals.{path} is no number; there are {_paths(document)}")
        value = value.get(name, 0)
        if value == 0:
            return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoInvariant(f"totals.{path} is no number; there are {_paths(document)}")
    return value


def _paths(document: dict[str, Any]) -> str:
    found: list[str] = []
    for name, value in document["totals"].items():
        found += [f"{name}.{key}" for key in value] if isinstance(value, dict) else []
        found += [name] if isinstance(value, int | float) else []
    return ", ".join(found)
