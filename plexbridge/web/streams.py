"""The two adapters over the feed: server-sent events, and a WebSocket with the seed's rooms."""

import asyncio
import re
from contextlib import aclosing
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from plexbridge.server.media import ABORT_EXTENSION
from plexbridge.web.feed import Feed, Gauges, kind_of

SEND_DEADLINE_S: Final = 10.0
"""A subscriber that takes nothing for this long is cut off; it resumes by its last position."""

RETRY_MS: Final = 2_000
"""What a browser waits before it connects again."""

STREAMING: Final = "streaming"
METRICS: Final = "metrics"
ROOMS: Final = frozenset({STREAMING, METRICS})

_DIGITS: Final = re.compile(r"[0-9]{1,18}")
"""Whatever the log can hold as a position; more would overflow it."""


class LiveEvents:
    """`GET /api/live`: a bare ASGI endpoint, so that its end is our own `finally`. The gauges are
    its heartbeat."""

    def __init__(self, feed: Feed, gauges: Gauges) -> None:
        self._feed = feed
        self._gauges = gauges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        last = request.headers.get("last-event-id") or request.query_params.get("after")
        after = _position(last)
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache, no-transform"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "HEAD":  # else nobody could ask anything more on its connection
            await send({"type": "http.response.body", "body": b""})
            return
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await self._tell(after, send, gone)
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError as error:
            self._feed.failed(error, "live")
            scope["extensions"][ABORT_EXTENSION]()
        finally:
            gone.cancel()

    async def _tell(self, after: int | None, send: Send, gone: "asyncio.Future[None]") -> None:
        await _send(send, f"retry: {RETRY_MS}\n\n".encode())
        async with aclosing(self._feed.follow(after, self._gauges, gone)) as following:
            async for position, event in following:
                if gone.done():
                    return
                await _send(send, _message(position, event))


def _position(text: str | None) -> int | None:
    """Where a subscriber goes on; None, which is from now on, for what is no position."""
    return int(text) if text is not None and _DIGITS.fullmatch(text) else None


def _message(position: int | None, told: dict[str, Any]) -> bytes:
    kind, body = kind_of(position, told), orjson.dumps(told)
    place = b"" if position is None else b"id: %d\n" % position
    name = b"" if kind == "event" else b"event: %b\n" % kind.encode()
    return b"%b%bdata: %b\n\n" % (place, name, body)


async def _send(send: Send, body: bytes) -> None:
    async with asyncio.timeout(SEND_DEADLINE_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while True:
        message: Message = await receive()
        if message["type"] in ("http.disconnect", "websocket.disconnect"):
            return


class LiveSockets:
    """`/ws?rooms=streaming,metrics`: recorded events in one room, gauges in the other."""

    def __init__(self, feed: Feed, gauges: Gauges, *, end_on_error: bool) -> None:
        """`end_on_error` (`WEBSOCKET_ERROR_HANDLING_DISABLED`): the first failed emission ends this
        feed for all, with its error; otherwise it is counted and one subscriber is lost."""
        self._feed = feed
        self._gauges = gauges
        self._end_on_error = end_on_error
        self._ended_by: str | None = None

    async def serve(self, socket: WebSocket) -> None:
        """One subscriber, from its handshake to its end."""
        rooms = set(socket.query_params.get("rooms", STREAMING).split(","))
        await socket.accept()
        if not rooms <= ROOMS:
            await socket.close(4400, f"rooms are {', '.join(sorted(ROOMS))}")
            return
        last = socket.query_params.get("after")
        after = _position(last)
        gone = asyncio.ensure_future(_until_gone(socket.receive))
        try:
            await self._tell(socket, rooms, after, gone)
            if not gone.done():
                await socket.close(1011 if self._ended_by else 1012, self._ended_by or "stopping")
        except WebSocketDisconnect:
            return
        finally:
            gone.cancel()

    async def _tell(
        self, socket: WebSocket, rooms: set[str], after: int | None, gone: "asyncio.Future[None]"
    ) -> None:
        wanted = self._gauges if METRICS in rooms else None
        async with aclosing(self._feed.follow(after, wanted, gone)) as following:
            async for position, event in following:
                if gone.done() or self._ended_by is not None:
                    return
                if position is not None and STREAMING not in rooms:
                    continue
                if not await self._emit(socket, position, event):
                    return

    async def _emit(self, socket: WebSocket, position: int | None, event: dict[str, Any]) -> bool:
        kind = kind_of(position, event)
        name = str(event["type"]) if kind == "event" else kind
        try:
            async with asyncio.timeout(SEND_DEADLINE_S):
                body = orjson.dumps({"id": position, "event": kind, "data": event})
                await socket.send_text(body.decode())
        except WebSocketDisconnect:
            raise  # it left: no failure of ours
        except (TimeoutError, RuntimeError, OSError) as error:
            self._feed.failed(error, name)
            if self._end_on_error:
                self._ended_by = f"{name}: {error!r}"[:100]
            socket.scope["extensions"][ABORT_EXTENSION]()
            return False
        self._feed.emitted(name)
        return True
