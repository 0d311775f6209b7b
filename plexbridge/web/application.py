"""The application: one table of routes, each behind the door of its surface."""

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from plexbridge.bridge import Bridge
from plexbridge.tuner.routes import player_routes
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.api import Api
from plexbridge.web.guard import Guard
from plexbridge.web.health import Health
from plexbridge.web.metrics import Metrics
from plexbridge.web.pages import Pages
from plexbridge.web.streams import LiveEvents, LiveSockets
from plexbridge.web.table import RouteSpec, Surface

GET = ("GET", "HEAD")


def route_table(bridge: Bridge) -> list[RouteSpec]:
    """Every route there is."""
    api, health, pages = Api(bridge), Health(bridge), Pages(bridge)
    gauges = bridge.gauges.document
    sockets = LiveSockets(
        bridge.feed, gauges, end_on_error=bridge.settings.websocket_error_handling_disabled
    )
    players = [_spec(route) for route in player_routes(bridge.tuner)]
    opened = [
        ("/livez", GET, health.live),
        ("/readyz", GET, health.ready),
        ("/health", GET, health.health),
        ("/metrics", GET, Metrics(bridge).metrics),
        ("/static/{name}", GET, pages.static),
    ]
    management = [
        ("/", GET, pages.now),
        ("/channels", GET, pages.channels),
        ("/api/dashboard", GET, api.dashboard),
        ("/api/sessions", GET, api.sessions),
        ("/api/sessions", ("DELETE",), api.end_sessions),
        ("/api/sessions/{id}", GET, api.session),
        ("/api/sessions/{id}", ("DELETE",), api.end_session),
        ("/api/sessions/{id}/events", GET, api.session_events),
        ("/api/sessions/{id}/disconnect", ("POST",), api.disconnect_session),
        ("/api/channels", GET, api.channels),
        ("/api/events", ("GET",), api.events),
        ("/api/live", ("GET",), LiveEvents(bridge.feed, gauges)),
        ("/api/log/head", GET, api.head),
        ("/ws", ("WS",), sockets.serve),
    ]
    return [
        *players,
        *(RouteSpec(path, methods, Surface.OPEN, answer) for path, methods, answer in opened),
        *(RouteSpec(path, ways, Surface.MANAGEMENT, answer) for path, ways, answer in management),
    ]


def _spec(route: BaseRoute) -> RouteSpec:
    assert isinstance(route, Route), "players are answered over HTTP"
    methods = tuple(sorted(route.methods or ()))
    return RouteSpec(route.path, methods, Surface.PLAYERS, route.endpoint)


def build_app(bridge: Bridge) -> Starlette:
    """The ASGI application."""
    key = bridge.settings.admin_key
    guard = Guard(
        trusted=bridge.settings.trusted_networks,
        admin_key=None if key is None else key.get_secret_value(),
        base_url=bridge.settings.base_url,
    )
    routes: list[BaseRoute] = []
    for spec in route_table(bridge):
        route = spec.route()
        assert isinstance(route, Route | WebSocketRoute), "the table holds nothing else"
        route.app = guard.guarded(spec.surface, route.app)
        routes.append(route)
    handlers: dict[Any, Any] = {ApiError: _api_error, HTTPException: _http_error}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False  # a redirect would be an answer from before the door
    return app


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError), "registered for these"
    return json_answer(error.document, error.status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for these"
    document = {"error": "not_found" if error.status_code == 404 else "refused"}
    headers = dict(error.headers or {})
    return json_answer({**document, "detail": error.detail}, error.status_code, **headers)
