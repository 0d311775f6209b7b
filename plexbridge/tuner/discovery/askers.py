"""Who is answered, and how often: trusted networks only, and at a bounded rate.

An answer is longer than its question, and the sender of a datagram is easily forged: without a
bound per address and one for all, we could be made to send to somebody who never asked.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from plexbridge.server.addresses import plain_address
from plexbridge.server.start_rate import StartRate

Network = IPv4Network | IPv6Network

_EVERYONE: Final = "everyone"
"""Under which name all of them together have a bucket."""


class Askers:
    """The rule for one kind of question. Used on the event loop only."""

    def __init__(
        self,
        trusted: Sequence[Network],
        monotonic: Callable[[], float],
        *,
        per_second: int,
        total_per_second: int,
    ) -> None:
        """`per_second`: answers to one address but loopback; `total_per_second`: to all of them;
        0 is no bound. `monotonic`: seconds."""
        self._trusted = tuple(trusted)
        self._each = StartRate(per_second, monotonic)
        self._all = StartRate(total_per_second, monotonic)

    def trusts(self, address: str) -> bool:
        """Whether this address may ask at all."""
        try:
            peer = ip_address(plain_address(address))
        except ValueError:
            return False
        return any(peer in network for network in self._trusted)

    def allows(self, address: str) -> bool:
        """Take one answer to this address; False when it gets none."""
        return self.trusts(address) and self._each.allows(address) and self._all.allows(_EVERYONE)
