"""How much the kernel gathers before it wakes us for an upstream: a fifth of a second of it.

A provider's segments come fifty times a second and more; each wake-up costs more than copying what
it brings. `SO_RCVLOWAT` lets the kernel wait for a chunk worth waking for. It follows the measured
rate, so that a radio channel is not held back for seconds, and falls to a byte when nothing came.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

GATHER_S: Final = 0.2
"""Longest that a byte is held back at a steady rate: below what any player's buffer notices."""

GATHER_BYTES_MAX: Final = 200_000
"""A fifth of a second at 8 Mbit/s. More would not fit a segment of the ring, and be bursts."""

GATHER_BYTES_MIN: Final = 4 * 1024
"""Below it (160 kbit/s) there is nothing to gain: the kernel wakes us at once."""

LOOK_S: Final = 0.5
"""Between two looks at the rate, and longest that a byte is held back when the rate falls. The
first ones of an upstream are never held back: a player that joins is to start at once."""


class Gathering:
    """Follows one upstream's rate. Pure."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._seen_bytes = 0
        self._low_water = 1

    def look(self, taken_bytes: int, now: float) -> int | None:
        """So many bytes had been read by `now` (monotonic seconds), all told. The new low-water
        mark in bytes, when it differs from the present one by more than a quarter."""
        span = now - self._since
        if span <= 0:
            return None
        wanted = min(int((taken_bytes - self._seen_bytes) / span * GATHER_S), GATHER_BYTES_MAX)
        if wanted < GATHER_BYTES_MIN:
            wanted = 1
        self._since, self._seen_bytes = now, taken_bytes
        if abs(wanted - self._low_water) * 4 <= self._low_water:
            return None
        self._low_water = wanted
        return wanted


class GatheringSocket:
    """Sets the mark on the socket of a transport, for as long as it is open."""

    def __init__(self, transport: asyncio.Transport, taken: Callable[[], int]) -> None:
        """`taken`: bytes read so far."""
        self._transport = transport
        self._taken = taken
        self._loop = asyncio.get_running_loop()
        self._gathering = Gathering(self._loop.time())
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._transport.is_closing():
            return
        low_water = self._gathering.look(self._taken(), self._loop.time())
        if low_water is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low_water)
        self._timer = self._loop.call_later(LOOK_S, self._look)
