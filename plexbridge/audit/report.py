"""One audit of one log: the chain, the promises, the projections, and what it all comes to.

Blocks; reads beside a running bridge, up to where the log ended when the audit began.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain as one_after_another
from typing import Any, Final, Protocol

from plexbridge.audit.checks import READABLE, Check, check, promises
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.reading import Progress, recorded
from plexbridge.audit.since import Since
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
    since: Since | None = None
    """Where the audit began; None: with the first event held."""
    not_beside: str = ""
    """Why nothing was compared with a running bridge; empty where it was."""

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
            "since": None if self.since is None else self.since.as_json(),
            "not_beside": self.not_beside or None,
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


class More(Protocol):
    """A check that asks something else than the log."""

    name: str
    promise: str
    examined: int
    """How many things were looked at, once that is over."""

    def findings(self) -> Iterable[Finding]:
        """What it shows."""
        ...


def chain_findings(
    reader: ChainReader, progress: Progress | None = None, *, after: int = 0
) -> Iterator[Finding]:
    """What is wrong with the log as a log, behind a position.

    Raises:
        StorageFailed: it cannot be read at all.
    """
    for wrong in verify_chain(reader, after=after, progress=progress):
        text = f"{wrong.rule}: {wrong.text}"
        yield Finding(check=CHAIN, kind=Kind.BROKEN, pos=wrong.pos, text=text)


def anchor_findings(
    reader: ChainReader, anchors: Sequence[Anchor], *, after: int = 0
) -> Iterator[Finding]:
    """Where the log does not lead to what was kept elsewhere of it. `after`: the chain was checked
    from there on.

    Raises:
        StorageFailed: it cannot be read.
    """
    for wrong in check_anchors(reader, anchors):
        yield Finding(check=ANCHORS, kind=Kind.BROKEN, pos=wrong.pos, text=wrong.text)
    if all_before(reader, anchors, after):
        text = "every anchor is from before what was pruned; keep one of today"
        if after > reader.base().pos:
            text = (
                f"every anchor is from before #{after}, where this audit begins; leave --since out"
            )
        yield Finding(check=ANCHORS, kind=Kind.UNCHECKED, pos=None, text=text)


def audit(
    reader: ChainReader,
    *,
    projections: Callable[[], Iterable[Finding]],
    anchors: Sequence[Anchor] = (),
    since: Since | None = None,
    more: Sequence[More] = (),
    not_beside: str = "",
    progress: Callable[[str], Progress] | None = None,
) -> Report:
    """Run everything, or what lies behind `since`; `projections` is then the caller's to begin
    there. `progress(what)` gives the function that is told positions of that part.

    Where the chain is broken the rest is not asked: what a broken log says proves nothing.

    Raises:
        StorageFailed: the log cannot be read.
    """
    head, first = reader.head(), reader.base().pos + 1
    after = first - 1 if since is None else since.trusted
    chain = Result(CHAIN, _CHAIN_PROMISE, examined=head.pos - after)
    for finding in chain_findings(reader, progress and progress("Chain"), after=after):
        chain.add(finding)
    results = {CHAIN: chain}
    if anchors:
        results[ANCHORS] = Result(ANCHORS, _ANCHORS_PROMISE, examined=len(anchors))
        for finding in anchor_findings(reader, anchors, after=after):
            results[ANCHORS].add(finding)
    promised = promises()
    results[READABLE] = Result(READABLE, _READABLE_PROMISE, examined=chain.examined)
    judged: tuple[Check | More, ...] = (*promised.checks, *more)
    for one in judged:
        results[one.name] = Result(one.name, one.promise)
    results[PROJECTIONS] = Result(PROJECTIONS, _PROJECTIONS_PROMISE)
    report = Report(head, first, tuple(results.values()), since, not_beside)
    if chain.found:
        _not_checked(report)
        return report
    if since is not None and after > 0:
        promised.begin(since.folding.decided, after)
    told = progress and progress("Promises")
    events = recorded(reader, after=after, until=head.pos, progress=told)
    found = (
        check(promised, events),
        *(one.findings() for one in more),
        projections(),
    )
    for finding in one_after_another.from_iterable(found):
        results[finding.check].add(finding)
    for one in judged:
        results[one.name].examined = one.examined
    return report


def _not_checked(report: Report) -> None:
    """What a broken log says proves nothing."""
    for result in report.results:
        if result.name not in (CHAIN, ANCHORS):
            text = "not checked: the log is not what was written"
            result.add(Finding(check=result.name, kind=Kind.UNCHECKED, pos=None, text=text))
