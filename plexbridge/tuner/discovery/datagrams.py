"""UDP on every interface: each datagram with the local address that it came to.

Knows sockets; nothing of what is said. On a machine with several interfaces the answer must name,
and come from, the address on the asker's side: Linux tells it with each datagram (`IP_PKTINFO`,
ip(7)); elsewhere a throw-away socket "connected" to the asker does.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Final

DATAGRAM_BYTES_MAX: Final = 2_048
"""Longer ones are cut, and then are not what we understand."""

DATAGRAMS_PER_TURN: Final = 32
"""Handled in one turn of the loop: below a millisecond, and streams notice nothing."""

_LINUX: Final = sys.platform == "linux"
_IP_PKTINFO: Final = 8
"""Of Linux; Python's socket module has no name for it before 3.14."""
_PKTINFO: Final = struct.Struct("=i4s4s")
"""`struct in_pktinfo`: interface, local address, address in the header."""

Received = Callable[[bytes, tuple[str, int], str], None]
"""A datagram, its sender, and our address on the sender's side."""


def open_udp(host: str, port: int) -> socket.socket:
    """A bound, non-blocking socket; port 0 takes a free one. Others may share the port, as is the
    custom where broadcasts and multicasts are heard.

    Raises:
        OSError: the port is taken by a program that does not share it, or reserved.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if _LINUX:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class Datagrams:
    """Reads one socket for as long as it is open. Used on the event loop only."""

    def __init__(self, sock: socket.socket, received: Received) -> None:
        """Begins to read at once. `sock`: of `open_udp`; closed with this."""
        self._sock = sock
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._read_some)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._sock.getsockname()[1]
        return port

    def close(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def send(self, data: bytes, to: tuple[str, int], local: str, *, on_link: bool = False) -> None:
        """Answer from `local`, the address that was asked. `on_link`: only to who is reached
        without a router. What cannot be sent now is dropped: its asker asks again."""
        flags = socket.MSG_DONTROUTE if on_link else 0
        with contextlib.suppress(OSError):
            self._sock.sendmsg([data], _from(local), flags, to)

    def _read_some(self) -> None:
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                data, told, _, sender = self._sock.recvmsg(
                    DATAGRAM_BYTES_MAX, socket.CMSG_SPACE(_PKTINFO.size)
                )
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an earlier answer's ICMP error: its asker is gone
            if sender[1] == 0:
                continue  # nobody can be answered there
            local = _told_address(told) or _address_towards(sender)
            if local is not None:
                self._received(data, sender, local)


def _from(local: str) -> list[tuple[int, int, bytes]]:
    if not _LINUX:
        return []
    info = _PKTINFO.pack(0, socket.inet_aton(local), bytes(4))
    return [(socket.IPPROTO_IP, _IP_PKTINFO, info)]


def _told_address(told: list[tuple[int, int, bytes]]) -> str | None:
    """What the kernel says; for a broadcast, the first address of the interface."""
    for level, kind, data in told:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) >= _PKTINFO.size:
            _, local, _ = _PKTINFO.unpack_from(data)
            return socket.inet_ntoa(local)
    return None


def _address_towards(peer: tuple[Any, ...]) -> str | None:
    """Which of our addresses would speak to this peer. Nothing is sent, nothing waits."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(peer)
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address
