"""Memory of what is decided on and what is shown, with ten thousand sessions open at once."""

import gc
import tracemalloc

from events.world import World, evolve
from projections.dashboard import Dashboard
from tests.bench.figures import Figure
from tests.bench.folds import Story, recorded

SESSIONS, QUICK_SESSIONS = 10_000, 200


def measure(quick: bool) -> list[Figure]:
    """Both states of the same sessions."""
    count = QUICK_SESSIONS if quick else SESSIONS
    story = Story(tuners=50)
    story.begin()
    for number in range(count):
        story.opened(number)
    rows = recorded(story.written)
    tracemalloc.start()
    world, world_mb = World(), tracemalloc.get_traced_memory()[0]
    for row in rows:
        evolve(world, row)
    gc.collect()
    world_mb = (tracemalloc.get_traced_memory()[0] - world_mb) / 2**20
    before, dashboard = tracemalloc.get_traced_memory()[0], Dashboard()
    for row in rows:
        dashboard.fold(row)
    gc.collect()
    shown_mb = (tracemalloc.get_traced_memory()[0] - before) / 2**20
    tracemalloc.stop()
    assert len(world.sessions) == count
    return [
        Figure(f"memory of {count:,} open sessions: decided on", _each(world_mb, count)),
        Figure("… and shown", _each(shown_mb, count)),
    ]


def _each(megabytes: float, count: int) -> str:
    return f"{megabytes:.1f} MB, {megabytes * 1_024 / count:.1f} KB for each"
