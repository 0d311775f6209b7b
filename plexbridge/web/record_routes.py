"""The routes of what is recorded: stories, history, time, events. Each page also as JSON."""

from typing import Any, Final

from plexbridge.bridge import Bridge
from plexbridge.web.events_page import EventsPage
from plexbridge.web.history_page import HistoryPage
from plexbridge.web.rendering import Templates
from plexbridge.web.story_page import StoryPage
from plexbridge.web.time_page import TimePage

GET: Final = ("GET", "HEAD")

Listed = tuple[str, tuple[str, ...], Any]
"""A path, how it is asked, and what answers."""


def record_routes(bridge: Bridge, templates: Templates) -> list[Listed]:
    """All of them are of the management surface, and only tell."""
    story, history = StoryPage(bridge, templates), HistoryPage(bridge, templates)
    time, events = TimePage(bridge, templates), EventsPage(bridge, templates)
    return [
        ("/sessions/{id}", GET, story.page),
        ("/history", GET, history.page),
        ("/time", GET, time.page),
        ("/events", GET, events.page),
        ("/api/sessions/{id}/story", GET, story.document),
        ("/api/sessions/{id}/events.ndjson", GET, story.download),
        ("/api/history", GET, history.document),
        ("/api/time", GET, time.document),
    ]
