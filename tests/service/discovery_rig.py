"""A presence on loopback or on a virtual cable, and programs that ask it."""

import asyncio
import contextlib
import ctypes
import socket
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar

from plexbridge.tuner.device import Device, base_url_at
from plexbridge.tuner.discovery.answers import Refusal
from plexbridge.tuner.discovery.presence import Presence
from plexbridge.tuner.discovery.variables import Shown, getset

DEVICE = Device(device_id="1040A1B6", friendly_name="x", tuners=2)
HTTP_PORT = 5004
SEARCH = bytes.fromhex("0002000c 0104ffffffff 0204ffffffff 73cc7d8f")
LOOPBACK = ip_network("127.0.0.0/8")
ANSWER_S = 5.0
_CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def variables(name: str, given: str | None) -> str | Refusal:
    """Two idle tuners and three channels."""
    return getset(Shown(tuners=2, channels=3, rows=(), rates={}), name, given)


@contextlib.asynccontextmanager
async def presence(
    host: str = "127.0.0.1",
    *,
    trusted: IPv4Network | IPv6Network = LOOPBACK,
    base_url: str | None = None,
) -> AsyncIterator[Presence]:
    """One that is opened by the test, and closed after it."""
    made = Presence(
        device=DEVICE,
        host=host,
        base_url=lambda local: base_url or base_url_at(local, HTTP_PORT),
        trusted=(trusted,),
        monotonic=time.monotonic,
    )
    async with asyncio.timeout(30):
        try:
            yield made
        finally:
            await made.close()


def in_namespace(name: str, make: Callable[[], T]) -> T:
    """What `make` makes on the machine of that name: in a thread of its own, whose network alone
    is changed."""

    def there() -> T:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{name}", "rb") as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        return make()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(there).result()


def udp(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A program's socket."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind((address, port))
    return sock


async def heard(sock: socket.socket) -> tuple[bytes, str]:
    """The next datagram and who sent it."""
    async with asyncio.timeout(ANSWER_S):
        data, sender = await asyncio.get_running_loop().sock_recvfrom(sock, 65_536)
    return data, sender[0]


def nothing_heard(sock: socket.socket) -> bool:
    """Whether no datagram waits."""
    try:
        sock.recv(65_536)
    except BlockingIOError:
        return True
    return False
