"""Resident memory of the bridge: idle, with a relay for every player, and with one for all."""

import tempfile
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.load import Load, pid_of, port_of
from tests.bench.processes import resident_mb

PLAYERS, QUICK_PLAYERS = 200, 20


def measure(quick: bool) -> list[Figure]:
    """Each state in a bridge of its own: what one left behind is not the next one's."""
    count = QUICK_PLAYERS if quick else PLAYERS
    with tempfile.TemporaryDirectory() as folder, Load(Path(folder)) as load:
        idle_mb, apart_mb = _with_players(load, count, channels=count, quick=quick)
        _, together_mb = _with_players(load, count, channels=1, quick=quick)
    apart, together = ((mb - idle_mb) / count for mb in (apart_mb, together_mb))
    return [
        Figure(
            f"resident memory, idle, a lineup of {count} channels", f"{idle_mb:.0f} MB", "100 MB"
        ),
        Figure(
            f"… {count} players, each on a channel of its own, 8 Mbit/s",
            f"{apart_mb:.0f} MB, {apart:.2f} MB for each with its ring",
            "400 MB" if count == PLAYERS else "",
        ),
        Figure(
            f"… {count} players on one channel",
            f"{together_mb:.0f} MB, {together:.2f} MB for each",
            "1 MB for each",
        ),
    ]


def _with_players(load: Load, count: int, *, channels: int, quick: bool) -> tuple[float, float]:
    """MB before anyone came, and while everyone watches."""
    warm_up_s = 2.0 if quick else 8.0
    with load.bridge(count) as bridge:
        idle_mb = resident_mb(pid_of(bridge))
        with load.players(
            port_of(bridge), count, channels, warm_up_s=warm_up_s, seconds=2
        ) as players:
            counted = players.counted()
            watched_mb = resident_mb(pid_of(bridge))
    assert not counted.lost, f"{counted.lost} players were lost"
    return idle_mb, watched_mb
