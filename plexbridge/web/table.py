"""Every route stands in one table, with the surface it belongs to."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from starlette.routing import BaseRoute, Route, WebSocketRoute


class Surface(StrEnum):
    """Who a route answers."""

    PLAYERS = "players"
    """Trusted networks, no login."""
    OPEN = "open"
    """Trusted networks, no login: health and metrics."""
    MANAGEMENT = "management"
    """This machine, or who has the admin key."""


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A path, how it is asked, whom it answers, and what answers."""

    path: str
    methods: tuple[str, ...]
    """`WS` for a WebSocket."""
    surface: Surface
    endpoint: Any

    def route(self) -> BaseRoute:
        """As the router takes it."""
        if self.methods == ("WS",):
            return WebSocketRoute(self.path, self.endpoint)
        return Route(self.path, self.endpoint, methods=list(self.methods))
