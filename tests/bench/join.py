"""From a player's request to its first bytes of programme: joining a running channel, and tuning to
one that nobody watches.

A running channel has the bytes already; a new one has to be asked for, and to find its sync.
"""

import socket
import tempfile
import time
from pathlib import Path

from tests.bench.figures import Figure, milliseconds
from tests.bench.load import Load, port_of
from tests.service.ts_maker import PACKET_BYTES

RUNNING, QUICK_RUNNING = 20, 3
JOINS, QUICK_JOINS = 200, 10


def measure(quick: bool) -> list[Figure]:
    """Both, with the running channels at their rate all the time."""
    running = QUICK_RUNNING if quick else RUNNING
    joins = QUICK_JOINS if quick else JOINS
    warm_up_s = 2.0
    with (
        tempfile.TemporaryDirectory() as folder,
        Load(Path(folder)) as load,
        load.bridge(running + joins) as bridge,
    ):
        port = port_of(bridge)
        with load.players(port, running, running, warm_up_s=warm_up_s, seconds=1) as players:
            players.counted()
            joined = [_first_bytes_ms(port, turn % running + 1, turn) for turn in range(joins)]
            tuned = [_first_bytes_ms(port, running + turn + 1, turn) for turn in range(joins)]
    return [
        Figure(
            f"request → first packets, a running channel, {joins} joins, {running} running",
            milliseconds(joined),
        ),
        Figure(f"… a channel that nobody watched, {joins} of them", milliseconds(tuned), "5 s"),
    ]


def _first_bytes_ms(port: int, channel: int, turn: int) -> float:
    """Until a whole packet is there; then the player leaves."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        request = f"GET /auto/v{channel} HTTP/1.1\r\nHost: x\r\nUser-Agent: join/{turn}\r\n\r\n"
        begun = time.monotonic()
        sock.sendall(request.encode())
        got = b""
        while len(got.partition(b"\r\n\r\n")[2]) < PACKET_BYTES:
            piece = sock.recv(65_536)
            assert piece, f"cut off after {got[:60]!r}"
            got += piece
        took_ms = (time.monotonic() - begun) * 1e3
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head[:60]
    assert body[0] == 0x47, "a stream begins with a packet"
    return took_ms
