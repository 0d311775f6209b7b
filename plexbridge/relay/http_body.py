"""Bodies of HTTP responses on their way to a receiver: read straight from the socket where they are
plain bytes, through the client library where they are not.

Knows how a body ends (whole, short, reset, at an end that a live channel does not have) and says so
in words of the log. Nothing of packets, readers or attempts.
"""

import asyncio

import aiohttp

from plexbridge.relay.gathering import GatheringSocket
from plexbridge.relay.ports import OpenUpstream, UpstreamFailed, UpstreamReceiver

READ_BYTES_MAX = 65_536
"""What one push of the slow way carries at most, so that a relay can pause it in time."""

_NOWHERE = memoryview(bytearray(4_096))
"""What arrives after we closed is read into this, and forgotten."""


def deliver_body(response: aiohttp.ClientResponse, receiver: UpstreamReceiver) -> OpenUpstream:
    """Let the body flow into the receiver; nothing is delivered before this has returned."""
    if _is_plain(response):
        return DirectBody(response, receiver)
    return PumpedBody(response, receiver)


def _is_plain(response: aiohttp.ClientResponse) -> bool:
    """Whether the socket carries the body's bytes and nothing else, and is still open."""
    connection = response.connection
    if connection is None or connection.transport is None or connection.transport.is_closing():
        return False
    if response.content.exception() is not None:
        return False
    coding = response.headers.get("Content-Encoding", "identity")
    return "Transfer-Encoding" not in response.headers and coding.lower() == "identity"


def _ending(failed: BaseException | None, left_bytes: int | None) -> UpstreamFailed | None:
    """What an end of the connection means, with so much of the body outstanding (None: a channel,
    which has no end)."""
    if left_bytes == 0:
        return None
    if isinstance(failed, TimeoutError):
        return UpstreamFailed("timeout", "upstream_no_data")
    if failed is not None:
        return UpstreamFailed("stream_failed", "upstream_reset")
    if left_bytes is not None:
        return UpstreamFailed("stream_failed", "upstream_wrong_length")
    return UpstreamFailed("stream_failed", "upstream_eof")


class DirectBody(asyncio.BufferedProtocol):
    """A plain body. It takes the connection over from the client library, which has read the head
    and maybe the beginning of the body, and reads on into the receiver's own memory."""

    silence_ms = 0

    def __init__(self, response: aiohttp.ClientResponse, receiver: UpstreamReceiver) -> None:
        connection = response.connection
        assert connection is not None, "a body is read from its connection"
        assert connection.transport is not None, "the connection is open"
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        """Resolves when the socket is gone."""
        self.taken_bytes = 0
        self._response = response
        self._receiver = receiver
        self._length = response.content_length
        self._closing = False
        self._ended = False
        self._reading = True
        self._transport = connection.transport
        self._former = connection.protocol
        self._beginning = _take_buffered(response)
        self._transport.set_protocol(self)
        # Until `open` has returned to whoever asked, the kernel holds what comes.
        self._transport.pause_reading()
        self._gathering = GatheringSocket(self._transport, lambda: self.taken_bytes)
        loop.call_soon(self._begin)

    def pause(self) -> None:
        """Read no further."""
        self._reading = False
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self._reading = True
        self._transport.resume_reading()

    def close(self) -> None:
        """Close the socket at once; the receiver is not called again."""
        if self._closing:
            return
        self._closing = True
        self._gathering.stop()
        # Not `close`: over TLS that would wait for the other side's farewell.
        self._transport.abort()
        self._response.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go; the size is the receiver's choice."""
        return _NOWHERE if self._closing or self._ended else self._receiver.room()

    def buffer_updated(self, nbytes: int) -> None:
        """They are there."""
        if self._closing or self._ended:
            return
        left = self._left_bytes()
        self.taken_bytes += nbytes
        self._receiver.filled(nbytes if left is None else min(nbytes, left))
        if left is not None and nbytes >= left:
            self._end(None)

    def eof_received(self) -> None:
        """The other side sends no more; the transport closes itself."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._gathering.stop()
        if self._former is not None:
            self._former.connection_lost(exc)
        self._end(exc)
        if not self.closed.done():
            self.closed.set_result(None)

    def _begin(self) -> None:
        for chunk in self._beginning:
            if self._closing:
                return
            self.taken_bytes += len(chunk)
            self._receiver.received(chunk)
        self._beginning = []
        if self._left_bytes() == 0:
            self._end(None)
        elif self._reading and not self._closing:
            self._transport.resume_reading()

    def _left_bytes(self) -> int | None:
        return None if self._length is None else max(0, self._length - self.taken_bytes)

    def _end(self, failed: BaseException | None) -> None:
        if not self._closing and not self._ended:
            self._ended = True
            self._receiver.ended(_ending(failed, self._left_bytes()))


def _take_buffered(response: aiohttp.ClientResponse) -> list[bytes]:
    """What the client library has read of the body. Taking it may let its parser go on with what
    it held back, hence until nothing comes; and it may let the transport read again."""
    taken = []
    while chunk := response.content.read_nowait():
        taken.append(chunk)
    return taken


class PumpedBody:
    """A body in chunks or of a connection that is closed already: one task reads and pushes."""

    silence_ms = 0

    def __init__(self, response: aiohttp.ClientResponse, receiver: UpstreamReceiver) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        """Resolves when the socket is gone."""
        self._response = response
        self._receiver = receiver
        self._finite = response.content_length is not None
        self._lost: BaseException | None = None
        self._closing = False
        self._may_read = asyncio.Event()
        self._may_read.set()
        connection = response.connection
        # A body that came with its headers is over already, and its connection let go of.
        self._transport = None if connection is None else connection.transport
        protocol = None if connection is None else connection.protocol
        lost = None if protocol is None else protocol.closed
        if lost is None:
            self.closed.set_result(None)
        else:
            lost.add_done_callback(self._connection_lost)
        self._pump_task = loop.create_task(self._pump(), name="upstream body")

    def pause(self) -> None:
        """Read no further; the client library then stops reading the socket."""
        self._may_read.clear()

    def resume(self) -> None:
        """Read on."""
        self._may_read.set()

    def close(self) -> None:
        """Close the socket at once; the receiver is not called again."""
        self._closing = True
        self._pump_task.cancel()
        if self._transport is not None:
            # Not `close`: over TLS that would wait for the other side's farewell.
            self._transport.abort()
        self._response.close()

    def _connection_lost(self, lost: "asyncio.Future[None]") -> None:
        self._lost = None if lost.cancelled() else lost.exception()
        if not self.closed.done():
            self.closed.set_result(None)

    async def _pump(self) -> None:
        while not self._closing:
            await self._may_read.wait()
            try:
                chunk = await self._response.content.read(READ_BYTES_MAX)
            except (aiohttp.ClientError, OSError) as fault:
                failed = fault if isinstance(fault, TimeoutError) else self._lost
                self._receiver.ended(_ending(failed, 1 if self._finite else None))
                return
            if not chunk:
                # A body that ends with its connection looks whole after a reset too.
                self._receiver.ended(_ending(self._lost, 0 if self._finite else None))
                return
            self._receiver.received(chunk)
