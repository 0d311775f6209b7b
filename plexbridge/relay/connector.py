"""Plain HTTP upstreams: the outbound client opens them, their body is pumped into a receiver.

Knows how a body ends (whole, short, reset, at an end that a live channel does not have) and says so
in words of the log. Nothing of packets, readers or attempts.
"""

import asyncio
import socket

import aiohttp

from plexbridge.outbound import Outbound, OutboundFailed
from plexbridge.relay.gathering import Gathering
from plexbridge.relay.ports import Upstream, UpstreamFailed, UpstreamReceiver

READ_BYTES_MAX = 262_144
"""What one push carries at most. After a pause the client library holds several reads; handed over
in one piece they would run past the ring of a relay before it could pause again."""


class HttpConnector:
    """Opens upstreams through the one way out."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def open(self, upstream: Upstream, receiver: UpstreamReceiver) -> "PumpedBody":
        """Ask for the URL; nothing is delivered before this has returned.

        Raises:
            UpstreamFailed: with the outbound client's word and `Retry-After`.
        """
        try:
            response = await self._outbound.get(upstream.url, upstream.headers)
        except OutboundFailed as failed:
            reason = "timeout" if failed.kind == "timeout" else "stream_failed"
            failure = UpstreamFailed(reason, failed.detail, retry_after_s=failed.retry_after_s)
        else:
            return PumpedBody(response, receiver)
        raise failure


class PumpedBody:
    """A response whose body one task reads and pushes."""

    def __init__(self, response: aiohttp.ClientResponse, receiver: UpstreamReceiver) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        """Resolves when the socket is gone."""
        self._response = response
        self._receiver = receiver
        self._finite = response.content_length is not None
        self._reset = False
        self._closing = False
        self._gathering = Gathering(loop.time())
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
        self._reset = not lost.cancelled() and lost.exception() is not None
        if not self.closed.done():
            self.closed.set_result(None)

    async def _pump(self) -> None:
        while not self._closing:
            await self._may_read.wait()
            try:
                chunk = await self._response.content.read(READ_BYTES_MAX)
            except (aiohttp.ClientError, OSError) as fault:
                self._receiver.ended(self._failure_of(fault))
                return
            if not chunk:
                self._receiver.ended(self._end())
                return
            self._gather(len(chunk))
            self._receiver.received(chunk)

    def _gather(self, count: int) -> None:
        """Let the kernel wait for a chunk worth waking for, where it can."""
        low_water = self._gathering.took(count, asyncio.get_running_loop().time())
        if low_water is None or self._transport is None or self._transport.is_closing():
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low_water)

    def _end(self) -> UpstreamFailed | None:
        """The body ended as HTTP says it may. A channel without a length has no end."""
        if self._finite:
            return None
        # A body that ends with its connection looks whole after a reset too.
        return UpstreamFailed("stream_failed", "upstream_reset" if self._reset else "upstream_eof")

    def _failure_of(self, fault: aiohttp.ClientError | OSError) -> UpstreamFailed:
        if isinstance(fault, TimeoutError):
            return UpstreamFailed("timeout", "upstream_no_data")
        if self._reset:
            return UpstreamFailed("stream_failed", "upstream_reset")
        if self._finite:
            return UpstreamFailed("stream_failed", "upstream_wrong_length")
        return UpstreamFailed("stream_failed", "upstream_eof")
