"""How late the event loop is under load, as whoever asks it for something sees it.

The server does not publish a lag of its own loop; the time to the answer of `/livez` holds one turn
of it, and the waiting for a processor that provider and players share with it.
"""

import contextlib
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from tests.bench.figures import Figure, milliseconds
from tests.bench.load import Load, port_of

SESSIONS, QUICK_SESSIONS = 200, 20
ASK_EVERY_S = 0.01


def measure(quick: bool) -> list[Figure]:
    """Without load, and with it."""
    count = QUICK_SESSIONS if quick else SESSIONS
    seconds = 2.0 if quick else 10.0
    with (
        tempfile.TemporaryDirectory() as folder,
        Load(Path(folder)) as load,
        load.bridge(count) as bridge,
    ):
        port = port_of(bridge)
        idle = answers_ms(port, seconds)
        with load.players(port, count, count, warm_up_s=4, seconds=seconds + 1) as players:
            loaded: list[float] = []
            edges = iter((lambda: loaded.extend(answers_ms(port, seconds)), lambda: None))
            counted = players.counted(lambda: next(edges)())
    assert not counted.lost, f"{counted.lost} players were lost"
    return [
        Figure("answer of `/livez`, idle", milliseconds(idle, worst=True)),
        Figure(
            f"… with {count} sessions at 8 Mbit/s, each its own relay",
            milliseconds(loaded, worst=True),
            "p99 50 ms",
        ),
    ]


def answers_ms(port: int, seconds: float) -> list[float]:
    """How long each answer of `/livez` took, asked over and over on one connection."""
    took_ms: list[float] = []
    over = time.monotonic() + seconds
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        while (begun := time.monotonic()) < over:
            connection.request("GET", "/livez")
            answer = connection.getresponse()
            answer.read()
            took_ms.append((time.monotonic() - begun) * 1e3)
            assert answer.status == 200, f"/livez says {answer.status}"
            time.sleep(max(0.0, begun + ASK_EVERY_S - time.monotonic()))
    return took_ms
