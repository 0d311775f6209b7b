"""The routes of a source's options."""

from typing import Any, Final

from plexbridge.bridge import Bridge
from plexbridge.web.rendering import Templates
from plexbridge.web.source_options import SourceOptions

GET: Final = ("GET", "HEAD")

Listed = tuple[str, tuple[str, ...], Any]
"""A path, how it is asked, and what answers."""


def source_routes(bridge: Bridge, templates: Templates) -> list[Listed]:
    """All of them are of the management surface."""
    options = SourceOptions(bridge, templates)
    return [
        ("/sources/{id}", GET, options.page),
        ("/api/sources/{id}/options", GET, options.options),
        ("/api/sources/{id}/options", ("PUT",), options.change),
    ]
