"""The pages. They show the state they were asked for, and carry it; a script keeps them live."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import orjson
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from plexbridge.bridge import Bridge
from plexbridge.tuner.device import stream_url
from plexbridge.version import __version__
from plexbridge.web import wording
from plexbridge.web.answers import ApiError

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

CHANNELS_SHOWN: Final = 200
"""Channels on the page; the whole list is `/lineup.m3u`."""


def _static_files() -> Mapping[str, tuple[bytes, str, str]]:
    """Name → (content, type, tag): read once, a handful of small files."""
    folder: Traversable = files("plexbridge.web") / "static"
    found = {}
    for file in folder.iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in TYPES:
            body = file.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            found[file.name] = (body, TYPES[suffix], tag)
    return found


class Pages:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._static = _static_files()
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
        base_url = bridge.tuner.base_url(request.scope)
        channels = [
            {"number": c.guide_number, "name": c.guide_name, "url": stream_url(base_url, c)}
            for c in bridge.lineup.channels[:CHANNELS_SHOWN]
        ]
        document: dict[str, Any] = {
            **bridge.projector.dashboard(),
            "gauges": bridge.gauges.document(),
            "told_at": bridge.clock.now() // 1_000,
        }
        page = self._templates.get_template("now.html").render(
            version=__version__,
            base_url=base_url,
            channels=channels,
            channel_count=len(bridge.lineup),
            lineup_problem=bridge.lineup_problem,
            friendly_name=bridge.settings.friendly_name,
            shown=document,
            document=orjson.dumps(document).decode(),
        )
        return HTMLResponse(page, headers=HEADERS)

    async def static(self, request: Request) -> Response:
        """`/static/{name}`."""
        found = self._static.get(request.path_params["name"])
        if found is None:
            raise ApiError(404, "not_found", "no such file")
        body, media_type, tag = found
        headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)
