"""The pages. They show the state they were asked for, and carry it; a script keeps them live."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from plexbridge.bridge import Bridge
from plexbridge.lineup.channels import Channel
from plexbridge.tuner.device import stream_url
from plexbridge.version import __version__
from plexbridge.web import wording
from plexbridge.web.answers import ApiError
from plexbridge.web.api import guide_number_asked
from plexbridge.web.channel_list import QUERY_CHARS, find
from plexbridge.web.static_files import static_files

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
"""Nothing inline, no other origin. `blob:` is the address that a browser gives to what a script
feeds a video with: a preview's."""
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

CHANNELS_SHOWN: Final = 200
"""Channels on one page: as many as a phone draws without a pause; the next ones are asked for."""


class Pages:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._static = static_files()
        self._templates = Environment(
            loader=PackageLoader("plexbridge.web", "templates"),
            autoescape=select_autoescape(default=True),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(wording.FILTERS)
        self._templates.globals.update(
            shapes=wording.SHAPES, failures=wording.FAILURES, next_step=wording.next_step
        )

    async def now(self, request: Request) -> Response:
        """`/`: who watches now."""
        bridge = self._bridge
        document: dict[str, Any] = {
            **bridge.projector.dashboard(),
            "gauges": bridge.gauges.document(),
            "told_at": bridge.clock.now() // 1_000,
        }
        first = bridge.lineup.channels[:1]
        return self._page(
            request,
            "now.html",
            first_channel=next(iter(self._rows(request, first)), None),
            shown=document,
            document=orjson.dumps(document).decode(),
        )

    async def channels(self, request: Request) -> Response:
        """`/channels[?q=&after=]`: the lineup, to look through, to copy from and to play."""
        given = request.query_params
        query = given.get("q", "").strip()[:QUERY_CHARS]
        found = await asyncio.to_thread(
            find,
            self._bridge.lineup,
            query=query,
            after=guide_number_asked(given.get("after")),
            limit=CHANNELS_SHOWN,
        )
        words = {"q": query} if query else {}
        return self._page(
            request,
            "channels.html",
            query=query,
            rows=self._rows(request, found.channels),
            matches=found.matches,
            next_page=found.next_after and urlencode({**words, "after": found.next_after}),
            first_page=urlencode(words) if given.get("after") else None,
        )

    def _page(self, request: Request, template: str, **content: Any) -> Response:
        bridge = self._bridge
        page = self._templates.get_template(template).render(
            version=__version__,
            friendly_name=bridge.settings.friendly_name,
            base_url=bridge.tuner.base_url(request.scope),
            channel_count=len(bridge.lineup),
            lineup_problem=bridge.lineup_problem,
            **content,
        )
        return HTMLResponse(page, headers=HEADERS)

    def _rows(self, request: Request, channels: Iterable[Channel]) -> list[dict[str, str]]:
        base_url = self._bridge.tuner.base_url(request.scope)
        return [
            {
                "id": channel.id,
                "number": channel.guide_number,
                "name": channel.guide_name,
                "group": channel.group,
                "initials": wording.initials(channel.guide_name),
                "url": stream_url(base_url, channel),
            }
            for channel in channels
        ]

    async def static(self, request: Request) -> Response:
        """`/static/{name}`."""
        found = self._static.get(request.path_params["name"])
        if found is None:
            raise ApiError(404, "not_found", "no such file")
        headers = {
            "ETag": found.tag,
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if request.headers.get("if-none-match") == found.tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(found.packed, media_type=found.media_type, headers=headers)
        return Response(found.body, media_type=found.media_type, headers=headers)
