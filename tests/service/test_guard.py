"""Who may ask what: every route of the table, by surface, peer, `Host` and `Origin`."""

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from plexbridge.bridge import Bridge, Grounds
from plexbridge.data_dir import LOG_FILE
from plexbridge.installation import load_installation
from plexbridge.log.sqlite import SqliteLog
from plexbridge.settings import load_settings
from plexbridge.web.application import build_app, route_table
from plexbridge.web.guard import Guard
from plexbridge.web.table import RouteSpec, Surface

KEY = "a-key-of-the-right-length"
LOOPBACK, HOME, ELSEWHERE = "127.0.0.1", "192.168.1.9", "203.0.113.7"
OWN = {"host": "127.0.0.1:5004"}
PLACEHOLDERS = {"{id}": "0" * 26, "{name}": "now.js", "{asked:path}": "v1", "{tuner:int}": "0"}

EXPECTED = {
    Surface.OPEN: {"/livez", "/readyz", "/health", "/metrics", "/static/{name}"},
    Surface.PLAYERS: {
        *("/discover.json", "/lineup_status.json", "/lineup.json", "/lineup.xml", "/lineup.m3u"),
        *("/status.json", "/device.xml", "/lineup.post", "/auto/{asked:path}"),
        *("/tuner{tuner:int}/{asked:path}", "/streams/preview/{id}", "/stream/{id}"),
    },
}
"""Whatever is not named here is on the management surface."""


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    """Started, without a listener."""
    environment = {"PLEXBRIDGE_DATA_DIR": str(tmp_path), "PLEXBRIDGE_ADMIN_KEY": KEY}
    settings = load_settings({}, environment)
    installation = load_installation(tmp_path, os.urandom)
    made = Bridge(Grounds(settings, SqliteLog(tmp_path / LOG_FILE), installation), demo=False)
    await made.start()
    yield made
    made.drain()
    await made.close()


def scope_of(
    peer: str | None, headers: Mapping[str, str], *, path: str = "/", method: str = "GET"
) -> dict[str, Any]:
    """What the server would hand over for such a request; method `WS` for a WebSocket."""
    kind = "websocket" if method == "WS" else "http"
    return {
        "type": kind,
        "method": None if kind == "websocket" else method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": None if peer is None else (peer, 40_000),
        "server": ("127.0.0.1", 5004),
        "extensions": {},
        "subprotocols": [],
    }


async def ask(app: Any, scope: dict[str, Any]) -> int:
    """The status answered; for a WebSocket the code it was closed with."""
    if scope["method"] is None:
        del scope["method"]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        kind = scope["type"]
        return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    code: int = sent[0]["status"] if "status" in sent[0] else sent[0]["code"]
    return code


def asked_path(spec: RouteSpec) -> str:
    path = spec.path
    for placeholder, text in PLACEHOLDERS.items():
        path = path.replace(placeholder, text)
    assert "{" not in path, "a new kind of placeholder: name an example above"
    return path


async def test_every_route_is_in_the_table_with_its_surface(bridge: Bridge) -> None:
    """A new route is on the management surface unless it is named here."""
    for spec in route_table(bridge):
        expected = [surface for surface, paths in EXPECTED.items() if spec.path in paths]
        assert [spec.surface] == (expected or [Surface.MANAGEMENT]), spec.path
    found = {spec.path for spec in route_table(bridge)}
    assert set().union(*EXPECTED.values()) <= found


async def test_the_router_has_exactly_the_tables_routes(bridge: Bridge) -> None:
    """No mount, no second router, nothing that came in beside the table."""
    app = build_app(bridge)
    routed = []
    for route in app.routes:
        assert isinstance(route, Route | WebSocketRoute), "nothing that routes on by itself"
        routed.append((route.path, frozenset(getattr(route, "methods", None) or {"WS"})))
    table = [
        (spec.path, frozenset({*spec.methods, *(["HEAD"] if "GET" in spec.methods else [])}))
        for spec in route_table(bridge)
    ]
    assert routed == table
    for path in ("/docs", "/openapi.json", "/api/", "/livez/", "/static"):
        assert await ask(app, scope_of(LOOPBACK, OWN, path=path)) == 404, path


@pytest.mark.parametrize("peer", [HOME, ELSEWHERE, None])
async def test_management_is_refused_to_all_but_this_machine(
    bridge: Bridge, peer: str | None
) -> None:
    """Every route of it and every method, without a key and with a wrong one."""
    app = build_app(bridge)
    for spec in route_table(bridge):
        if spec.surface is not Surface.MANAGEMENT:
            continue
        for method in spec.methods:
            for headers in (OWN, {**OWN, "x-api-key": KEY + "x"}, {**OWN, "x-api-key": ""}):
                scope = scope_of(peer, headers, path=asked_path(spec), method=method)
                assert await ask(app, scope) in (403, 4403), (method, spec.path)


async def test_players_and_health_are_refused_outside_the_trusted_networks(
    bridge: Bridge,
) -> None:
    """Also with the admin key: it opens the management surface, not the tuner to the world."""
    app = build_app(bridge)
    for spec in route_table(bridge):
        if spec.surface is Surface.MANAGEMENT:
            continue
        for peer in (ELSEWHERE, "2001:db8::1", "::ffff:203.0.113.7", None):
            for headers in (OWN, {**OWN, "x-api-key": KEY}, {**OWN, "x-forwarded-for": LOOPBACK}):
                scope = scope_of(peer, headers, path=asked_path(spec), method=spec.methods[0])
                assert await ask(app, scope) == 403, (peer, spec.path)


