"""Everything by which players find the tuner, opened and closed together.

A port that is taken stops what needs it, is said once, and nothing else suffers: the tuner is still
there for who is told its address.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

import structlog

from plexbridge.server.listener import ListenFailed, open_listener
from plexbridge.tuner.device import Device, udn
from plexbridge.tuner.discovery import ssdp, tcp, udp, upnp
from plexbridge.tuner.discovery.answers import BASE_URL_CHARS_HEARD, GetSet
from plexbridge.tuner.discovery.askers import Askers, Network
from plexbridge.tuner.discovery.datagrams import open_udp
from plexbridge.tuner.discovery.udp import served_at

_log = structlog.get_logger(__name__)

HDHOMERUN_PORT: Final = 65_001
"""Discovery on UDP, control on TCP: every client's, and not to be chosen."""


class Presence:
    """One bridge's. Used on the event loop only."""

    def __init__(
        self,
        *,
        device: Device,
        host: str,
        base_url: Callable[[str], str],
        trusted: Sequence[Network],
        monotonic: Callable[[], float],
    ) -> None:
        """`host`: where players are served, a numeric address; `base_url`: where players find us,
        by our address on their side; `trusted`: who is answered."""
        self._device = device
        self._host = host
        self._serves = served_at(host)
        self._base_url = base_url
        self._trusted = trusted
        self._monotonic = monotonic
        self.discovery: udp.Discovery | None = None
        self.control: tcp.Control | None = None
        self.ssdp: ssdp.Ssdp | None = None
        self._announcing: asyncio.Task[None] | None = None

    def answer_searches(self, getset: GetSet, *, port: int = HDHOMERUN_PORT) -> None:
        """HDHomeRun's discovery and control; `port` is another one in tests."""
        sock = self._bound("HDHomeRun discovery", port)
        if sock is not None:
            self._say_if_unheard()
            self.discovery = udp.Discovery(
                sock,
                device=self._device,
                base_url=self._base_url,
                askers=self._askers(udp.SEARCHES_PER_SECOND, udp.ALL_SEARCHES_PER_SECOND),
                serves=self._serves,
            )
        try:
            listener = open_listener(self._host, port)
        except ListenFailed as failed:
            cause = failed.__cause__
            _say_taken("HDHomeRun status on TCP", port, cause if cause is not None else failed)
            return
        askers = self._askers(tcp.REQUESTS_PER_SECOND, 0)
        self.control = tcp.Control(listener, getset=getset, askers=askers)

    def announce(self, *, server: str, random: Callable[[], float], port: int = upnp.PORT) -> None:
        """SSDP; `server`: see `Announced`."""
        sock = self._bound("SSDP", port)
        if sock is None:
            return
        self.ssdp = ssdp.Ssdp(
            sock,
            announced=upnp.Announced(udn(self._device), server),
            base_url=self._base_url,
            askers=self._askers(ssdp.SEARCHES_PER_SECOND, ssdp.ALL_SEARCHES_PER_SECOND),
            serves=self._serves,
            random=random,
        )
        self._announcing = asyncio.get_running_loop().create_task(self.ssdp.run(), name="ssdp")
        self._announcing.add_done_callback(_say_failed)

    async def close(self) -> None:
        """Say goodbye; answer no more. Closing again is no fault."""
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.wait((self._announcing,))
            self._announcing = None
        if self.ssdp is not None:
            self.ssdp.close()
            self.ssdp = None
        if self.discovery is not None:
            self.discovery.close()
            self.discovery = None
        if self.control is not None:
            await self.control.close()
            self.control = None

    def _askers(self, per_second: int, total_per_second: int) -> Askers:
        return Askers(
            self._trusted,
            self._monotonic,
            per_second=per_second,
            total_per_second=total_per_second,
        )

    def _bound(self, what: str, port: int) -> socket.socket | None:
        address = ip_address(self._host)
        if address.version == 6 and not address.is_unspecified:
            _log.warning(f"{what} is off: it needs IPv4", host=self._host)
            return None
        # Broadcasts and multicasts reach no socket that is bound to one address.
        host = self._host if address.is_loopback else "0.0.0.0"
        try:
            return open_udp(host, port)
        except OSError as error:
            _say_taken(what, port, error)
            return None

    def _say_if_unheard(self) -> None:
        said = self._base_url("255.255.255.255")
        if len(said) > BASE_URL_CHARS_HEARD:
            _log.warning(
                "Kodi and other programs of before 2025 do not take a BASE_URL this long from "
                "discovery",
                characters=len(said),
                at_most=BASE_URL_CHARS_HEARD,
            )


def _say_failed(task: asyncio.Task[None]) -> None:
    """It ends by being cancelled; anything else is our bug."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        _log.error("SSDP announces no more", exc_info=fault)


def _say_taken(what: str, port: int, why: BaseException) -> None:
    reason = why.strerror if isinstance(why, OSError) else str(why)
    _log.warning(f"{what} is off: its port cannot be had", port=port, why=reason)
