"""A stream that was asked for some seconds of: `?duration=`. Reads the number and keeps the time.

Source: HDHomeRun's HTTP API. Programs that record ask so; the stream then ends cleanly. Knows
nothing of sessions: who made it is told once that the time is over.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Final

DURATION_S_MAX: Final = 7 * 86_400
"""A week; whoever asks for more means for ever, as does who asks for none."""

_NUMBER: Final = re.compile(r"[0-9]{1,7}(\.[0-9]{1,3})?")


def duration_s(query: Mapping[str, str]) -> float | None:
    """The seconds asked for; None: no end, also where it is no number (a real unit ignores it)."""
    asked = query.get("duration", "")
    if not _NUMBER.fullmatch(asked):
        return None
    seconds = float(asked)
    return seconds if 0 < seconds <= DURATION_S_MAX else None


class Duration:
    """Counts from the first byte, not from the request: the wait for a tuner is nobody's programme.
    Used on the event loop only."""

    def __init__(self, seconds: float | None, over: Callable[[], None]) -> None:
        """`over` is called once, `seconds` after `begin`; never where that is None."""
        self._seconds = seconds
        self._over = over
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The first byte was accepted."""
        if self._seconds is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._over)

    def cancel(self) -> None:
        """The stream is over before its time."""
        if self._timer is not None:
            self._timer.cancel()
