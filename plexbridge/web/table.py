"""Every route stands in one table, with the surface it belongs to and the role it takes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from starlette.routing import BaseRoute, Route, WebSocketRoute

from plexbridge.web.access.roles import Role

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
"""They change nothing, on any route."""

WEBSOCKET: Final = "WS"


class Surface(StrEnum):
    """Who a route answers."""

    PLAYERS = "players"
    """Trusted networks, no login."""
    OPEN = "open"
    """Trusted networks, no login: health, metrics and the pages' files."""
    ENTRANCE = "entrance"
    """Trusted networks, no login, by a name of ours: logging in and out, the first password."""
    MANAGEMENT = "management"
    """Who shows a credential, or is on this machine while no password is set; by a name of ours."""


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A path, how it is asked, whom it answers, and what answers."""

    path: str
    methods: tuple[str, ...]
    """`WS` for a WebSocket."""
    surface: Surface
    endpoint: Any

    @property
    def role(self) -> Role | None:
        """On the management surface: a viewer reads, an admin acts. Reading is what the methods
        say, for nothing changes by GET; a WebSocket only tells."""
        if self.surface is not Surface.MANAGEMENT:
            return None
        reads = SAFE_METHODS.issuperset(self.methods) or self.methods == (WEBSOCKET,)
        return Role.VIEWER if reads else Role.ADMIN

    def route(self) -> BaseRoute:
        """As the router takes it."""
        if self.methods == (WEBSOCKET,):
            return WebSocketRoute(self.path, self.endpoint)
        return Route(self.path, self.endpoint, methods=list(self.methods))
