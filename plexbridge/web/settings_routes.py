"""The routes by which a bridge is set up and set otherwise. Each page also as JSON."""

from typing import Any, Final

from plexbridge.bridge import Bridge
from plexbridge.web.rendering import Templates
from plexbridge.web.settings_api import SettingsApi
from plexbridge.web.settings_page import SettingsPage
from plexbridge.web.setup_page import SetupPage

GET: Final = ("GET", "HEAD")

Listed = tuple[str, tuple[str, ...], Any]
"""A path, how it is asked, and what answers."""


def settings_routes(bridge: Bridge, templates: Templates) -> list[Listed]:
    """All of them are of the management surface."""
    settings, setup = SettingsApi(bridge), SetupPage(bridge, templates)
    return [
        ("/settings", GET, SettingsPage(settings, templates).page),
        ("/welcome", GET, setup.page),
        ("/api/settings", GET, settings.all),
        ("/api/settings", ("PUT",), settings.change),
        ("/api/setup", GET, setup.document),
    ]
