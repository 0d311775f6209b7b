"""One request that was let in: its answer carries the headers that browsers are to keep to, and it
does not outlast what let it in.

A feed lasts for days. A session that ended, or a key that was revoked, ends it too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Message, Receive, Scope, Send

STILL_EVERY_S: Final = 5.0
"""How long a feed may outlast its key."""

LOGGED_OUT: Final = 4_401
"""What a WebSocket is then closed with."""

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Of every answer but a player's, unless the endpoint says otherwise. Documents are data: nothing
in them may load or run, no other site may show or embed them, no cache may keep them."""


def shielded(send: Send) -> Send:
    """`send`, with `HEADERS` in the answer's head."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            named = {name.lower() for name, _ in given}
            more = [header for header in HEADERS if header[0] not in named]
            message = {**message, "headers": given + more}
        await send(message)

    return sent


class Visit:
    """`receive` and `send` of a request that may last."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, still: Callable[[], Awaitable[bool]]
    ) -> None:
        """`still`: whether who came in still may."""
        self._gone = "websocket.disconnect" if scope["type"] == "websocket" else "http.disconnect"
        self._receive = receive
        self._send = send
        self._still = still
        self._over = False
        self._closed = False

    async def receive(self) -> Message:
        """What the client sends; its end, when it may no longer."""
        asking = asyncio.ensure_future(self._receive())
        try:
            while not asking.done():
                await asyncio.wait((asking,), timeout=STILL_EVERY_S)
                if not asking.done() and not await self._still():
                    self._over = True
                    return {"type": self._gone}
            return asking.result()
        finally:
            asking.cancel()

    async def send(self, message: Message) -> None:
        """What the endpoint sends."""
        self._closed = self._closed or message["type"] == "websocket.close"
        await self._send(message)

    async def leave(self) -> None:
        """After the endpoint: a WebSocket is told why it is over."""
        if self._over and not self._closed and self._gone == "websocket.disconnect":
            await self._send(
                {"type": "websocket.close", "code": LOGGED_OUT, "reason": "logged out"}
            )