async def test_what_a_home_may_ask_is_answered(bridge: Bridge) -> None:
    """The tuner's documents for a player in the house, the API for who has the key."""
    app: Starlette = build_app(bridge)
    for path in ("/discover.json", "/lineup.json", "/livez", "/metrics", "/static/now.js"):
        assert await ask(app, scope_of(HOME, {}, path=path)) == 200, path
    for path in ("/", "/api/dashboard", "/api/channels"):
        scope = scope_of(HOME, {**OWN, "x-api-key": KEY}, path=path)
        assert await ask(app, scope) == 200, path
        assert await ask(app, scope_of(LOOPBACK, OWN, path=path)) == 200, path


async def probe(scope: Any, receive: Any, send: Any) -> None:
    """Stands behind the guard and lets everybody in."""
    await send({"type": "http.response.start", "status": 200, "headers": []})


def guarded(surface: Surface, *, admin_key: str | None = KEY, base_url: str | None = None) -> Any:
    trusted = load_settings({}, {}).trusted_networks
    guard = Guard(trusted=trusted, admin_key=admin_key, base_url=base_url)
    return guard.guarded(surface, probe)


@pytest.mark.parametrize(
    ("peer", "headers", "method", "answered"),
    [
        (LOOPBACK, {}, "GET", 200),
        ("::1", {}, "GET", 200),
        ("::ffff:127.0.0.1", {}, "GET", 200),
        ("127.8.9.10", {"host": "localhost:5004"}, "GET", 200),
        (LOOPBACK, {"host": "[::1]:5004"}, "GET", 200),
        (LOOPBACK, {"host": "192.168.1.5"}, "GET", 200),
        (LOOPBACK, {"host": "rebound.example"}, "GET", 421),
        (LOOPBACK, {"host": "127.0.0.1.rebound.example"}, "GET", 421),
        (LOOPBACK, {"host": ""}, "GET", 421),
        (LOOPBACK, {"host": "["}, "GET", 421),
        (LOOPBACK, {"host": "user@rebound.example"}, "DELETE", 421),
        (LOOPBACK, {"x-api-key": KEY}, "GET", 200),
        (LOOPBACK, {"x-api-key": "wrong"}, "GET", 403),
        (LOOPBACK, {"x-api-key": "wr\xf6ng"}, "GET", 403),
        ("not-an-address", {}, "GET", 403),
        (HOME, {}, "GET", 403),
        (HOME, {"x-forwarded-for": LOOPBACK}, "GET", 403),
        (HOME, {"forwarded": f"for={LOOPBACK}"}, "GET", 403),
        (HOME, {"x-api-key": KEY, "host": "bridge.home"}, "GET", 200),
        (HOME, {"x-api-key": KEY[:-1]}, "GET", 403),
        (LOOPBACK, {"origin": "http://127.0.0.1:5004"}, "POST", 200),
        (LOOPBACK, {"origin": "https://elsewhere.example"}, "GET", 200),
        *((LOOPBACK, {"origin": "https://elsewhere.example"}, m, 403) for m in ("POST", "DELETE")),
        (LOOPBACK, {"origin": "http://127.0.0.1:8000"}, "DELETE", 403),
        (LOOPBACK, {"origin": "null"}, "DELETE", 403),
        (LOOPBACK, {"origin": "http://["}, "DELETE", 403),
        (HOME, {"origin": "https://elsewhere.example", "x-api-key": KEY}, "DELETE", 403),
        (LOOPBACK, {}, "WS", 200),
        (LOOPBACK, {"origin": "http://127.0.0.1:5004"}, "WS", 200),
        (LOOPBACK, {"origin": "https://elsewhere.example"}, "WS", 4403),
        (LOOPBACK, {"host": "rebound.example"}, "WS", 4403),
        (HOME, {}, "WS", 4403),
    ],
)
async def test_the_management_door(
    peer: str, headers: dict[str, str], method: str, answered: int
) -> None:
    """The peer is the socket's, the name is ours, another site's page changes nothing."""
    scope = scope_of(peer, {**OWN, **headers}, method=method)
    assert await ask(guarded(Surface.MANAGEMENT), scope) == answered


async def test_without_an_admin_key_no_key_is_right() -> None:
    """Nor is an empty one, anywhere."""
    door = guarded(Surface.MANAGEMENT, admin_key=None)
    for key in ("", "None", KEY):
        for peer in (HOME, LOOPBACK):
            assert await ask(door, scope_of(peer, {**OWN, "x-api-key": key})) == 403


async def test_the_configured_name_is_ours_too() -> None:
    """`BASE_URL` behind a proxy on this machine: its host is answered, another still is not."""
    door = guarded(Surface.MANAGEMENT, base_url="https://tv.home.example/bridge")
    assert await ask(door, scope_of(LOOPBACK, {"host": "tv.home.example"})) == 200
    assert await ask(door, scope_of(LOOPBACK, {"host": "home.example"})) == 421


@pytest.mark.parametrize(
    ("peer", "answered"),
    [
        *((peer, 200) for peer in (LOOPBACK, HOME, "10.1.2.3", "::ffff:192.168.1.9", "fe80::1")),
        *((peer, 403) for peer in (ELSEWHERE, "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8")),
    ],
)
@pytest.mark.parametrize("surface", [Surface.PLAYERS, Surface.OPEN])
async def test_the_doors_of_the_house(surface: Surface, peer: str, answered: int) -> None:
    """Private, link-local and loopback by default, whatever name they used for us."""
    scope = scope_of(peer, {"host": "anything.example", "origin": "https://elsewhere.example"})
    assert await ask(guarded(surface), scope) == answered
