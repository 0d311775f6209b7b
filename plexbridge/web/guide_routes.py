"""The routes of the programme guide: its page, and the same for programs."""

from typing import Any, Final

from plexbridge.bridge import Bridge
from plexbridge.web.guide_api import GuideApi
from plexbridge.web.guide_page import GuidePage
from plexbridge.web.rendering import Templates

GET: Final = ("GET", "HEAD")

Listed = tuple[str, tuple[str, ...], Any]
"""A path, how it is asked, and what answers."""


def guide_routes(bridge: Bridge, templates: Templates) -> list[Listed]:
    """All of them are of the management surface; only what is asked by PUT does anything."""
    api = GuideApi(bridge)
    return [
        ("/guide", GET, GuidePage(bridge, templates, api).page),
        ("/api/guide", GET, api.window),
        ("/api/guide/{id}", GET, api.channel),
        ("/api/guide/{id}", ("PUT",), api.map),
        ("/api/guide/{id}/programme", GET, api.programme),
        ("/api/guide/{id}/candidates", GET, api.candidates),
    ]
