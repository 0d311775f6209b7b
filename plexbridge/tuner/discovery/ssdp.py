"""SSDP on UDP and multicast: searches answered, the device announced on every interface.

Knows sockets and times; what messages say is `upnp`'s. No player needs it to find a tuner, and in
DLNA browsers it is clutter, so it is off unless switched on. Answers reach only who is on the same
link: the kernel refuses to route them (`MSG_DONTROUTE`).
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

from plexbridge.tuner.discovery import upnp
from plexbridge.tuner.discovery.askers import Askers
from plexbridge.tuner.discovery.datagrams import Datagrams
from plexbridge.tuner.discovery.upnp import Announced

SEARCHES_PER_SECOND: Final = 5
"""Of one address; programs search for several things at once, up to three times each."""

ALL_SEARCHES_PER_SECOND: Final = 50
"""Of all addresses, however many senders are forged: three answers each at most."""

WAITING_MAX: Final = 64
"""Searches whose answer waits its time; more are not answered, and are asked again."""

AGAIN_S: Final = 1.0
"""The first announcement is made twice, for a datagram may be lost."""

ALIVE_EVERY_S: Final = 600.0
"""Below half of what an announcement holds for; interfaces that came meanwhile are joined too."""

_HOPS: Final = 1
"""Announcements stay on the link."""


class Ssdp:
    """One socket on the group's port. Used on the event loop only."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        announced: Announced,
        base_url: Callable[[str], str],
        askers: Askers,
        serves: Callable[[str], bool],
        random: Callable[[], float],
    ) -> None:
        """`sock`: of `open_udp`; closed with this. `base_url`: by our address on the asker's side;
        `serves`: whether players are served there; `random`: from 0 to 1."""
        self._sock = sock
        self._announced = announced
        self._base_url = base_url
        self._askers = askers
        self._serves = serves
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.TimerHandle] = set()
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS)
        self._datagrams = Datagrams(sock, self._received)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._datagrams.port

    async def run(self) -> None:
        """Announce until cancelled."""
        self._announce()
        await asyncio.sleep(AGAIN_S)
        while True:
            self._announce()
            await asyncio.sleep(ALIVE_EVERY_S)

    def close(self) -> None:
        """Say that it goes; answer and announce no more."""
        for index, _ in self._interfaces():
            self._tell(index, upnp.bye(self._announced))
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()
        self._datagrams.close()

    def _announce(self) -> None:
        for index, local in self._interfaces():
            _join(self._sock, index)
            self._tell(index, upnp.alive(self._announced, self._location(local)))

    def _interfaces(self) -> Iterator[tuple[int, str]]:
        """Interfaces on which players are served, with our address there; as they are now."""
        for index, _ in socket.if_nameindex():
            local = _address_on(index)
            if local is not None and self._serves(local):
                yield index, local

    def _tell(self, index: int, messages: list[bytes]) -> None:
        """To everyone on an interface. One that just went down hears nothing."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(
                socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _membership("0.0.0.0", index)
            )
            for message in messages:
                self._sock.sendto(message, (upnp.GROUP, upnp.PORT))

    def _received(self, data: bytes, sender: tuple[str, int], local: str) -> None:
        if not self._serves(local) or not self._askers.trusts(sender[0]):
            return
        search = upnp.read_search(data)
        if search is None or len(self._waiting) >= WAITING_MAX:
            return
        messages = upnp.answers(search, self._announced, self._location(local))
        if not messages or not self._askers.allows(sender[0]):
            return

        def answer() -> None:
            self._waiting.discard(timer)
            for message in messages:
                self._datagrams.send(message, sender, local, on_link=True)

        timer = self._loop.call_later(self._random() * search.wait_s_max, answer)
        self._waiting.add(timer)

    def _location(self, local: str) -> str:
        return f"{self._base_url(local)}/device.xml"


def _membership(group: str, index: int) -> bytes:
    """`struct ip_mreqn`: a group, any local address, an interface (ip(7))."""
    return struct.pack("=4s4si", socket.inet_aton(group), bytes(4), index)


def _join(sock: socket.socket, index: int) -> None:
    """Hear the group on an interface; joined already, or not able to, is no fault."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _membership(upnp.GROUP, index))


def _address_on(index: int) -> str | None:
    """Our address on an interface; None where it has no IPv4. Nothing is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(
                socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _membership("0.0.0.0", index)
            )
            probe.connect((upnp.GROUP, upnp.PORT))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address
