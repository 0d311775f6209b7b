"""`/xmltv.xml` over HTTP: in pieces, made in a thread, as fast as the player takes them.

A bare ASGI endpoint: a HEAD makes nothing, and a player that leaves or stops reading ends the work.
"""

import asyncio
import re
import zlib
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Final

import structlog
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.guide.document import document, etag, no_icon
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.store import Guide
from plexbridge.server.media import ABORT_EXTENSION

_log = structlog.get_logger(__name__)

SEND_DEADLINE_S: Final = 60.0
"""For one piece. A player that writes the guide to a slow disk pauses for some seconds."""

GZIP_LEVEL: Final = 3
"""A fifth of the size for half the time that the default takes."""

_NOTHING: Final = re.compile(r"q=0(?:\.0*)?")

Headers = list[tuple[bytes, bytes]]
Pieces = Generator[bytes, None, None]


class GuideRoute:
    """`GET|HEAD /xmltv.xml[?channels=all]`."""

    def __init__(
        self,
        guide: Callable[[], Guide],
        lineup: Callable[[], Lineup],
        base_url: Callable[[Scope], str] = lambda scope: "",
        logo: Callable[[Channel], str] = no_icon,
    ) -> None:
        """`base_url`: where this player finds us. `logo`: the path of a channel's logo there, or
        nothing."""
        self._guide = guide
        self._lineup = lineup
        self._base_url = base_url
        self._logo = logo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        guide, lineup = self._guide(), self._lineup()
        everything = request.query_params.get("channels") == "all"
        compressed = _accepts_gzip(request.headers.get("accept-encoding", ""))
        base = self._base_url(scope)
        tag = etag(guide, lineup, everything=everything, base_url=base)
        if compressed:
            tag = f'{tag[:-1]}-gzip"'
        headers = _headers(tag, compressed=compressed)
        if _matches(request.headers.get("if-none-match", ""), tag):
            await _send_head(send, 304, headers)
        elif scope["method"] == "HEAD":
            await _send_head(send, 200, headers)
        else:
            pieces = document(guide, lineup, everything=everything, icon=self._icon_at(base))
            if compressed:
                pieces = _gzipped(pieces)
            await _send_pieces(scope, receive, send, headers, pieces)

    def _icon_at(self, base_url: str) -> Callable[[Channel], str]:
        def icon(channel: Channel) -> str:
            path = self._logo(channel)
            return f"{base_url}{path}" if path else ""

        return icon


def _headers(tag: str, *, compressed: bool) -> Headers:
    headers = [
        (b"content-type", b"application/xml; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"access-control-allow-origin", b"*"),
        (b"vary", b"Accept-Encoding"),
        (b"etag", tag.encode("ascii")),
    ]
    return [*headers, (b"content-encoding", b"gzip")] if compressed else headers


def _accepts_gzip(header: str) -> bool:
    """RFC 9110, 12.5.3, as far as it says something of gzip."""
    weights: dict[str, str] = {}
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        weights[coding.strip()] = parameters.replace(" ", "")
    weight = weights.get("gzip", weights.get("*"))
    return weight is not None and _NOTHING.fullmatch(weight) is None


def _matches(header: str, tag: str) -> bool:
    """RFC 9110, 13.1.2: weakly, one of several."""
    named = {one.strip().removeprefix("W/") for one in header.split(",")}
    return tag in named or "*" in named


def _gzipped(pieces: Pieces) -> Pieces:
    packing = zlib.compressobj(GZIP_LEVEL, wbits=31)
    with closing(pieces):
        for piece in pieces:
            packed = packing.compress(piece)
            if packed:
                yield packed
    yield packing.flush()


async def _send_head(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_pieces(
    scope: Scope, receive: Receive, send: Send, headers: Headers, pieces: Pieces
) -> None:
    try:
        piece = await _next(pieces)  # before the status line: no half a document
    except GuideFault as fault:
        _log.warning("The guide in force cannot be read", why=fault.fault)
        await _send_head(send, 503, [(b"retry-after", b"60")])
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        while piece and not gone.done():
            async with asyncio.timeout(SEND_DEADLINE_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await _next(pieces)
        if not piece:
            await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        scope["extensions"][ABORT_EXTENSION]()  # it stopped reading; it comes again
    finally:
        gone.cancel()
        await asyncio.to_thread(pieces.close)


async def _next(pieces: Pieces) -> bytes:
    """The next piece; empty behind the last. Cancelled, the thread's step is waited for: only a
    generator that stands still can be let go of, and with it its files."""
    step = asyncio.ensure_future(asyncio.to_thread(next, pieces, b""))
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait((step,))
        raise


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
