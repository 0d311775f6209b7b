"""The accept loop: who gets a connection, and what happens when there are too many.

A loop's own server takes whatever comes: out of descriptors asyncio logs once for each place of the
backlog, and uvloop drops everyone. Here a full house pauses accepting, so that newcomers wait in
the kernel's queue, and whoever has too many already is reset before anything is made for it. Knows
sockets and places; nothing of HTTP.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from plexbridge.server.aborting import reset_socket
from plexbridge.server.addresses import plain_address
from plexbridge.server.places import Place, Places

_log = structlog.get_logger(__name__)

ACCEPTS_PER_TURN: Final = 32
"""Connections taken in one turn of the loop: some 5 ms, and a stream notices nothing."""

EXHAUSTED_PAUSE_S: Final = 0.5
"""Without descriptors or memory: until the next try, or until a connection is gone."""

SAID_EVERY_S: Final = 1.0
"""At most one log line a second, whatever comes."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Accepts on one listening socket. To uvicorn it is the server of that socket."""

    def __init__(
        self,
        listener: socket.socket,
        places: Places,
        make: Callable[[Place], asyncio.Protocol],
    ) -> None:
        """`make`: the protocol of a connection, which leaves its place when the connection ends.
        Begins to accept at once."""
        self._listener = listener
        self._places = places
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._accepting = False
        self._closed = False
        self._again: asyncio.TimerHandle | None = None
        self._said_at = -SAID_EVERY_S
        self._unsaid = 0
        places.watch(self._resume)
        self._resume()

    def close(self) -> None:
        """Accept no more; who was accepted stays. The listening socket is its opener's."""
        self._closed = True
        self._pause()

    async def wait_closed(self) -> None:
        """Until nobody is on the way from the socket to its protocol."""
        if self._connecting:
            await asyncio.wait(set(self._connecting))

    def _resume(self) -> None:
        if self._accepting or self._closed or self._places.full:
            return
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._accepting = True
        self._loop.add_reader(self._listener, self._accept_some)

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._listener)
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _accept_some(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._places.full:
                self._pause()  # until a place is left
                self._say("Every connection is taken: new ones wait", open=self._places.open)
                return
            try:
                sock, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause()
                    self._again = self._loop.call_later(EXHAUSTED_PAUSE_S, self._resume)
                    self._say("No connection can be accepted", why=error.strerror)
                    return
                continue  # accept tells of networks and peers that failed while they waited
            self._accepted(sock, plain_address(peer[0]))

    def _accepted(self, sock: socket.socket, address: str) -> None:
        place = self._places.take(address)
        if place is None:
            reset_socket(sock)
            self._say(
                "Too many connections from one address: reset",
                address=address,
                allowed=self._places.per_address,
            )
            return
        sock.setblocking(False)
        task = self._loop.create_task(self._connect(sock, place))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, sock: socket.socket, place: Place) -> None:
        try:
            await self._loop.connect_accepted_socket(partial(self._make, place), sock)
        except OSError:
            # Reset while it waited, which only some systems tell here.
            place.leave()
            with contextlib.suppress(OSError):
                sock.close()

    def _say(self, what: str, **facts: object) -> None:
        """One line a second; the next one tells how many were left out."""
        now = self._loop.time()
        if now - self._said_at < SAID_EVERY_S:
            self._unsaid += 1
            return
        self._said_at = now
        _log.warning(what, **facts, unsaid=self._unsaid)
        self._unsaid = 0
