"""Every benchmark: its name, what runs it, and how long it may take."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.bench import (
    activity,
    departures,
    failover,
    folds,
    join,
    lag,
    log_append,
    memory,
    pages,
    playlists,
    relay,
    starts,
    states,
)
from tests.bench.figures import Figure


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`measure(quick)` runs it; quick figures show that it works and nothing else."""

    measure: Callable[[bool], list[Figure]]
    within_s: float
    """Then it is ended: some three times what it takes where it was written."""


ALL_WITHIN_S: Final = 600.0

BENCHMARKS: Final[dict[str, Benchmark]] = {
    "log": Benchmark(log_append.measure, 90),
    "folds": Benchmark(folds.measure, 60),
    "states": Benchmark(states.measure, 60),
    "starts": Benchmark(starts.measure, 300),
    "departures": Benchmark(departures.measure, 60),
    "pages": Benchmark(pages.measure, 90),
    "activity": Benchmark(activity.measure, 60),
    "join": Benchmark(join.measure, 60),
    "failover": Benchmark(failover.measure, 60),
    "lag": Benchmark(lag.measure, 60),
    "memory": Benchmark(memory.measure, 90),
    "playlists": Benchmark(playlists.measure, 240),
    "relay": Benchmark(relay.measure, 300),
}
"""In the order of running: what is short first."""
