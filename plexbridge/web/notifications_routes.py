"""The routes of notifications: the page, and what it and programs ask."""

from typing import Any, Final

from plexbridge.bridge import Bridge
from plexbridge.web.notifications_api import NotificationsApi
from plexbridge.web.notifications_page import NotificationsPage
from plexbridge.web.rendering import Templates

GET: Final = ("GET", "HEAD")

Listed = tuple[str, tuple[str, ...], Any]
"""A path, how it is asked, and what answers."""


def notifications_routes(bridge: Bridge, templates: Templates) -> list[Listed]:
    """All of them are of the management surface; only an admin adds, changes, removes and tries."""
    api = NotificationsApi(bridge)
    return [
        ("/notifications", GET, NotificationsPage(bridge, templates).page),
        ("/api/notifications", GET, api.all),
        ("/api/notifications", ("POST",), api.add),
        ("/api/notifications/{id}", ("PUT",), api.choose),
        ("/api/notifications/{id}", ("DELETE",), api.remove),
        ("/api/notifications/{id}/test", ("POST",), api.test),
    ]
