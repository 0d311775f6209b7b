"""One audit of one log: the chain, the promises, the projections, and what it all comes to.

Blocks; reads beside a running bridge, up to where the log ended when the audit began.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from plexbridge.audit.checks import READABLE, check, promises
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.reading import Progress, recorded
from plexbridge.log.anchors import Anchor, all_before, check_anchors
from plexbridge.log.port import Head
from plexbridge.log.verify import ChainReader, verify_chain

FINDINGS_KEPT_MAX: Final = 100
"""Findings of one check that are kept to be shown; all are counted. A damaged log can have as many
as it has events."""

SCHEMA: Final = 1
"""Of the document that `--json` gives."""

CHAIN: Final = "chain"
ANCHORS: Final = "anchors"
PROJECTIONS: Final = "projections"

_CHAIN_PROMISE: Final = "positions and versions without a gap, every hash in its place"
_ANCHORS_PROMISE: Final = "the log leads to every hash that was kept elsewhere"
_READABLE_PROMISE: Final = "every payload can be read"
_PROJECTIONS_PROMISE: Final = "every projection equals its rebuild"


@dataclass(slots=True)
class Result:
    """What one check came to."""

    name: str
    promise: str
    examined: int = 0
    found: int = 0
    unchecked: int = 0
    broken: bool = False
    """Something found means that the log is not what was written."""
    findings: list[Finding] = field(default_factory=list)
    """The first ones."""

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while there is room."""
        if finding.kind is Kind.UNCHECKED:
            self.unchecked += 1
        else:
            self.found += 1
            self.broken = self.broken or finding.kind is Kind.BROKEN
        if len(self.findings) < FINDINGS_KEPT_MAX:
            self.findings.append(finding)

    @property
    def fine(self) -> bool:
        """Nothing was found, and nothing could not be checked."""
        return not self.found and not self.unchecked


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit came to."""

    head: Head
    first: int
    """The first position held; later than 1 when older events were pruned."""
    results: tuple[Result, ...]

    @property
    def found(self) -> int:
        """Broken promises, a broken chain included."""
        return sum(result.found for result in self.results)

    @property
    def unchecked(self) -> int:
        """What could not be checked."""
        return sum(result.unchecked for result in self.results)

    @property
    def broken(self) -> bool:
        """The log itself is not what was written."""
        return any(result.broken for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "schema": SCHEMA,
            "head": {"pos": self.head.pos, "hash": self.head.hash.hex()},
            "first": self.first,
            "found": self.found,
            "unchecked": self.unchecked,
            "broken": self.broken,
            "checks": [
                {
                    "name": result.name,
                    "promise": result.promise,
                    "examined": result.examined,
                    "found": result.found,
                    "unchecked": result.unchecked,
                    "findings": [finding.as_json() for finding in result.findings],
                }
                for result in self.results
            ],
        }


def chain_findings(reader: ChainReader, progress: Progress | None = None) -> Iterator[Finding]:
    """What is wrong with the log as a log.

    Raises:
        StorageFailed: it cannot be read at all.
    """
    for wrong in verify_chain(reader, progress=progress):
        text = f"{wrong.rule}: {wrong.text}"
        yield Finding(check=CHAIN, kind=Kind.BROKEN, pos=wrong.pos, text=text)


def anchor_findings(reader: ChainReader, anchors: Sequence[Anchor]) -> Iterator[Finding]:
    """Where the log does not lead to what was kept elsewhere of it.

    Raises:
        StorageFailed: it cannot be read.
    """
    for wrong in check_anchors(reader, anchors):
        yield Finding(check=ANCHORS, kind=Kind.BROKEN, pos=wrong.pos, text=wrong.text)
    if all_before(reader, anchors):
        text = "every anchor is from before what was pruned; keep one of today"
        yield Finding(check=ANCHORS, kind=Kind.UNCHECKED, pos=None, text=text)


def audit(
    reader: ChainReader,
    *,
    projections: Callable[[], Iterable[Finding]],
    anchors: Sequence[Anchor] = (),
    progress: Callable[[str], Progress] | None = None,
) -> Report:
    """Run everything. `progress(what)` gives the function that is told positions of that part.

    Where the chain is broken the rest is not asked: what a broken log says proves nothing.

    Raises:
        StorageFailed: the log cannot be read.
    """
    head, first = reader.head(), reader.base().pos + 1
    chain = Result(CHAIN, _CHAIN_PROMISE, examined=head.pos - first + 1)
    for finding in chain_findings(reader, progress and progress("Chain")):
        chain.add(finding)
    results = {CHAIN: chain}
    if anchors:
        results[ANCHORS] = Result(ANCHORS, _ANCHORS_PROMISE, examined=len(anchors))
        for finding in anchor_findings(reader, anchors):
            results[ANCHORS].add(finding)
    promised = promises()
    results[READABLE] = Result(READABLE, _READABLE_PROMISE, examined=chain.examined)
    for one in promised.checks:
        results[one.name] = Result(one.name, one.promise)
    results[PROJECTIONS] = Result(PROJECTIONS, _PROJECTIONS_PROMISE)
    if chain.found:
        for result in results.values():
            if result.name not in (CHAIN, ANCHORS):
                text = "not checked: the log is not what was written"
                result.add(Finding(check=result.name, kind=Kind.UNCHECKED, pos=None, text=text))
        return Report(head, first, tuple(results.values()))
    events = recorded(reader, until=head.pos, progress=progress and progress("Promises"))
    for finding in check(promised, events):
        results[finding.check].add(finding)
    for one in promised.checks:
        results[one.name].examined = one.examined
    for finding in projections():
        results[PROJECTIONS].add(finding)
    return Report(head, first, tuple(results.values()))
