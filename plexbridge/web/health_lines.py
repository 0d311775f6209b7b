"""What is good and what is not about a running bridge, one line for each thing looked at.

Pure: judges figures that were gathered elsewhere. Every bound stands here, with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from plexbridge.web.verdicts import Line, Verdict, judged
from plexbridge.web.wording import plural, size

LAG_FEW_EVENTS: Final = 1_000
"""Events that a projection folds in some 10 ms: fewer are on their way, not behind."""

LOOP_LATE_S: Final = 0.1
"""A loop this late for one in twenty looks holds back what players are sent."""

APPEND_SLOW_S: Final = 0.25
"""A channel change waits for two or three appends; slower disks are felt at the remote control."""

LOOKS_FEW: Final = 60
"""Of fewer, three late ones at the start would already count as one in twenty."""

DISK_FREE_MIN_BYTES: Final = 1_000_000_000
"""Weeks of events, and room for a guide and a playlist on their way."""

LOG_OVER: Final = 1.2
"""Times what retention allows: it prunes once a night, and not to the byte."""

BUG: Final = "us: this is a bug, report it"
DISK: Final = "the disk of the bridge: is it full, or read-only?"

MB_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What the disk says. Read in a thread."""

    log_bytes: int
    first: int
    """The first position still held."""
    last: int
    disk_free_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of a histogram, in seconds: the bounds of the buckets that hold them; `inf` above all."""

    count: int
    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemory:
    """What the process knows of itself at once."""

    storing: bool
    facts_waiting: int
    parked: str | None
    being_built: str | None = None
    """How far the dashboard is, while it is not there."""
    durable: int
    """The last durable position."""
    folded: int
    """The last folded one."""
    drift: int
    swept: int
    channels: int
    listed: int
    """Channels with those that are switched off."""
    stopping: bool
    broadcast_errors: int
    subscribers: int


def memory_lines(figures: InMemory) -> list[Line]:
    """The most urgent first: without the log nothing new is given."""
    waiting = f"{plural(figures.facts_waiting, 'fact')} waiting to be stored"
    behind = max(0, figures.durable - figures.folded)
    told = f"at position {figures.folded:,}, {plural(behind, 'event')} behind the log"
    of = f" of {figures.listed:,} listed" if figures.listed > figures.channels else ""
    return [
        judged(
            "Storing events",
            figures.storing,
            f"the log stores, {waiting}"
            if figures.storing
            else f"the log cannot store, so nothing new is given; {waiting}",
            DISK,
        ),
        judged(
            "Projections",
            figures.parked is None and figures.being_built is None and behind < LAG_FEW_EVENTS,
            figures.being_built or told
            if figures.parked is None
            else f"stopped {told}: {figures.parked}",
            BUG if figures.parked is not None else "wait: it catches up, or the processor is busy",
        ),
        judged(
            "Sockets against sessions",
            not figures.drift,
            "no session without a connection, no connection without a session"
            if not figures.drift
            else f"{plural(figures.drift, 'difference')} at this moment, mended at the next sweep",
            BUG,
        ),
        judged(
            "Sweep",
            not figures.swept,
            "it found nothing since the start"
            if not figures.swept
            else f"it found and mended {plural(figures.swept, 'leak')} since the start",
            BUG,
        ),
        judged(
            "Lineup",
            figures.channels > 0,
            f"{plural(figures.channels, 'channel')}{of}",
            "the sources, or channels that are switched off",
        ),
        judged(
            "Serving",
            not figures.stopping,
            "it is stopping: nothing new is given" if figures.stopping else "listening",
            "wait: it was told to stop",
        ),
        judged(
            "Live feeds",
            not figures.broadcast_errors,
            f"{figures.subscribers} open, {plural(figures.broadcast_errors, 'failed emission')}",
            BUG,
        ),
    ]


def storage_lines(storage: Storage | None, why: str, retention_mb: int) -> list[Line]:
    """What the disk says; `why` it could not be asked, where it could not."""
    if storage is None:
        return [
            Line("Log", Verdict.UNKNOWN, why, DISK),
            Line("Disk", Verdict.UNKNOWN, why, DISK),
        ]
    limit = retention_mb * MB_BYTES
    kept = f" of {size(limit)} kept at most" if limit else ""
    return [
        judged(
            "Log",
            not limit or storage.log_bytes <= limit * LOG_OVER,
            f"{size(storage.log_bytes)}{kept}, positions {storage.first:,} to {storage.last:,}",
            "wait for the night, when old events are pruned; or run plexbridge prune",
        ),
        judged(
            "Disk",
            storage.disk_free_bytes >= DISK_FREE_MIN_BYTES,
            f"{size(storage.disk_free_bytes)} free of {size(storage.disk_bytes)}",
            "whoever runs the bridge: make room",
        ),
    ]


def timing_lines(loop: Quantiles, append: Quantiles) -> list[Line]:
    """How late the event loop is, and how long storing takes, since the start."""
    return [
        _timing("Event loop", loop, LOOP_LATE_S, "late", "the processor: what else runs there?"),
        _timing("Storing an event", append, APPEND_SLOW_S, "taken", "the disk of the bridge"),
    ]


def cleanup_rows(cleanup: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The dashboard's figures, each judged by its 95th percentile. Percents are of the target, for
    the bars."""
    rows = []
    for reason, row in cleanup.items():
        slowest = "" if row["max_s"] <= row["target_s"] else "; the slowest took longer than that"
        line = judged(
            reason,
            row["p95_s"] <= row["target_s"],
            f"19 of 20 within {row['p95_s']:g} s, promised {row['target_s']:g} s{slowest}",
            "see the slow sessions' stories in History",
        )
        bars = {
            f"{name}_percent": min(100.0, round(100 * row[f"{name}_s"] / row["target_s"], 1))
            for name in ("p50", "p95", "max")
        }
        rows.append({"reason": reason, **row, **bars, "line": line.document()})
    return rows


def _timing(name: str, found: Quantiles, most_s: float, how: str, mends: str) -> Line:
    if not found.count:
        return Line(name, Verdict.UNKNOWN, "not measured yet")
    words = f"{how}: half {_within(found.p50_s)}, 19 of 20 {_within(found.p95_s)}"
    told = f"{words}, of {found.count:,} since the start"
    if found.count < LOOKS_FEW:
        return Line(name, Verdict.UNKNOWN, f"{told}: too few to judge")
    return judged(name, found.p95_s <= most_s, told, mends)


def _within(bound_s: float) -> str:
    return "beyond all bounds" if bound_s == float("inf") else f"within {bound_s * 1_000:g} ms"


def quantiles(buckets: Sequence[tuple[float, float]]) -> Quantiles:
    """Of cumulative buckets, `(upper bound in seconds, count)` in rising order."""
    count = int(buckets[-1][1]) if buckets else 0

    def bound(share: float) -> float:
        return next((upper for upper, below in buckets if below >= share * count), float("inf"))

    return Quantiles(count, bound(0.5), bound(0.95)) if count else Quantiles(0, 0.0, 0.0)
