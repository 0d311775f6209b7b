"""The player's side of one stream response: plain bytes until the connection closes.

uvicorn's own `send` puts chunk sizes between the bytes, even for HTTP/1.0, and waits for stalled
players; a tuner does neither. So a stream's bytes go to the socket directly, and the loss of the
player is told by a plain call in the moment the loop learns of it. Knows nothing of sessions,
tuners or MPEG-TS.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from plexbridge.server.head import Headers, response_head
from plexbridge.server.tcp_info import TcpInfo, read_tcp_info

MEDIA_EXTENSION = "plexbridge.media"
"""Key of the `MediaConnection` in an HTTP scope's `extensions`."""

ABORT_EXTENSION = "plexbridge.abort"
"""Key of a callable that frees the connection at once, in HTTP and WebSocket scopes."""

UNKNOWN_PEER = ("unknown", 0)
"""When the connection was gone before its peer's address could be read."""


class LostHow(StrEnum):
    """How a player's connection ended, other than by our hand. Details of the log's reasons."""

    CLIENT_CLOSED = "client_closed"
    """FIN, also of one direction only: a player that closed its sending side is leaving."""
    CLIENT_RESET = "client_reset"
    """RST: closed with unread bytes, or killed."""
    PEER_VANISHED = "peer_vanished"
    """The kernel gave up: nothing was acknowledged any more, or there is no way to the peer."""


_VANISHED = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN}
_VANISHED |= {errno.ENETUNREACH, errno.ENETDOWN}


def how_lost(exc: BaseException | None) -> LostHow:
    """What `connection_lost(exc)` means for a connection that we did not end."""
    if exc is None:
        return LostHow.CLIENT_CLOSED
    if isinstance(exc, OSError) and exc.errno in _VANISHED:
        return LostHow.PEER_VANISHED
    return LostHow.CLIENT_RESET


class Connection(Protocol):
    """What a stream response needs of the HTTP connection it is on."""

    transport: asyncio.Transport
    flow: FlowControl
    client: tuple[str, int] | None
    how: LostHow | None
    gone: bool

    def default_headers(self) -> list[tuple[bytes, bytes]]: ...
    def take_over(self, media: "MediaConnection") -> None: ...
    def abort_now(self) -> None: ...
    def close_flushed(self) -> None: ...


