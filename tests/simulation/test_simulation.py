"""The simulations, a few seconds of each in `make test` and at length in `make test-long`.

A seed that fails says how to run it again: `python -m tests.simulation door --seed N --count 1`.
"""

import asyncio
from random import Random

import pytest

from tests.simulation.door import ROUNDS
from tests.simulation.running import Result, run
from tests.simulation.virtual_loop import Deadlock, VirtualClock, VirtualLoop

DOOR_SEEDS, DOOR_SEEDS_LONG = 20_000 // ROUNDS, 1_000_000 // ROUNDS
"""Each is `ROUNDS` schedules."""

WHOLE_SEEDS, WHOLE_SEEDS_LONG = 1_000, 20_000

FOUND = {
    "door": (89, 777, 1704, 2985, 3237, 5344, 7883, 22432, 61750),
    "whole": (8, 13, 72, 79, 154, 240),
}
"""Seeds that once found a bug; what became of each is a test of its own by now."""


def simulate(simulation: str, seed: int, count: int, capsys: pytest.CaptureFixture[str]) -> Result:
    """Run, and say what was run even where all is well."""
    result = run(simulation, seed=seed, count=count)
    with capsys.disabled():
        print(f"\n{simulation}: {result}")
    assert result.failure is None, str(result.failure)
    return result


@pytest.mark.timeout(300)
def test_races_at_the_door(capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, cancellations and failures of the log in 20,000 orders: every account is equal."""
    result = simulate("door", 1, DOOR_SEEDS, capsys)
    assert result.schedules == DOOR_SEEDS * ROUNDS
    assert len(result.distinct) > result.schedules * 0.6, "they differ"


@pytest.mark.timeout(300)
def test_evenings_of_the_whole_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    """Crashes, failing providers and disks, clocks that are set: nothing is left in the end."""
    result = simulate("whole", 1, WHOLE_SEEDS, capsys)
    assert len(result.distinct) == WHOLE_SEEDS, "no two evenings are alike"


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_a_million_races_at_the_door(capsys: pytest.CaptureFixture[str]) -> None:
    """The same, a million times."""
    simulate("door", 1_000_000, DOOR_SEEDS_LONG, capsys)


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_twenty_thousand_evenings(capsys: pytest.CaptureFixture[str]) -> None:
    """The same, twenty thousand times."""
    simulate("whole", 1_000_000, WHOLE_SEEDS_LONG, capsys)


@pytest.mark.parametrize(
    ("simulation", "seed"), [(name, seed) for name, seeds in FOUND.items() for seed in seeds]
)
def test_seeds_that_found_something(simulation: str, seed: int) -> None:
    """They find nothing any more."""
    result = run(simulation, seed=seed, count=1, processes=1)
    assert result.failure is None, str(result.failure)


def test_a_provider_never_counts_one_connection_too_many() -> None:
    """Whatever closes and opens at once; it counts by itself, and fails the run."""
    result = run("whole", seed=1, count=25, processes=1)
    assert result.failure is None, str(result.failure)


def test_a_seed_gives_the_same_each_time() -> None:
    """Or its command line would be worth nothing."""
    for name in FOUND:
        one, two = (run(name, seed=5, count=3, processes=1) for _ in range(2))
        assert one.distinct == two.distinct


def test_time_stands_still_while_anything_can_run_and_then_jumps() -> None:
    """An hour's sleep takes no time, and the clock has gone on by an hour."""
    loop = VirtualLoop(Random(1))
    clock = VirtualClock(loop)
    before = clock.now()
    loop.run(asyncio.sleep(3_600))
    assert (clock.now() - before) // 1_000_000 == 3_600


def test_what_is_called_soon_keeps_its_order_and_what_arrives_does_not() -> None:
    """asyncio promises the one; the world promises nothing."""
    orders = set()
    for seed in range(20):
        loop = VirtualLoop(Random(seed))
        soon: list[int] = []
        arrived: list[int] = []
        for number in range(4):
            loop.call_soon(soon.append, number)
            loop.arrives(arrived.append, number)
        loop.settle()
        assert soon == [0, 1, 2, 3]
        orders.add(tuple(arrived))
    assert len(orders) > 5


def test_what_nothing_will_bring_is_said() -> None:
    """Instead of waiting for ever."""
    loop = VirtualLoop(Random(1))
    with pytest.raises(Deadlock):
        loop.run(asyncio.wait_for(loop.create_future(), None))
    loop.crash()
