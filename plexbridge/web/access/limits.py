"""How often a password may be tried: so often from one address, so often from all.

Pure, with the time handed in. Knows addresses; refuses to know passwords and API keys, which are
never held up here.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from typing import Final

TRIES_PER_MINUTE: Final = 5
"""Of one address. At this rate the ten thousand commonest passwords take a day and a half."""

ALL_TRIES_PER_MINUTE: Final = 30
"""Of all addresses together: hashing them takes a few percent of one processor."""

ADDRESSES_REMEMBERED: Final = 1_000
"""More than a home has. Who is forgotten begins anew; the limit of all still holds."""

HOUSEHOLD_BITS: Final = 64
"""One IPv6 household has this network (RFC 6177), and every address in it."""

_MINUTE_S: Final = 60.0


class _Bucket:
    """Tokens that come back with time; begins full."""

    __slots__ = ("_at", "_left", "_per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self._per_minute = per_minute
        self._left = float(per_minute)
        self._at = now

    def wait_s(self, now: float) -> float:
        """Seconds until there is one; 0: there is."""
        self._left = min(
            float(self._per_minute), self._left + (now - self._at) * self._per_minute / _MINUTE_S
        )
        self._at = now
        return max(0.0, (1 - self._left) * _MINUTE_S / self._per_minute)

    def take(self) -> None:
        """One less."""
        self._left -= 1


class LoginLimits:
    """The tries left to everyone."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds."""
        self._monotonic = monotonic
        self._all = _Bucket(ALL_TRIES_PER_MINUTE, monotonic())
        self._of: OrderedDict[str, _Bucket] = OrderedDict()
        """Household → its tries; who tried last is at the end."""

    def try_in_s(self, address: str) -> int:
        """Take one try of this address. Whole seconds until it has one, 0 where it was taken."""
        now = self._monotonic()
        household = _household(address)
        bucket = self._of.pop(household, None) or _Bucket(TRIES_PER_MINUTE, now)
        self._of[household] = bucket
        if len(self._of) > ADDRESSES_REMEMBERED:
            self._of.popitem(last=False)
        wait_s = max(bucket.wait_s(now), self._all.wait_s(now))
        if wait_s > 0:
            return ceil(wait_s)
        bucket.take()
        self._all.take()
        return 0

    def forgive(self, address: str) -> None:
        """The address knew the password: its earlier tries were slips."""
        self._of.pop(_household(address), None)

    def __len__(self) -> int:
        """Households remembered."""
        return len(self._of)


def _household(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Network((int(parsed), HOUSEHOLD_BITS), strict=False))
    return address
