"""How often a child may be started anew before that is no cure (Erlang/OTP's restart intensity).

Pure: told the time, tells yes or no.
"""

from collections import deque
from typing import Final

RESTARTS_MAX: Final = 3
RESTART_PERIOD_S: Final = 60.0
"""Three restarts in a minute (`reference/transport.md` section 6): a hiccup needs one or two."""


class RestartIntensity:
    """Counts restarts of one thing over a sliding period."""

    def __init__(self, limit: int = RESTARTS_MAX, period_s: float = RESTART_PERIOD_S) -> None:
        assert limit >= 1, "a limit of none is no supervision"
        self._limit = limit
        self._period_s = period_s
        self._at: deque[float] = deque(maxlen=limit)

    def allow(self, now: float) -> bool:
        """Whether one more restart is within the limit at `now` (monotonic seconds); counts it if
        so. What was refused does not count."""
        if self.wait_s(now) > 0:
            return False
        self._at.append(now)
        return True

    def wait_s(self, now: float) -> float:
        """Seconds until the next restart would be allowed; 0 when it is now."""
        if len(self._at) < self._limit:
            return 0.0
        return max(0.0, self._at[0] + self._period_s - now)
