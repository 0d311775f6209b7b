"""How many streams each address may begin: a token bucket for each, the oldest forgotten.

Pure, with the time handed in. A player that asks again and again as fast as it can costs an
upstream and a recorded session each time; no person changes channels this fast. Loopback is not
bounded: a reverse proxy asks from there for everyone.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from plexbridge.server.addresses import is_loopback

ADDRESSES_REMEMBERED: Final = 10_000
"""More than a home has; some 2 MB. Who is forgotten begins with a full bucket."""


class StartRate:
    """The buckets of all addresses. Each holds one second's worth, and begins full."""

    def __init__(self, per_second: int, monotonic: Callable[[], float]) -> None:
        """`per_second`: starts of one address; 0 is no bound. `monotonic`: seconds."""
        self.per_second = per_second
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Address → starts left, and when that was; who asked last is at the end."""

    def allows(self, address: str) -> bool:
        """Take one start of this address; False when it has none left."""
        if self.per_second == 0 or is_loopback(address):
            return True
        now = self._monotonic()
        left, at = self._buckets.pop(address, (float(self.per_second), now))
        left = min(float(self.per_second), left + (now - at) * self.per_second)
        allowed = left >= 1
        self._buckets[address] = (left - allowed, now)
        if len(self._buckets) > ADDRESSES_REMEMBERED:
            self._buckets.popitem(last=False)
        return allowed

    def __len__(self) -> int:
        """Addresses remembered."""
        return len(self._buckets)
