"""uvicorn's HTTP protocol with deadlines, bounds and the way to a stream's own connection.

Rests on internals of uvicorn 0.54.0 (pinned exactly; `tests/service/test_server_edge*.py` are the
gate of an upgrade). Knows connections and requests, nothing of what is served on them.
"""

import asyncio
from enum import Enum, auto
from typing import Any, cast

from uvicorn._types import (
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseStartEvent,
    Scope,
)
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from plexbridge.server.aborting import abort_transport
from plexbridge.server.addresses import plain_address
from plexbridge.server.config import EdgeConfig
from plexbridge.server.media import (
    ABORT_EXTENSION,
    MEDIA_EXTENSION,
    LostHow,
    MediaConnection,
    how_lost,
)
from plexbridge.server.places import Place
from plexbridge.server.websocket import WebSocket


class _Phase(Enum):
    """What the client is expected to send."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()
    """A whole request was read; the next one may come when it likes, within keep-alive's time."""
    DROPPED = auto()
    """A stream has the connection; whatever comes is dropped."""


class Http(HttpToolsProtocol):
    """One client connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert isinstance(config, EdgeConfig), "our protocol needs our limits"
        self.limits = config.limits
        self.how: LostHow | None = None
        """How the client ended the connection, once it did."""
        self.gone = False
        """Whether the socket is closed: its number may be another connection's already."""
        self.place: Place | None = None
        """Left when the connection ends."""
        self._inner_app = self.app
        self.app = self._answer
        self._phase = _Phase.NOTHING
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None
        self._media: MediaConnection | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first head."""
        super().connection_made(transport)
        if self.client is not None:
            self.client = (plain_address(self.client[0]), self.client[1])
        if self.server is not None:
            self.server = (plain_address(self.server[0]), self.server[1])
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Parse, unless a stream has the connection; then look at the bounds."""
        if self._phase is _Phase.DROPPED:
            return
        if self._phase is _Phase.NOTHING and self._answered():
            self._expect_head()  # even a stray line end has stopped the keep-alive timer
        super().data_received(data)
        # After parsing, for the head may end and a body begin in the same read.
        if self._phase is _Phase.HEAD:
            self._head_bytes += len(data)
        too_long = self._phase is _Phase.HEAD and self._head_bytes > self.limits.head_bytes
        if too_long or len(self.pipeline) > self.limits.pipelined_requests:
            self.pipeline.clear()
            self.abort_now()

    def on_message_begin(self) -> None:
        """A request begins; behind a running response nobody else starts its deadline."""
        super().on_message_begin()
        if self._phase is _Phase.NOTHING:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Give the request its two ways to the connection; its task starts in the next turn."""
        self._stop_deadline()
        self._phase = _Phase.BODY
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.scope is self.scope:  # else: a WebSocket's head
            self._start_deadline(self.limits.body_deadline_s)
            media = MediaConnection(self, self.cycle)
            extensions = {MEDIA_EXTENSION: media, ABORT_EXTENSION: self.abort_now}
            self.scope["extensions"] = cast(dict[str, dict[object, object]], extensions)

    def on_message_complete(self) -> None:
        """The request was read whole."""
        self._stop_deadline()
        self._phase = _Phase.NOTHING
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, with its place."""
        super().handle_websocket_upgrade()
        heir = cast(object, self.transport.get_protocol())
        assert isinstance(heir, WebSocket), "our own is configured"
        heir.place, self.place = self.place, None

    def send_400_response(self, msg: str) -> None:
        """Answer nonsense, unless that would put an answer into the middle of another."""
        if self._answered():
            super().send_400_response(msg)
        else:
            self.abort_now()

    def eof_received(self) -> None:
        """A client that closed its sending side is leaving. uvicorn's way, `transport.close()`,
        would wait for the buffer of one that no longer reads."""
        if self.how is None:
            self.how = LostHow.CLIENT_CLOSED
        if self._media is not None:
            self.abort_now()
            self._media.connection_ended(self.how, flushed=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who uses the connection."""
        self.gone = True
        if self.place is not None:
            self.place.leave()
        self._stop_deadline()
        self._mark_disconnected()
        super().connection_lost(exc)
        if self.how is None:
            self.how = how_lost(exc)
        if self._media is not None:
            self._media.connection_ended(self.how, flushed=exc is None)

    def resume_writing(self) -> None:
        """The buffer is empty enough."""
        super().resume_writing()
        if self._media is not None:
            self._media.writing_resumed()

    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """`Date`, renewed each second, and `Server`."""
        return self.server_state.default_headers

    def take_over(self, media: MediaConnection) -> None:
        """Leave the connection to one response. Reading goes on, for only a reader sees FIN."""
        self._media = media
        self._stop_deadline()
        self._phase = _Phase.DROPPED
        self.pipeline.clear()
        media.cycle.keep_alive = False
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def abort_now(self) -> None:
        """Free the connection in the loop's next turn, whatever is unsent. May be called again."""
        if self._media is not None:
            self._media.freeze()
        self._mark_disconnected()
        abort_transport(self.transport)

    def close_flushed(self) -> None:
        """Send what is buffered, then FIN; for a bounded time."""
        self.transport.close()
        if not self.gone:
            self._start_deadline(self.limits.flush_deadline_s)

    async def _answer(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """The application, as each request of this connection meets it."""
        extensions = cast(dict[str, Any], scope.get("extensions"))
        media: MediaConnection = extensions[MEDIA_EXTENSION]
        self._answering = media.cycle
        if media.cycle.scope["http_version"] != "1.1":
            send = _CloseDelimited(media.cycle).send
        try:
            await self._inner_app(scope, receive, send)
        except BaseException:
            media.give_up()  # uvicorn logs it, then would wait for the player to read the rest
            raise

    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _mark_disconnected(self) -> None:
        # uvicorn marks the request parsed last; behind a pipelined one the running one would
        # never hear of the end.
        for cycle in (self._answering, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _expect_head(self) -> None:
        self._phase = _Phase.HEAD
        self._head_bytes = 0
        self._start_deadline(self.limits.head_deadline_s)

    def _start_deadline(self, seconds: float) -> None:
        self._stop_deadline()
        self._deadline = self.loop.call_later(seconds, self.abort_now)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _CloseDelimited:
    """`send` for clients older than HTTP/1.1, which know no chunks: a body without a length ends
    with the connection (uvicorn closes it after each of their requests)."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._unframed = False
        cycle.keep_alive = False

    async def send(self, message: ASGISendEvent) -> None:
        """Like the cycle's own."""
        if message["type"] == "http.response.start":
            headers = [
                (name, value)
                for name, value in message.get("headers", ())
                if name.lower() != b"transfer-encoding"
            ]
            self._unframed = all(name.lower() != b"content-length" for name, _ in headers)
            if self._unframed:
                self._cycle.chunked_encoding = False
            message = cast(HTTPResponseStartEvent, {**message, "headers": headers})
        elif message["type"] == "http.response.body" and self._unframed:
            # uvicorn holds an unchunked body to its announced length: announce each piece.
            self._cycle.expected_content_length = len(message.get("body", b""))
        await self._cycle.send(message)
