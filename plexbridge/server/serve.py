"""The server's life: what it is set up with, when draining begins, how it ends.

Knows signals and uvicorn. Starting and stopping the bridge's parts is the composition root's.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import structlog
import uvicorn

from plexbridge.server.acceptor import Acceptor
from plexbridge.server.config import EdgeConfig, EdgeLimits
from plexbridge.server.descriptors import (
    CONNECTIONS_MAX,
    connections_allowed,
    descriptor_limit,
    descriptors_open,
)
from plexbridge.server.listener import BACKLOG
from plexbridge.server.places import Place, Places
from plexbridge.server.protocol import Http
from plexbridge.server.websocket import WebSocket

_log = structlog.get_logger(__name__)

DRAIN_BACKSTOP_S = 5
"""For connections and requests to end by themselves after a signal; then they are cancelled. Below
the 10 s that container engines wait before they kill."""

CANCELLED_REQUESTS_S = 1.0
"""For cancelled requests to run their `finally`: sessions are released there, and the log closes
after us."""

WEBSOCKET_MESSAGE_BYTES = 64 * 1024
"""Largest message a dashboard may send: it only names rooms."""


def build_config(app: Any, *, version: str, limits: EdgeLimits | None = None) -> EdgeConfig:
    """uvicorn's configuration for the ASGI 3 application `app`.

    No lifespan: what must happen at the end must not hang on it. No proxy headers: whoever sends
    them would choose their own address. uvicorn's messages below a warning are off, for they show
    paths with their queries, and a query may hold a key.
    """
    return EdgeConfig(
        app,
        limits=limits or EdgeLimits(),
        http=Http,
        ws=WebSocket,
        ws_max_size=WEBSOCKET_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # a compressor per dashboard costs more than a home's LAN
        interface="asgi3",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=True,
        headers=[("Server", f"PlexBridge/{version}")],
        backlog=BACKLOG,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_BACKSTOP_S,
    )


class CancelledRequests(logging.Filter):
    """Drops, and counts, uvicorn's tracebacks for requests that were cancelled: cancelling is how
    draining ends what did not end by itself, no error of the application."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a cancelled request's traceback."""
        cancelled = (
            record.exc_info is not None
            and isinstance(record.exc_info[1], asyncio.CancelledError)
            and record.getMessage().startswith("Exception in ASGI application")
        )
        self.dropped += cancelled
        return not cancelled


class Server(uvicorn.Server):
    """Serves until a signal or `stop`, drains, returns: the process may then end with 0."""

    def __init__(
        self, config: EdgeConfig, *, on_draining: Callable[[], None], upstreams: int = 4
    ) -> None:
        """`on_draining` is called once, on the loop, when no more is to be begun: at the signal,
        before uvicorn waits for anyone, so that sessions are ended by their owner, not cut.
        `upstreams`: as many as may be open at once; descriptors are kept free for them."""
        super().__init__(config)
        self._limits = config.limits
        self._upstreams = upstreams
        self.quiet = CancelledRequests()
        self._on_draining = on_draining
        self._draining = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on listening `sockets` (see `open_listener`), which are closed at the end."""
        self._loop = asyncio.get_running_loop()
        uvicorn_log = logging.getLogger("uvicorn.error")
        uvicorn_log.addFilter(self.quiet)
        try:
            await super().serve(sockets)
        finally:
            uvicorn_log.removeFilter(self.quiet)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, with a place for each connection. uvicorn would let the loop accept,
        which takes more than there are descriptors for."""
        assert sockets, "the listening socket is opened by the caller"
        total = self._limits.connections or self._total_allowed()
        self.places = Places(total=total, per_address=self._limits.connections_per_address)
        self.servers = [Acceptor(sock, self.places, self._connection) for sock in sockets]  # type: ignore[misc]
        self.started = True

    def _connection(self, place: Place) -> Http:
        connection = Http(self.config, self.server_state, {}, self._loop)
        connection.place = place
        return connection

    def _total_allowed(self) -> int:
        limit = descriptor_limit()
        if limit is None:
            return CONNECTIONS_MAX
        open_now = descriptors_open()
        total = connections_allowed(limit, open_now=open_now, upstreams=self._upstreams)
        enough = open_now + total + self._upstreams <= limit
        (_log.info if enough else _log.warning)(
            "Connections are bounded by file descriptors"
            if enough
            else "Too few file descriptors: raise the limit of open files (ulimit -n)",
            connections=total,
            descriptors=limit,
            open=open_now,
            tuners=self._upstreams,
        )
        return total

    def stop(self) -> None:
        """Begin to drain; on the loop. What a signal does."""
        self.should_exit = True
        self._drain()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT, the first or a later one: drain, at most for the backstop.

        uvicorn would keep the signal and raise it again after the drain, which turns an orderly
        end into exit status 143.
        """
        assert self._loop is not None, "signals are captured while serving"
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._drain)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain; then free what is left, and let cancelled requests run to their end."""
        self._drain()
        await super().shutdown(sockets)
        tasks = list(self.server_state.tasks)
        for connection in list(self.server_state.connections):
            assert isinstance(connection, Http | WebSocket)
            connection.abort_now()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCELLED_REQUESTS_S)

    def _drain(self) -> None:
        if not self._draining:
            self._draining = True
            self._on_draining()
