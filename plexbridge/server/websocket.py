"""uvicorn's WebSocket protocol, whose connections can be ended at once.

Rests on internals of uvicorn 0.54.0, as `protocol` does.
"""

from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from plexbridge.server.aborting import abort_transport
from plexbridge.server.media import ABORT_EXTENSION
from plexbridge.server.places import Place


class WebSocket(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    place: Place | None = None
    """Left when the connection ends; set by the HTTP connection it began as."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who uses the connection."""
        if self.place is not None:
            self.place.leave()
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Give the application its way to end the connection; its task starts in the next turn."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # none after a handshake that was refused
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions[ABORT_EXTENSION] = self.abort_now

    def keepalive_timeout(self) -> None:
        """A ping went unanswered: uvicorn's close would wait for a buffer nobody empties."""
        super().keepalive_timeout()
        self.abort_now()

    def abort_now(self) -> None:
        """Free the connection in the loop's next turn, whatever is unsent. May be called again."""
        abort_transport(self.transport)
