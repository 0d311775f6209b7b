"""Runs seed after seed, on every core, and says of a failing one how to run it again."""

import argparse
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import structlog

from tests.simulation import door, whole

Simulation = Callable[[int], list[bytes]]
"""From a seed to a digest of each schedule in it."""

SIMULATIONS: Final[dict[str, Simulation]] = {"door": door.history, "whole": whole.evening}

CHUNK_SEEDS: Final = 25
"""Seeds handed to a process at once."""


@dataclass(slots=True)
class Failure:
    """A seed that broke a promise."""

    simulation: str
    seed: int
    why: str

    def __str__(self) -> str:
        again = f"python -m tests.simulation {self.simulation} --seed {self.seed} --count 1"
        return f"{self.why}\nrun it again: {again}"


@dataclass(slots=True)
class Result:
    """What a run came to."""

    schedules: int = 0
    distinct: set[bytes] = field(default_factory=set)
    """Digests of schedules: those that differ are different interleavings."""
    last_seed: int = -1
    failure: Failure | None = None
    took_s: float = 0.0

    def __str__(self) -> str:
        rate = self.schedules / self.took_s if self.took_s else 0.0
        return (
            f"{self.schedules:,} schedules, {len(self.distinct):,} distinct interleavings, "
            f"last seed {self.last_seed}, {self.took_s:.1f} s, {rate:,.0f} a second"
        )


def _quiet() -> None:
    """Outages by the thousand are what is asked for, and need not be told."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


def one(simulation: str, seed: int) -> list[bytes] | Failure:
    """Run one seed."""
    try:
        return SIMULATIONS[simulation](seed)
    except Exception:
        return Failure(simulation, seed, traceback.format_exc())


def _some(simulation: str, seeds: Sequence[int]) -> list[tuple[int, list[bytes] | Failure]]:
    answers = []
    for seed in seeds:
        answer = one(simulation, seed)
        answers.append((seed, answer))
        if isinstance(answer, Failure):
            break
    return answers


def run(simulation: str, *, seed: int, count: int, processes: int | None = None) -> Result:
    """Run `count` seeds from `seed` on; ends with the first failure."""
    begun, result = time.monotonic(), Result()
    chunks = [
        range(start, min(start + CHUNK_SEEDS, seed + count))
        for start in range(seed, seed + count, CHUNK_SEEDS)
    ]
    for number, answer in _answers(simulation, chunks, processes or os.cpu_count() or 1):
        if isinstance(answer, Failure):
            result.failure = answer
            break
        result.schedules += len(answer)
        result.distinct.update(answer)
        result.last_seed = number
    result.took_s = time.monotonic() - begun
    return result


def _answers(
    simulation: str, chunks: list[range], processes: int
) -> Iterator[tuple[int, list[bytes] | Failure]]:
    if processes == 1 or len(chunks) == 1:
        _quiet()
        try:
            for chunk in chunks:
                yield from _some(simulation, chunk)
        finally:
            structlog.reset_defaults()
        return
    with ProcessPoolExecutor(processes, initializer=_quiet) as pool:
        waiting = iter(chunks)
        running = [
            pool.submit(_some, simulation, chunk) for chunk in islice(waiting, processes * 2)
        ]
        while running:
            yield from running.pop(0).result()
            running += [pool.submit(_some, simulation, chunk) for chunk in islice(waiting, 1)]


def main(arguments: Sequence[str]) -> int:
    """The command line; 1 when a promise broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("simulation", choices=sorted(SIMULATIONS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="seeds")
    parser.add_argument("--processes", type=int, default=None)
    given = parser.parse_args(arguments)
    result = run(given.simulation, seed=given.seed, count=given.count, processes=given.processes)
    print(result)
    if result.failure is not None:
        print(result.failure)
        return 1
    return 0
