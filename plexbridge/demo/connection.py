"""One connection of the pretend provider: reads a request, answers, and sends what is due.

Knows one socket. Refuses to know what is offered at which path: it asks the provider.

Decision: callbacks and one timer, no stream objects and no tasks: a viewer who leaves is counted
out in the same turn of the loop, and no exception is left for asyncio to log.
"""

import asyncio
from http import HTTPStatus
from typing import NamedTuple, Protocol, cast

from plexbridge.demo.answers import Request, RequestRefused, answer_head, read_request
from plexbridge.demo.viewers import Viewing

_HEAD_TIMEOUT_S = 10.0
"""On loopback request and answer take milliseconds; whoever needs this long is let go."""
_UNSENT_LIMIT_BYTES = 4 * 1024 * 1024
"""Over a minute of programme: a reader so far behind has stopped reading."""


class Document(NamedTuple):
    """An answer that is whole when it is sent."""

    content_type: str
    body: bytes


class Offer(Protocol):
    """What a connection asks its provider."""

    def entered(self, connection: "Connection") -> None:
        """A connection was accepted."""
        ...

    def left(self, connection: "Connection") -> None:
        """Its socket is gone."""
        ...

    def document(self, path: str, query: str) -> Document | None:
        """What stands at a path, if it is not a live channel."""
        ...

    def is_live(self, path: str) -> bool:
        """Whether a live channel is at this path."""
        ...

    def is_down(self, path: str) -> bool:
        """Whether there is nothing to be had of a live channel at the moment."""
        ...

    def watch(self, path: str) -> Viewing:
        """Count a viewer of a live channel in."""
        ...


class Connection(asyncio.Protocol):
    """One socket: reads a request head, answers, and sends until one side has enough."""

    def __init__(self, provider: Offer) -> None:
        self._provider = provider
        self._transport: asyncio.Transport | None = None
        self._head: bytearray | None = bytearray()
        """None once the request has been read: whatever comes after it is of no interest."""
        self._timer: asyncio.TimerHandle | None = None
        self._viewing: Viewing | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted: a request is expected soon."""
        # Not checked with isinstance: uvloop's transports only quack like asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(_HEAD_TIMEOUT_S, self.abort)
        self._provider.entered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, whoever closed it."""
        # How a viewer left is not a provider's business: reset or close, the line is free again.
        self._stop_timer()
        if self._viewing is not None:
            self._viewing.leave()
            self._viewing = None
        self._provider.left(self)

    def data_received(self, data: bytes) -> None:
        """A piece of the request."""
        if self._head is None:
            return
        self._head += data
        try:
            request = read_request(bytes(self._head))
            if request is None:
                return
            self._answer(request, with_body=request.method == "GET")
        except RequestRefused as refused:
            self._send_whole(refused.status, Document("text/plain", b""), with_body=False)
        self._head = None

    def abort(self) -> None:
        """Drop the connection at once, unsent bytes and all."""
        assert self._transport is not None, "only a made connection can be dropped"
        self._transport.abort()

    def _answer(self, request: Request, *, with_body: bool) -> None:
        if self._provider.is_live(request.path):
            if self._provider.is_down(request.path):
                raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE)
            self._send_live(request.path, with_body=with_body)
            return
        document = self._provider.document(request.path, request.query)
        if document is None:
            raise RequestRefused(HTTPStatus.NOT_FOUND)
        self._send_whole(HTTPStatus.OK, document, with_body=with_body)

    def _send_whole(self, status: HTTPStatus, document: Document, *, with_body: bool) -> None:
        assert self._transport is not None, "answers follow a request"
        fields = {
            "Content-Type": document.content_type,
            "Content-Length": str(len(document.body)),
            "Cache-Control": "no-store",
        }
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            fields["Allow"] = "GET, HEAD"
        head = answer_head(status, fields)
        self._transport.write(head + document.body if with_body else head)
        self._transport.close()

    def _send_live(self, path: str, *, with_body: bool) -> None:
        assert self._transport is not None, "answers follow a request"
        fields = {"Content-Type": "video/mp2t", "Cache-Control": "no-store"}
        self._transport.write(answer_head(HTTPStatus.OK, fields))
        if not with_body:
            self._transport.close()
            return
        self._viewing = self._provider.watch(path)
        self._send_due()

    def _send_due(self) -> None:
        assert self._transport is not None, "only an open connection is sent to"
        self._stop_timer()
        if self._viewing is None or self._transport.is_closing():
            return
        if self._viewing.over:
            self._transport.close()
            return
        while (packets := self._viewing.due()) is not None:
            self._transport.write(packets)
            if self._transport.get_write_buffer_size() > _UNSENT_LIMIT_BYTES:
                self.abort()
                return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._viewing.wait_s()), self._send_due)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
