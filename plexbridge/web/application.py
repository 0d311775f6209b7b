"""The application: one table of routes, each behind the door of its surface."""

from http import HTTPStatus
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, WebSocketRoute

from plexbridge.bridge import Bridge
from plexbridge.control.building import BeingBuilt
from plexbridge.tuner.routes import player_routes
from plexbridge.web.access.credentials import Credentials
from plexbridge.web.access.entrance import Entrance
from plexbridge.web.access.entrance_pages import EntrancePages
from plexbridge.web.access.forwarding import Forwarding
from plexbridge.web.access.names import OwnNames
from plexbridge.web.access.refusals import Telling
from plexbridge.web.access.visit import HEADERS
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.api import Api
from plexbridge.web.audit_api import AuditApi
from plexbridge.web.being_built import Waiting
from plexbridge.web.channels_api import ChannelsApi
from plexbridge.web.channels_page import ChannelsPage
from plexbridge.web.guard import Guard
from plexbridge.web.guide_routes import guide_routes
from plexbridge.web.health import Health
from plexbridge.web.metrics import Metrics
from plexbridge.web.notifications_routes import notifications_routes
from plexbridge.web.openapi import OpenApi, documented_path
from plexbridge.web.pages import Pages
from plexbridge.web.record_routes import record_routes
from plexbridge.web.rendering import Templates
from plexbridge.web.settings_routes import settings_routes
from plexbridge.web.source_routes import source_routes
from plexbridge.web.sources_api import SourcesApi
from plexbridge.web.streams import LiveEvents, LiveSockets
from plexbridge.web.table import RouteSpec, Surface

GET = ("GET", "HEAD")

_WORDS: Final = {404: "not_found", 405: "method_not_allowed"}
_UNSEEN: Final = {
    name.decode(): text.decode() for name, text in HEADERS if name != b"cache-control"
}
"""What shields answers that no door gave; they are JSON, which says by itself not to keep it."""


def route_table(bridge: Bridge, entrance: Entrance) -> list[RouteSpec]:
    """Every route there is."""
    table: list[RouteSpec] = []
    api, health, templates = Api(bridge), Health(bridge), Templates(bridge)
    pages, channels = Pages(bridge, templates), ChannelsApi(bridge)
    sources, gauges = SourcesApi(bridge), bridge.gauges.document
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
    entered = _entrance_routes(entrance)
    management = [
        ("/", GET, pages.now),
        ("/channels", GET, ChannelsPage(bridge, templates).page),
        *record_routes(bridge, templates),
        *settings_routes(bridge, templates),
        *guide_routes(bridge, templates),
        *source_routes(bridge, templates),
        *notifications_routes(bridge, templates),
        ("/api/dashboard", GET, api.dashboard),
        ("/api/sessions", GET, api.sessions),
        ("/api/sessions", ("DELETE",), api.end_sessions),
        ("/api/sessions/{id}", GET, api.session),
        ("/api/sessions/{id}", ("DELETE",), api.end_session),
        ("/api/sessions/{id}/events", GET, api.session_events),
        ("/api/sessions/{id}/disconnect", ("POST",), api.disconnect_session),
        ("/api/channels", GET, channels.channels),
        ("/api/channels/groups", GET, channels.groups),
        ("/api/channels/bulk", ("POST",), channels.bulk),
        ("/api/channels/undo", GET, channels.last_change),
        ("/api/channels/undo", ("POST",), channels.take_back),
        ("/api/channels/{id}", GET, channels.channel),
        ("/api/channels/{id}", ("PUT",), channels.edit),
        ("/api/sources", GET, sources.all),
        ("/api/sources/{id}/refresh", ("POST",), sources.refresh),
        ("/api/events", ("GET",), api.events),
        ("/api/live", ("GET",), LiveEvents(bridge.feed, gauges)),
        ("/api/log/head", GET, api.head),
        ("/api/audit/live", GET, AuditApi(bridge).live),
        ("/api/openapi.json", GET, OpenApi(table).document),
        ("/api/access/password", ("POST",), entrance.change_password),
        ("/api/access/link", ("POST",), entrance.new_link),
        ("/ws", ("WS",), sockets.serve),
    ]
    table += [
        *players,
        *(RouteSpec(path, methods, Surface.OPEN, answer) for path, methods, answer in opened),
        *(RouteSpec(path, ways, Surface.ENTRANCE, answer) for path, ways, answer in entered),
        *(RouteSpec(path, ways, Surface.MANAGEMENT, answer) for path, ways, answer in management),
    ]
    return table


def _entrance_routes(entrance: Entrance) -> list[tuple[str, tuple[str, ...], Any]]:
    return [
        ("/access", GET, entrance.state),
        ("/login", GET, entrance.login_page),
        ("/login", ("POST",), entrance.log_in),
        ("/logout", ("POST",), entrance.log_out),
        ("/setup", GET, entrance.setup_page),
        ("/setup", ("POST",), entrance.set_first_password),
    ]


def _spec(route: BaseRoute) -> RouteSpec:
    assert isinstance(route, Route), "players are answered over HTTP"
    methods = tuple(sorted(route.methods or ()))
    return RouteSpec(route.path, methods, Surface.PLAYERS, route.endpoint)


def build_app(bridge: Bridge, credentials: Credentials) -> Starlette:
    """The ASGI application."""
    settings = bridge.settings
    pages = EntrancePages(lambda: bridge.settings.friendly_name)
    # A browser keeps cookies by host, not by port: two bridges on one host need two names.
    cookie = f"plexbridge_{bridge.tuner.device.device_id}"
    guard = Guard(
        trusted=settings.trusted_networks,
        credentials=credentials,
        names=OwnNames(allowed_hosts=settings.allowed_hosts, base_url=settings.base_url),
        cookie=cookie,
        telling=Telling(pages),
    )
    routes: list[BaseRoute] = []
    for spec in route_table(bridge, Entrance(credentials, pages, cookie=cookie)):
        route = spec.route()
        assert isinstance(route, Route | WebSocketRoute), "the table holds nothing else"
        players = spec.surface is Surface.PLAYERS
        app = bridge.askings.noting(documented_path(spec.path), route.app) if players else route.app
        route.app = guard.guarded(spec, app)
        routes.append(route)
    handlers: dict[Any, Any] = {
        ApiError: _api_error,
        BeingBuilt: Waiting(Templates(bridge)).answer,
        HTTPException: _http_error,
        Exception: _our_fault,
    }
    before = Middleware(
        Forwarding, trusted_proxies=settings.trusted_proxies, base_path=settings.base_path
    )
    app = Starlette(routes=routes, exception_handlers=handlers, middleware=[before])
    app.router.redirect_slashes = False  # a redirect would be an answer from before the door
    return app


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError), "registered for these"
    return json_answer(error.document, error.status, **error.headers)


async def _http_error(request: Request, error: Exception) -> Response:
    """What no route answers, or not by that method."""
    assert isinstance(error, HTTPException), "registered for these"
    word = _WORDS.get(error.status_code, "refused")
    headers = {**_UNSEEN, **(error.headers or {})}
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)  # the router names those of one route alone
    document = {"error": word, "detail": error.detail}
    return json_answer(document, error.status_code, **headers)


def _allowed(request: Request) -> str:
    """The methods of every route with this path (RFC 9110, 15.5.6)."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


async def _our_fault(request: Request, error: Exception) -> Response:
    """An endpoint raised. The server logs it; nothing of it is told."""
    detail = "this is a fault of the bridge; its log has more"
    return json_answer({"error": "internal", "detail": detail}, 500, **_UNSEEN)
