"""What a benchmark finds: figures, and the one table that all of them are shown in. Pure, but for
asking which machine this is.
"""

import os
import platform
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table, in words."""

    what: str
    value: str
    """With its unit."""
    target: str = ""
    ratio: str = ""
    """To what was measured beside it in the same run."""


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    assert values, "of nothing there is no quantile"
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def milliseconds(values: Sequence[float], *, worst: bool = False) -> str:
    """Median and p99 of milliseconds, and the worst where that is wanted."""
    shown = f"p50 {statistics.median(values):.1f} ms, p99 {quantile(values, 0.99):.1f} ms"
    return f"{shown}, max {max(values):.1f} ms" if worst else shown


def machine(nginx: str) -> str:
    """When and where, in words that carry over; `nginx`: its version, or that there is none."""
    kernel = re.match(r"[0-9]+(\.[0-9]+)*", platform.release())
    day = datetime.now(tz=UTC).strftime("%Y-%m-%d")
    return (
        f"{day}: {len(os.sched_getaffinity(0))} cores, {platform.system()} "
        f"{kernel[0] if kernel else ''}, Python {platform.python_version()}, {nginx}"
    )


def table(figures: Iterable[Figure]) -> str:
    """All of them as Markdown."""
    lines = ["| what | figure | target | ratio |", "|---|---|---|---|"]
    for figure in figures:
        lines.append(f"| {figure.what} | {figure.value} | {figure.target} | {figure.ratio} |")
    return "\n".join(lines)
