"""How much the kernel gathers before it wakes us for an upstream: about a tenth of a second of it.

A provider's segments come fifty times a second and more; each wake-up costs more than copying what
it brings. `SO_RCVLOWAT` lets the kernel wait for a chunk worth waking for. It follows the measured
rate, so that a radio channel is not held back for seconds. Pure.
"""

from typing import Final

GATHER_S: Final = 0.1
"""Longest that a byte is held back at a steady rate: below what any player's buffer notices."""

GATHER_BYTES_MAX: Final = 128 * 1024
"""At 8 Mbit/s a tenth of a second is 100 kB; more would only make bursts."""

GATHER_BYTES_MIN: Final = 4 * 1024
"""Below it (320 kbit/s) there is nothing to gain: the kernel wakes us at once."""

MEASURE_S: Final = 1.0
"""Between two looks at the rate; the first second of an upstream is never held back."""


class Gathering:
    """Follows one upstream's rate."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._bytes = 0
        self._low_water = 1

    def took(self, count: int, now: float) -> int | None:
        """Bytes were read at `now` (monotonic seconds). The new low-water mark in bytes, when it is
        time for one that differs by more than a quarter."""
        self._bytes += count
        span = now - self._since
        if span < MEASURE_S:
            return None
        wanted = min(int(self._bytes / span * GATHER_S), GATHER_BYTES_MAX)
        if wanted < GATHER_BYTES_MIN:
            wanted = 1
        self._since, self._bytes = now, 0
        if abs(wanted - self._low_water) * 4 <= self._low_water:
            return None
        self._low_water = wanted
        return wanted
