"""The routes of what is recorded and how it stands: stories, history, time, events, sources,
health. Each page also as JSON."""

from typing import Any, Final

from plexbridge.bridge import Bridge
from plexbridge.web.events_page import EventsPage
from plexbridge.web.health_page import HealthPage
from plexbridge.web.history_page import HistoryPage
from plexbridge.web.rendering import Templates
from plexbridge.web.sources_page import SourcesPage
from plexbridge.web.story_page import StoryPage
from plexbridge.web.summary import Summary
from plexbridge.web.time_page import TimePage

GET: Final = ("GET", "HEAD")

Listed = tuple[str, tuple[str, ...], Any]
"""A path, how it is asked, and what answers."""


def record_routes(bridge: Bridge, templates: Templates) -> list[Listed]:
    """All of them are of the management surface; only what is asked by POST does anything."""
    story, history = StoryPage(bridge, templates), HistoryPage(bridge, templates)
    time, events = TimePage(bridge, templates), EventsPage(bridge, templates)
    sources, health = SourcesPage(bridge, templates), HealthPage(bridge, templates)
    return [
        ("/sessions/{id}", GET, story.page),
        ("/history", GET, history.page),
        ("/time", GET, time.page),
        ("/events", GET, events.page),
        ("/api/sessions/{id}/story", GET, story.document),
        ("/api/sessions/{id}/events.ndjson", GET, story.download),
        ("/api/history", GET, history.document),
        ("/api/time", GET, time.document),
        ("/sources", GET, sources.page),
        ("/status", GET, health.page),
        ("/api/guides", GET, sources.guides),
        ("/api/guides/refresh", ("POST",), sources.refresh_guides),
        ("/api/status", GET, health.document),
        ("/api/summary", GET, Summary(bridge).summary),
    ]
