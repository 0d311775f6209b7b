"""HDHomeRun discovery on UDP: who searches for tuners hears of ours.

Knows when to answer; what an answer says is `answers`'. Programs search by broadcast, twice within
200 ms, and wait no longer than that (libhdhomerun): every search is answered at once, from memory.
"""

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from plexbridge.tuner.device import Device
from plexbridge.tuner.discovery.answers import discover_reply
from plexbridge.tuner.discovery.askers import Askers
from plexbridge.tuner.discovery.datagrams import Datagrams
from plexbridge.tuner.discovery.packets import PACKET_BYTES_MAX, Malformed, decode

SEARCHES_PER_SECOND: Final = 20
"""Of one address: ten programs on one machine search twice each."""

ALL_SEARCHES_PER_SECOND: Final = 200
"""Of all addresses: some 30 kB/s of answers at most, however many senders are forged."""


class Discovery:
    """One UDP socket that answers searches. Used on the event loop only."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        device: Device,
        base_url: Callable[[str], str],
        askers: Askers,
        serves: Callable[[str], bool],
    ) -> None:
        """`base_url`: where players find us, by our address on their side; `serves`: whether
        players are served at that address."""
        self._device = device
        self._base_url = base_url
        self._askers = askers
        self._serves = serves
        self._datagrams = Datagrams(sock, self._received)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._datagrams.port

    def close(self) -> None:
        """Answer no more."""
        self._datagrams.close()

    def _received(self, data: bytes, sender: tuple[str, int], local: str) -> None:
        if len(data) > PACKET_BYTES_MAX or not self._serves(local):
            return
        if not self._askers.trusts(sender[0]):
            return
        try:
            request = decode(data)
        except Malformed:
            return
        reply = discover_reply(request, self._device, self._base_url(local))
        # Counted last: what is no search for us takes nothing from who searches.
        if reply is not None and self._askers.allows(sender[0]):
            self._datagrams.send(reply, sender, local)


def served_at(host: str) -> Callable[[str], bool]:
    """Whether a local address is one that a listener on `host` serves; a wildcard serves all."""
    address = ip_address(host)
    if address.is_unspecified:
        return lambda local: True
    return lambda local: local == str(address)
