"""What a recorded time would have come to under another policy, beside what it came to.

Each figure says how far it can be trusted: *exact* (decided from what was recorded), *modelled*
(what nobody knows is filled in as `course` says), or a *bound*, and why. Nothing is claimed to be
exact behind an assumption that it rests on.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any, Final

from events.envelope import Recorded
from events.ids import SessionId, UnixMicros
from events.machine import CONNECT, ENDED, NEW, RECLAIM
from events.policy import Policy
from events.world import World
from plexbridge.audit.course import Course
from plexbridge.audit.inputs import SILENT, Inputs
from plexbridge.audit.own_time import Seen
from plexbridge.audit.policies import Overrides, applied
from plexbridge.audit.tally import Tally

SCHEMA: Final = "plexbridge.whatif/1"
_HOUR_US: Final = 3_600_000_000


class Trust(StrEnum):
    """How far a hypothetical figure goes."""

    EXACT = "exact"
    MODELLED = "modelled"
    AT_LEAST = "at least"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number, recorded beside hypothetical."""

    name: str
    recorded: float
    hypothetical: float
    trust: Trust
    why: str = ""
    """What it rests on; empty where nothing had to be assumed."""
    low: float | None = None
    high: float | None = None

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "recorded": self.recorded,
            "hypothetical": self.hypothetical,
            "trust": self.trust,
            "why": self.why,
            "low": self.low,
            "high": self.high,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Both courses."""

    first: int
    last: int
    """Positions decided again."""
    since: UnixMicros
    until: UnixMicros
    recorded: Policy
    """The last policy in force in that time."""
    asked: Policy
    decisions: int
    """Decided again before the courses parted."""
    exact: int
    """Of them byte for byte as recorded."""
    first_difference: int | None
    """Position before which nothing came out otherwise."""
    assumed: dict[str, int]
    figures: tuple[Figure, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`; Unix milliseconds."""
        before, after = self.recorded.as_payload(), self.asked.as_payload()
        return {
            "schema": SCHEMA,
            "first": self.first,
            "last": self.last,
            "since": self.since // 1_000,
            "until": self.until // 1_000,
            "policy": {
                name: {"recorded": before[name], "hypothetical": after[name]}
                for name in before
                if before[name] != after[name]
            },
            "decisions": self.decisions,
            "exact": self.exact,
            "first_difference": self.first_difference,
            "assumed": self.assumed,
            "figures": [figure.as_json() for figure in self.figures],
        }


def seen(rows: Iterable[Recorded]) -> Seen:
    """What has to be known of the whole record beforehand. One pass."""
    silent: dict[SessionId, int] = {}
    begun: dict[str, int] = {}
    lasted: list[int] = []
    for row in rows:
        if row.src is None:
            continue
        if row.type == CONNECT and row.src == NEW:
            begun[row.stream] = row.at
        elif row.dst == ENDED:
            since = begun.pop(row.stream, None)
            if since is not None:
                lasted.append(row.at - since)
            if row.type == RECLAIM and (data := row.payload)["detail"] in SILENT:
                silent[SessionId(row.stream.removeprefix("session-"))] = data["accepted_at"]
    return Seen(silent=silent, median_us=round(median(lasted)) if lasted else 0)


def whatif(
    rows: Callable[[], Iterable[Recorded]], overrides: Overrides, world: World | None = None
) -> WhatIf | None:
    """Decide recorded inputs again under their policy with `overrides`; None for no events.

    `rows` gives the same events each time it is called: they are read twice. `world` is the state
    before the first of them.

    Raises:
        Unexplained, NewerLog, ValueError, AssertionError, KeyError: see `Inputs`.
    """
    known = seen(rows())
    inputs = Inputs(rows(), deepcopy(world) if world is not None else None)
    course: Course | None = None
    tally: Tally | None = None
    first, last, since, until = 0, 0, UnixMicros(0), UnixMicros(0)
    for given in inputs:
        if course is None or tally is None:
            first, since = given.pos, given.append[0].at
            course = Course(overrides, inputs.world, known, since)
            tally = Tally(inputs.world, since)
        course.take(given)
        for event in given.append:
            tally.count(event)
        last, until = given.append[-1].pos, max(until, given.append[-1].at)
    if course is None or tally is None:
        return None
    course.close(until)
    tally.close(until)
    recorded = inputs.world.policy
    return WhatIf(
        first=first,
        last=last,
        since=since,
        until=until,
        recorded=recorded,
        asked=applied(recorded, overrides),
        decisions=course.decisions,
        exact=course.exact,
        first_difference=course.first_difference,
        assumed={name: n for name, n in sorted(course.assumed.items()) if n},
        figures=tuple(_figures(tally, course, until - since, until)),
    )


