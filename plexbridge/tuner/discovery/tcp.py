"""HDHomeRun control on TCP: variables are told, one request after the other.

Knows connections, their bounds and deadlines; what a variable says is `variables`'. Nothing is
remembered between requests, so a connection that is cut costs nobody anything.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, cast

from plexbridge.server.acceptor import Acceptor
from plexbridge.server.places import Place, Places
from plexbridge.tuner.discovery.answers import GetSet, getset_reply
from plexbridge.tuner.discovery.askers import Askers
from plexbridge.tuner.discovery.packets import (
    HEADER_BYTES,
    PACKET_BYTES_MAX,
    Malformed,
    Packet,
    PacketType,
    decode,
    packet_bytes,
)

CONNECTIONS_MAX: Final = 32
"""In all; programs open one each, for as long as their window is open."""

CONNECTIONS_PER_ADDRESS: Final = 8
"""From each address but loopback."""

IDLE_S: Final = 60.0
"""Without a whole request: programs that show a signal ask every second."""

UNANSWERED_BYTES_MAX: Final = 64 * 1024
"""Answers that wait for their asker to read them; beyond it, it does not read and is cut."""

REQUESTS_PER_SECOND: Final = 200
"""Of one address; a scan of every variable of four tuners has some 60. Faster ones are cut."""


_REQUEST: Final = PacketType.GETSET_REQUEST.to_bytes(2, "big")


class Control:
    """One listening socket. Used on the event loop only."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        getset: GetSet,
        askers: Askers,
        idle_s: float = IDLE_S,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        """`listener`: of `open_listener`; closed with this. `idle_s`: seconds."""
        self._listener = listener
        self._connections: set[_Connection] = set()
        self._make: Callable[[Place], asyncio.Protocol] = partial(
            _Connection, self._connections, getset, askers, idle_s
        )
        places = Places(total=connections_max, per_address=CONNECTIONS_PER_ADDRESS)
        self._acceptor = Acceptor(listener, places, self._make)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def open(self) -> int:
        """Connections that are open."""
        return len(self._connections)

    async def close(self) -> None:
        """Accept no more, and cut who is there."""
        self._acceptor.close()
        await self._acceptor.wait_closed()
        self._listener.close()
        for connection in list(self._connections):
            connection.abort()


class _Connection(asyncio.Protocol):
    """One program, asking."""

    def __init__(
        self,
        connections: "set[_Connection]",
        getset: GetSet,
        askers: Askers,
        idle_s: float,
        place: Place,
    ) -> None:
        self._connections = connections
        self._getset = getset
        self._askers = askers
        self._idle_s = idle_s
        self._place = place
        self._address = ""
        self._unread = bytearray()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The acceptor's."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but descent
        self._connections.add(self)
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        if self._askers.trusts(self._address):
            self._wait()
        else:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """By either side, for whatever reason."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._connections.discard(self)
        self._place.leave()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request; the rest waits for more."""
        assert self._transport is not None, "data comes after the connection"
        if self._transport.is_closing():
            return
        self._unread += data
        try:
            while (request := self._next()) is not None:
                if not self._answer(request):
                    self.abort()
                    return
        except Malformed:
            self.abort()  # nobody can tell where the next request would begin

    def eof_received(self) -> bool:
        """It asks no more: closed once the answers are written."""
        return False

    def abort(self) -> None:
        """Cut it."""
        if self._transport is not None:
            self._transport.abort()
        self._unread.clear()

    def _next(self) -> Packet | None:
        """Take the next request out of what was read."""
        if len(self._unread) < HEADER_BYTES:
            return None
        if self._unread[:2] != _REQUEST:
            raise Malformed("another protocol, or a packet that nobody may send us")
        size = packet_bytes(self._unread)
        assert size <= PACKET_BYTES_MAX, "packet_bytes refuses more"
        if len(self._unread) < size:
            return None
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return decode(data)

    def _answer(self, request: Packet) -> bool:
        """False: it asks for something else, or more than it may, or reads no answers."""
        assert self._transport is not None, "requests come after the connection"
        reply = getset_reply(request, self._getset)
        if reply is None or not self._askers.allows(self._address):
            return False
        self._transport.write(reply)
        self._wait()
        return self._transport.get_write_buffer_size() <= UNANSWERED_BYTES_MAX

    def _wait(self) -> None:
        """For the next request, and no longer than it may take."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(self._idle_s, self.abort)