class MediaConnection:
    """A relay's `Sink` on a player's connection, one per request; used on the event loop only.

    From `watch` (or `begin`, `refuse`) on the connection belongs to this response alone: whatever
    else the client sends is read and dropped, so that its FIN is seen, and the connection closes
    afterwards.
    """

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self.cycle = cycle
        self.how: LostHow | None = None
        """How the player was lost; None while it is there, and for ends by our own hand."""
        self.on_writable: Callable[[], None] | None = None
        self._connection = connection
        self._on_lost: Callable[[LostHow], None] | None = None
        self._taken = False
        self._begun = False
        self._ended = False
        self._frozen = False
        self._descriptor = -1
        self._written = 0
        self._accepted = 0

    @property
    def peer(self) -> tuple[str, int]:
        """The player's address (IPv4 in its own form) and port."""
        return self._connection.client or UNKNOWN_PEER

    @property
    def lost(self) -> bool:
        """Whether the player ended the connection, or its network did."""
        return self.how is not None

    def watch(self, on_lost: Callable[[LostHow], None]) -> None:
        """Call `on_lost` once, synchronously, when the player is lost; at once if it is already.

        To be called before the first `await` of a streaming request. Not called for an end by our
        own hand (`finish`, `refuse`, `abort`). A later call replaces the callback.
        """
        self._on_lost = on_lost
        self._take()
        if self.how is not None and not self._ended:
            on_lost(self.how)

    def begin(self, headers: Headers) -> None:
        """Send the status line `200 OK` and the headers; body bytes may follow. Once.

        From here on any unsent byte makes the connection unwritable: a chunk of any size then fits
        (a player that stops reading holds one chunk in this process, and the kernel's small queue),
        and a player that reads is never kept waiting, for the kernel still holds 128 KiB.

        Raises:
            InvalidHeader: nothing was sent.
        """
        assert not self._begun, "a response begins once"
        assert not self._ended, "the response is over"
        head = response_head(200, headers, self._connection.default_headers())
        self._take()
        self._begun = True
        self.cycle.response_started = True
        if self._open:
            transport = self._connection.transport
            transport.set_write_buffer_limits(high=0)
            transport.write(head)
            if transport.get_extra_info("sslcontext") is None:
                self._descriptor = transport.get_extra_info("socket").fileno()

    def refuse(self, status: int, error: str | None, headers: Headers = ()) -> None:
        """Answer with an empty body and close, in HDHomeRun's form; instead of `begin`.

        `error` is the value of `X-HDHomeRun-Error`, such as `805 All Tuners In Use`.

        Raises:
            InvalidHeader: nothing was sent.
        """
        assert not self._begun, "a refusal is a whole response"
        assert not self._ended, "the response is over"
        own = [("X-HDHomeRun-Error", error)] if error is not None else []
        own += [("Content-Length", "0"), ("Cache-Control", "no-cache"), ("Connection", "close")]
        head = response_head(status, [*own, *headers], self._connection.default_headers())
        self._take()
        self._begun = True
        self.cycle.response_started = True
        if self._open:
            self._connection.transport.write(head)
        self.finish()

    @property
    def writable(self) -> bool:
        """False while bytes wait in this process, and once the response is over."""
        return self._open and not self._connection.flow.write_paused

    def write(self, chunk: bytes | memoryview) -> None:
        """Hand over body bytes; what cannot be sent at once is copied. Never waits, never raises;
        ignored once the response is over."""
        assert self._begun, "the head comes before the body"
        if not self._open:
            return
        sent = self._send(chunk)
        if not self._frozen:
            self._written += len(chunk)
            if sent < len(chunk):
                # With any byte in its buffer the transport says so, and the relay holds the rest.
                self._connection.transport.write(bytes(chunk[sent:]))

    def accepted(self) -> int:
        """Body bytes the player's socket has accepted; never falls.

        After a reset it is what was known last: less than the truth by part of one chunk at most.
        """
        if not self._frozen:
            self._count()
        return self._accepted

    def unsent(self) -> int:
        """Body bytes waiting in this process; for a lost player those it never accepted."""
        return self._written - self.accepted()

    def tcp_info(self) -> TcpInfo | None:
        """The kernel's view of the connection; None when the socket is gone or it cannot tell."""
        sock = self._connection.transport.get_extra_info("socket")
        if self._connection.gone or sock is None or sock.fileno() < 0:
            return None
        return read_tcp_info(sock)

    def finish(self) -> None:
        """End the response: everything handed over is sent (for `flush_deadline_s` at most), then
        FIN. May be called again, and after a loss."""
        if self._ended:
            return
        assert self._begun, "nothing was begun that could be finished"
        self._ended = True
        self.cycle.response_complete = True
        self.cycle.message_event.set()
        if not self.lost:
            self._connection.close_flushed()

    def abort(self) -> None:
        """End the connection at once, dropping what it had not sent. Always allowed."""
        self._ended = True
        self._connection.abort_now()

    def give_up(self) -> None:
        """Abort, if the response was begun and nobody ended it: its application failed."""
        if self._begun and not self._ended:
            self.abort()

    def freeze(self) -> None:
        """For the connection: its buffer is about to be dropped, so count now for the last time."""
        if not self._frozen:
            self._count()
            self._frozen = True

    def connection_ended(self, how: LostHow, *, flushed: bool) -> None:
        """For the connection: it is over. `flushed`: nothing was left in its buffer."""
        if not self._frozen and flushed:
            self._accepted = self._written
        self._frozen = True
        if self.how is None and not self._ended:
            self.how = how
            if self._on_lost is not None:
                self._on_lost(how)

    def writing_resumed(self) -> None:
        """For the connection: its buffer is empty again."""
        if self._open and self.on_writable is not None:
            self.on_writable()

    @property
    def _open(self) -> bool:
        over = self._ended or self._frozen or self.how is not None
        return not over and not self._connection.transport.is_closing()

    def _take(self) -> None:
        if not self._taken:
            self._taken = True
            self._connection.take_over(self)
            self.how = self._connection.how

    def _send(self, chunk: bytes | memoryview) -> int:
        """How much of it the socket took at once. Past the transport, which would keep what the
        socket does not take in memory that is not ours to keep.

        The descriptor is this connection's until `connection_lost` returns, and that ends us.
        """
        if self._descriptor < 0 or self._connection.flow.write_paused:
            return 0
        try:
            return os.write(self._descriptor, chunk)
        except BlockingIOError:
            return 0
        except OSError as fault:
            # The kernel tells a fault once: the transport will not learn of this one.
            self.freeze()
            if not self._connection.transport.is_closing():
                self._connection.how = self._connection.how or how_lost(fault)
                self._connection.transport.abort()
            return 0

    def _count(self) -> None:
        if not self._connection.flow.write_paused:
            self._accepted = self._written
            return
        # Bytes of heads are in front of the body in the buffer, so what is left of it is body.
        buffered = min(self._written, self._connection.transport.get_write_buffer_size())
        self._accepted = max(self._accepted, self._written - buffered)