_ASSUMED: Final = {
    "admitted": "{n} viewers who were refused would have been served: a byte comes at once, and "
    "they watch for the median of the recorded sessions",
    "refused": "{n} viewers who were served would have been refused, or have left while they "
    "waited: that they ask again is not known",
    "silent": "{n} sessions go on behind their recorded end: their client or upstream is taken to "
    "stay silent",
    "closed": "{n} sessions go on behind their recorded end: their player is taken to close then",
}


def _figures(tally: Tally, course: Course, span_us: int, until: int) -> list[Figure]:
    there = course.tally
    trust, why = _trust(course)
    figures = [_plain("sessions", tally.sessions, there.sessions, trust, why)]
    for reason, detail in sorted(tally.ends.keys() | there.ends.keys()):
        name = f"ended {reason} · {detail}"
        ends = tally.ends[reason, detail], there.ends[reason, detail]
        figures.append(_plain(name, *ends, trust, why))
    coalesced = "a refusal is recorded once a minute for each client and channel"
    for rule in sorted(tally.refusals.keys() | there.refusals.keys()):
        refusals = tally.refusals[rule], there.refusals[rule]
        as_recorded = not course.left_record and refusals[0] == refusals[1]
        least = trust if as_recorded else Trust.AT_LEAST
        figures.append(_plain(f"refused {rule}", *refusals, least, coalesced))
    figures.append(_tuner_hours(tally, course, span_us, until))
    for name, mine, theirs in (
        ("tuner-hours nobody watched", tally.idle_us, there.idle_us),
        ("watched hours", tally.watched_us, there.watched_us),
    ):
        figures.append(_plain(name, mine / _HOUR_US, theirs / _HOUR_US, trust, why))
    figures.append(_plain("tuners at once", tally.peak, there.peak, trust, why))
    figures.append(_false_reclaims(tally, course))
    return figures


def _plain(name: str, recorded: float, there: float, trust: Trust, why: str) -> Figure:
    return Figure(name=name, recorded=recorded, hypothetical=there, trust=trust, why=why)


def _trust(course: Course) -> tuple[Trust, str]:
    reasons = [
        text.format(n=course.assumed[name])
        for name, text in _ASSUMED.items()
        if course.assumed[name]
    ]
    if not reasons:
        return Trust.EXACT, ""
    return Trust.MODELLED, "; ".join(reasons)


def _tuner_hours(tally: Tally, course: Course, span_us: int, until: int) -> Figure:
    """Of viewers whom only the model knows: at least none of their time, at most all of it."""
    trust, why = _trust(course)
    there, low, high = course.tally.tuner_us / _HOUR_US, None, None
    if course.modelled_since:
        most_us = sum(until - since for since in course.modelled_since)
        bound_us = course.world.policy.tuners * span_us
        low = there - course.modelled_us / _HOUR_US
        high = max(there, min(there + most_us / _HOUR_US, bound_us / _HOUR_US))
        trust = Trust.BETWEEN
    elif course.assumed["refused"]:
        trust, low = Trust.AT_LEAST, there
    return Figure(
        name="tuner-hours",
        recorded=tally.tuner_us / _HOUR_US,
        hypothetical=there,
        trust=trust,
        why=why,
        low=low,
        high=high,
    )


def _false_reclaims(tally: Tally, course: Course) -> Figure:
    """Seen are those whose client went on, as recorded, or came back at once; others are not."""
    there = len(course.false_reclaims | course.tally.came_back)
    return Figure(
        name="false reclaims",
        recorded=len(tally.came_back),
        hypothetical=there,
        trust=Trust.AT_LEAST,
        why="counted where the client accepted more later, or asked for the channel again within a "
        "minute; one that gave up is not seen",
        low=there,
    )
