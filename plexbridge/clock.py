"""Time, as everything in the shell receives it.

Waiting itself is asyncio's (`asyncio.sleep`, `loop.call_later`), so that a loop in virtual time
carries the whole bridge; only *telling* the time goes through here.
"""

import time
from typing import Protocol

from events.ids import UnixMicros


class Clock(Protocol):
    """Tells the time; never waits."""

    def now(self) -> UnixMicros:
        """Wall time of the log, in microseconds; never goes backwards while sessions are open."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; what deadlines are measured with."""
        ...


class SteadyClock:
    """Wall time carried by the monotonic clock, so that a step of the system clock ends no session.

    The offset is read once at start and again whenever `resync` is called; the bridge calls it
    only while no session is open (fault 41: clock ± 1 h kills nobody).
    """

    def __init__(self) -> None:
        self._offset_us = 0
        self.resync()

    def resync(self) -> None:
        """Take over the system's wall time."""
        self._offset_us = time.time_ns() // 1_000 - time.monotonic_ns() // 1_000

    def now(self) -> UnixMicros:
        """Microseconds since 1970, steady between two calls of `resync`."""
        return UnixMicros(time.monotonic_ns() // 1_000 + self._offset_us)

    def monotonic(self) -> float:
        """The system's monotonic clock, in seconds."""
        return time.monotonic()


MANUAL_START = UnixMicros(1_700_000_000_000_000)
"""2023-11-14T22:13:20Z."""


class ManualClock:
    """A clock that moves when told to: for tests and for replay."""

    def __init__(self, at: UnixMicros = MANUAL_START) -> None:
        self._at = at

    def advance(self, seconds: float) -> None:
        """Move forward."""
        assert seconds >= 0, "time does not run backwards"
        self._at = UnixMicros(self._at + round(seconds * 1_000_000))

    def now(self) -> UnixMicros:
        """The time it was set to."""
        return self._at

    def monotonic(self) -> float:
        """The same time, in seconds."""
        return self._at / 1_000_000
