"""Players on a machine of their own: network namespaces, joined to this one by a virtual cable.

Only so can a player vanish without a word: on loopback the kernel itself answers for whoever died.
Needs root and iproute2.
"""

import asyncio
import contextlib
import ctypes
import itertools
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


class Machine:
    """A namespace with one address; `bridge` is ours on the same cable."""

    def __init__(self, name: str, bridge: str, own: str) -> None:
        self.name = name
        self.bridge = bridge
        self.own = own

    def new_socket(self) -> socket.socket:
        """A non-blocking TCP socket of that machine, used from here."""
        with ThreadPoolExecutor(1) as thread:  # a thread of its own: only it changes its network
            return thread.submit(self._socket).result()

    def _socket(self) -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{self.name}", "rb") as there:
            if libc.setns(there.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        sock = socket.socket()
        sock.setblocking(False)
        return sock

    async def connect(self, port: int, *, rcvbuf: int | None = None) -> socket.socket:
        """Connected to the bridge's `port`."""
        sock = self.new_socket()
        if rcvbuf is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        await asyncio.get_running_loop().sock_connect(sock, (self.bridge, port))
        return sock

    def vanish(self) -> None:
        """From now on nothing that it sends reaches anyone: neither data nor FIN nor RST."""
        _run("ip", "-n", self.name, "route", "add", "blackhole", f"{self.bridge}/32")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


def _made() -> Machine:
    number = next(_numbers)
    name = f"pb{os.getpid() % 100_000}n{number}"
    place = os.getpid() % 60 * 4
    machine = Machine(
        name, f"10.213.{number % 250}.{place + 1}", f"10.213.{number % 250}.{place + 2}"
    )
    here, there = f"{name}a", f"{name}b"
    _run("ip", "netns", "add", name)
    _run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
    _run("ip", "address", "add", f"{machine.bridge}/30", "dev", here)
    _run("ip", "link", "set", here, "up")
    _run("ip", "-n", name, "address", "add", f"{machine.own}/30", "dev", there)
    _run("ip", "-n", name, "link", "set", there, "up")
    return machine


@pytest.fixture
def machine(tool: Callable[[str], str]) -> Iterator[Callable[[], Machine]]:
    """Makes another machine at each call; all are gone at the end. Where the system forbids it, a
    failure if the machine was prepared for the tests, else a skip with the reason."""
    tool("ip")
    made: list[Machine] = []

    def make() -> Machine:
        try:
            made.append(_made())
        except OSError as error:
            reason = f"network namespaces cannot be made here: {error}"
            if os.environ.get("PLEXBRIDGE_TEST_TOOLS") == "required":
                pytest.fail(reason)
            pytest.skip(reason)
        return made[-1]

    yield make
    for one in made:
        with contextlib.suppress(OSError):  # deleting what was half made
            _run("ip", "link", "delete", f"{one.name}a")
        if Path(f"/run/netns/{one.name}").exists():
            _run("ip", "netns", "delete", one.name)
