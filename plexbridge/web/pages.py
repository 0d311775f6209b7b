"""The pages. They show the state they were asked for, and carry it; a script keeps them live."""

from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from plexbridge.bridge import Bridge
from plexbridge.web.answers import ApiError
from plexbridge.web.channels_page import channel_rows
from plexbridge.web.rendering import Templates
from plexbridge.web.static_files import static_files


class Pages:
    """The endpoints."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates
        self._static = static_files()

    async def now(self, request: Request) -> Response:
        """`/`: who watches now; `?at=`: who did then, which is the page of time."""
        if "at" in request.query_params:
            return RedirectResponse(f"time?{urlencode({'at': request.query_params['at']})}", 303)
        bridge = self._bridge
        document: dict[str, Any] = {
            **bridge.projector.dashboard(),
            "gauges": bridge.gauges.document(),
            "told_at": bridge.clock.now() // 1_000,
        }
        first = bridge.lineup.channels[:1]
        base_url = bridge.tuner.base_url(request.scope)
        return self._templates.page(
            request,
            "now.html",
            first_channel=next(iter(channel_rows(first, base_url, {})), None),
            shown=document,
            document=orjson.dumps(document).decode(),
        )

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
