"""Who may ask what: every route of the table, by surface, peer, role, `Host` and `Origin`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route, WebSocketRoute

from plexbridge.web.access.keys import ApiKey, change_keys
from plexbridge.web.access.roles import Role
from plexbridge.web.access.tokens import digest_of
from plexbridge.web.table import SAFE_METHODS, RouteSpec, Surface
from tests.service.access_rig import (
    ELSEWHERE,
    HOME,
    LOOPBACK,
    PASSWORD,
    House,
    ask,
    house,
    table_of,
)

KEY = "a-key-of-the-right-length"
VIEWER = "pbk_of-a-viewer"
PLACEHOLDERS = {
    "{id}": "0" * 26,
    "{name}": "now.js",
    "{asked:path}": "v1",
    "{tuner:int}": "0",
    "{digest}": "0" * 16,
}
REFUSED = (401, 403, 4401, 4403)

EXPECTED = {
    Surface.OPEN: {"/livez", "/readyz", "/health", "/metrics", "/static/{name}"},
    Surface.ENTRANCE: {"/access", "/login", "/logout", "/setup"},
    Surface.PLAYERS: {
        *("/discover.json", "/lineup_status.json", "/lineup.json", "/lineup.xml", "/lineup.m3u"),
        *("/status.json", "/device.xml", "/lineup.post", "/auto/{asked:path}", "/xmltv.xml"),
        *("/tuner{tuner:int}/{asked:path}", "/streams/preview/{id}", "/stream/{id}"),
        "/logos/{digest}",
    },
}
"""Whatever is not named here is on the management surface."""


@pytest.fixture
async def unlocked(tmp_path: Path) -> AsyncIterator[House]:
    """No password yet; the setting's key, and a viewer's."""
    key = ApiKey("a viewer", Role.VIEWER, digest_of(VIEWER), 0)
    change_keys(tmp_path, lambda kept: (*kept, key))
    async with house(tmp_path, PLEXBRIDGE_ADMIN_KEY=KEY) as made:
        yield made


@pytest.fixture
async def locked(unlocked: House) -> House:
    """The same, with a password."""
    await unlocked.credentials.set_password(PASSWORD)
    return unlocked


def asked_path(spec: RouteSpec) -> str:
    path = spec.path
    for placeholder, text in PLACEHOLDERS.items():
        path = path.replace(placeholder, text)
    assert "{" not in path, "a new kind of placeholder: name an example above"
    return path


async def statuses(house: House, surface: Surface, *headers: Any, peer: str | None) -> Any:
    """Every route of a surface by every method, with each of the headers."""
    for spec in table_of(house):
        for method in spec.methods if spec.surface is surface else ():
            for given in headers:
                answer = await ask(house.app, asked_path(spec), given, peer=peer, method=method)
                yield spec, method, answer.status


async def test_every_route_is_in_the_table_with_its_surface(unlocked: House) -> None:
    """A new route is on the management surface unless it is named here."""
    for spec in table_of(unlocked):
        expected = [surface for surface, paths in EXPECTED.items() if spec.path in paths]
        assert [spec.surface] == (expected or [Surface.MANAGEMENT]), spec.path
    found = {spec.path for spec in table_of(unlocked)}
    assert set().union(*EXPECTED.values()) <= found


async def test_the_router_has_exactly_the_tables_routes(unlocked: House) -> None:
    """No mount, no second router, nothing that came in beside the table."""
    routed = []
    for route in unlocked.app.routes:
        assert isinstance(route, Route | WebSocketRoute), "nothing that routes on by itself"
        routed.append((route.path, frozenset(getattr(route, "methods", None) or {"WS"})))
    table = [
        (spec.path, frozenset({*spec.methods, *(["HEAD"] if "GET" in spec.methods else [])}))
        for spec in table_of(unlocked)
    ]
    assert routed == table
    for path in ("/docs", "/openapi.json", "/api/", "/livez/", "/static", "/login/"):
        assert (await ask(unlocked.app, path)).status == 404, path


async def test_management_is_refused_to_whoever_shows_nothing(locked: House) -> None:
    """Every route and every method, from anywhere; also with a key that is wrong."""
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"x-api-key": KEY + "x"},
        {"x-api-key": ""},
        {"cookie": "plexbridge=a; b"},
    )
    for peer in (LOOPBACK, HOME, ELSEWHERE, None):
        async for spec, method, status in statuses(locked, Surface.MANAGEMENT, *wrong, peer=peer):
            assert status in (401, 4401), (method, spec.path, peer)


async def test_without_a_password_only_this_machine_needs_none(unlocked: House) -> None:
    """The rest of the house is told how to get in."""
    for peer in (HOME, ELSEWHERE, None):
        async for spec, method, status in statuses(unlocked, Surface.MANAGEMENT, {}, peer=peer):
            assert status in (401, 4401), (method, spec.path, peer)
    answer = await ask(unlocked.app, "/api/dashboard", peer=HOME)
    assert answer.document["error"] == "no_password_yet"
    assert "plexbridge key link" in answer.document["detail"]
    assert (await ask(unlocked.app, "/api/dashboard", peer=LOOPBACK)).status == 200


async def test_a_viewer_reads_and_an_admin_acts(locked: House) -> None:
    """Whatever is not GET or HEAD takes the role admin, on every route."""
    acts = 0
    for spec in table_of(locked):
        for method in spec.methods if spec.surface is Surface.MANAGEMENT else ():
            if spec.path in ("/api/live", "/ws"):
                assert spec.role is Role.VIEWER
                continue  # they last
            path, reads = asked_path(spec), method in SAFE_METHODS
            acts += not reads
            as_viewer = await ask(locked.app, path, {"x-api-key": VIEWER}, method=method)
            assert (as_viewer.status == 403) is not reads, (method, path)
            as_admin = await ask(locked.app, path, {"x-api-key": KEY}, peer=HOME, method=method)
            told = as_admin.document["error"] if as_admin.status == 403 else ""
            assert as_admin.status != 401, (method, path)
            assert told in ("", "not_here"), (method, path)
    assert acts >= 4


async def test_players_health_and_entrance_are_for_the_trusted_networks(unlocked: House) -> None:
    """Also with the admin key: it opens the management surface, not the tuner to the world."""
    given: tuple[dict[str, str], ...] = ({}, {"x-api-key": KEY}, {"x-forwarded-for": LOOPBACK})
    for surface in (Surface.PLAYERS, Surface.OPEN, Surface.ENTRANCE):
        for peer in (ELSEWHERE, "2001:db8::1", "::ffff:203.0.113.7", None):
            async for spec, _, status in statuses(unlocked, surface, *given, peer=peer):
                assert status == 403, (peer, spec.path)


async def test_what_a_home_may_ask_is_answered(locked: House) -> None:
    """The tuner's documents for a player in the house, by whatever name; the API for a key."""
    for path in ("/discover.json", "/lineup.json", "/livez", "/metrics", "/static/now.js"):
        answer = await ask(locked.app, path, {"host": "anything.example"}, peer=HOME)
        assert answer.status == 200, path
    for path in ("/", "/api/dashboard", "/api/channels"):
        for peer in (HOME, LOOPBACK, ELSEWHERE):
            answer = await ask(locked.app, path, {"x-api-key": KEY}, peer=peer)
            assert answer.status == 200, path


@pytest.mark.parametrize(
    ("peer", "headers", "method", "answered"),
    [
        (LOOPBACK, {}, "GET", 200),
        ("::1", {}, "GET", 200),
        ("::ffff:127.0.0.1", {}, "GET", 200),
        ("127.8.9.10", {"host": "localhost:5004"}, "GET", 200),
        *((LOOPBACK, {"host": h}, "GET", 200) for h in ("[::1]:5004", "192.168.1.5", "nas:3000")),
        *((LOOPBACK, {"host": h}, "GET", 200) for h in ("TV.local", "tv.home.arpa", "a.internal")),
        (LOOPBACK, {"host": "rebound.example"}, "GET", 421),
        (LOOPBACK, {"host": "127.0.0.1.rebound.example"}, "GET", 421),
        (LOOPBACK, {"host": "local.example"}, "GET", 421),
        *((LOOPBACK, {"host": h}, "GET", 421) for h in ("", "[", ":80", "a@nas", "nas:0", "1.2")),
        (LOOPBACK, {"host": "user@rebound.example"}, "DELETE", 421),
        (LOOPBACK, {"x-api-key": KEY}, "GET", 200),
        (LOOPBACK, {"x-api-key": "wrong"}, "GET", 401),
        (LOOPBACK, {"x-api-key": "wr\xf6ng"}, "GET", 401),
        ("not-an-address", {}, "GET", 401),
        (HOME, {}, "GET", 401),
        (HOME, {"x-forwarded-for": LOOPBACK}, "GET", 401),
        (HOME, {"forwarded": f"for={LOOPBACK}"}, "GET", 401),
        (LOOPBACK, {"x-forwarded-for": HOME}, "GET", 401),
        (LOOPBACK, {"x-forwarded-for": LOOPBACK}, "GET", 401),
        (LOOPBACK, {"forwarded": f"for={HOME}"}, "GET", 401),
        (LOOPBACK, {"x-real-ip": HOME}, "GET", 401),
        (HOME, {"x-api-key": KEY, "host": "bridge.example"}, "GET", 200),
        (HOME, {"x-api-key": KEY[:-1]}, "GET", 401),
        (LOOPBACK, {"origin": "http://127.0.0.1:5004"}, "DELETE", 400),
        (LOOPBACK, {"origin": "https://elsewhere.example"}, "GET", 403),
        *((LOOPBACK, {"origin": "https://elsewhere.example"}, m, 403) for m in ("DELETE", "HEAD")),
        (LOOPBACK, {"origin": "http://127.0.0.1:8000"}, "DELETE", 403),
        *((LOOPBACK, {"origin": o}, "DELETE", 403) for o in ("null", "", "http://[", "http://")),
        (HOME, {"origin": "https://elsewhere.example", "x-api-key": KEY}, "DELETE", 403),
    ],
)
async def test_the_management_door(
    unlocked: House, peer: str, headers: dict[str, str], method: str, answered: int
) -> None:
    """The peer is the socket's, the name is ours, another site's page is told nothing."""
    answer = await ask(unlocked.app, "/api/sessions", headers, peer=peer, method=method)
    assert answer.status == answered


@pytest.mark.parametrize(
    ("peer", "headers", "answered"),
    [
        (LOOPBACK, {"origin": "https://elsewhere.example"}, 4403),
        (LOOPBACK, {"host": "rebound.example"}, 4421),
        (HOME, {}, 4401),
        (HOME, {"x-api-key": "wrong"}, 4401),
    ],
)
async def test_the_door_of_the_feeds(
    unlocked: House, peer: str, headers: dict[str, str], answered: int
) -> None:
    """A WebSocket's handshake and that of server-sent events pass the same door."""
    assert (await ask(unlocked.app, "/ws", headers, peer=peer, method="WS")).status == answered
    assert (await ask(unlocked.app, "/api/live", headers, peer=peer)).status == answered - 4_000


@pytest.mark.parametrize("surface", [Surface.MANAGEMENT, Surface.ENTRANCE])
async def test_names_and_origins_are_checked_on_every_route(
    unlocked: House, surface: Surface
) -> None:
    """DNS rebinding and another site's page, on all that a browser's user may do."""
    foreign = {"host": "rebound.example", "origin": "http://rebound.example"}
    async for spec, _, status in statuses(unlocked, surface, foreign, peer=LOOPBACK):
        assert status in (421, 4421), spec.path
    foreign = {"origin": "http://rebound.example"}
    async for spec, _, status in statuses(unlocked, surface, foreign, peer=LOOPBACK):
        assert status in (403, 4403), spec.path


async def test_bodies_are_json(unlocked: House) -> None:
    """What a form of another site could send is refused before it is read, on every route."""
    kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "")
    refused = 0
    for spec in table_of(unlocked):
        if spec.surface not in (Surface.MANAGEMENT, Surface.ENTRANCE):
            continue
        for method in {*spec.methods} - SAFE_METHODS - {"WS"}:
            for kind in kinds:
                for length in ({"content-length": "2"}, {"transfer-encoding": "chunked"}):
                    headers = {"content-type": kind, **length}
                    answer = await ask(unlocked.app, asked_path(spec), headers, method=method)
                    assert answer.status == 415, (method, spec.path, kind)
                    refused += 1
    assert refused >= 40


async def test_the_configured_names_are_ours_too(tmp_path: Path) -> None:
    """`PLEXBRIDGE_ALLOWED_HOSTS` and `BASE_URL`; their pages may ask where a proxy hides `Host`."""
    names = {"PLEXBRIDGE_ALLOWED_HOSTS": "tv.example:8443 door.example", "BASE_URL": "http://b.ex"}
    async with house(tmp_path, **names) as made:
        for host, status in (
            *(("tv.example", 200), ("tv.example:8443", 200), ("door.example", 200), ("b.ex", 200)),
            *(("example", 200), ("x.tv.example", 421), ("tv.example.evil", 421)),
        ):
            assert (await ask(made.app, "/channels", {"host": host})).status == status, host
        for origin, status in (
            *(("https://tv.example:8443", 400), ("https://door.example", 400)),
            *(("https://tv.example", 403), ("https://door.example:8443", 403)),
        ):
            answer = await ask(made.app, "/api/sessions", {"origin": origin}, method="DELETE")
            assert answer.status == status, origin


async def test_answers_tell_browsers_what_to_keep_to(unlocked: House) -> None:
    """Nothing inline, no sniffing, no frame, no referrer, no cache, no other site: on every answer
    that is not a player's, refusals too. Only players' documents are for all to read."""
    for path in ("/", "/api/dashboard", "/login", "/setup", "/metrics", "/api/events"):
        for headers in ({}, {"host": "rebound.example"}, {"x-api-key": "wrong"}):
            got = (await ask(unlocked.app, path, headers)).headers
            assert "unsafe" not in got["content-security-policy"]
            assert "default-src" in got["content-security-policy"]
            assert "frame-ancestors 'none'" in got["content-security-policy"]
            assert got["x-content-type-options"] == "nosniff"
            assert got["referrer-policy"] == "no-referrer"
            assert got["cache-control"] == "no-store"
            assert got["cross-origin-resource-policy"] == "same-origin"
            assert not [name for name in got if name.startswith("access-control")]
    lineup = await ask(unlocked.app, "/lineup.json")
    assert lineup.headers["access-control-allow-origin"] == "*"


async def test_a_browser_is_led_to_the_login_and_back(locked: House) -> None:
    """From a page at any depth, by a relative link; programs are answered in JSON."""
    browser = {"accept": "text/html,*/*;q=0.8"}
    for path, led in (
        ("/", "login"),
        ("/channels?q=a%26b&after=5", "login?next=channels%3Fq%3Da%2526b%26after%3D5"),
        (f"/sessions/{'0' * 26}", f"../login?next=sessions%2F{'0' * 26}"),
    ):
        answer = await ask(locked.app, path, browser, peer=HOME)
        assert (answer.status, answer.headers["location"]) == (303, led)
    assert (await ask(locked.app, "/", peer=HOME)).document["error"] == "login_needed"
    foreign = await ask(locked.app, "/", {**browser, "host": "tv.example"}, peer=HOME)
    assert foreign.status == 421
    assert b"PLEXBRIDGE_ALLOWED_HOSTS" in foreign.body
    assert foreign.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("peer", "answered"),
    [
        *((peer, 200) for peer in (LOOPBACK, HOME, "10.1.2.3", "::ffff:192.168.1.9", "fe80::1")),
        *((peer, 403) for peer in (ELSEWHERE, "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8")),
    ],
)
async def test_the_doors_of_the_house(unlocked: House, peer: str, answered: int) -> None:
    """Private, link-local and loopback by default."""
    for path in ("/discover.json", "/livez", "/login"):
        assert (await ask(unlocked.app, path, peer=peer)).status == answered, path


async def test_two_bridges_on_one_host_do_not_share_a_cookie(tmp_path: Path) -> None:
    """Browsers keep cookies by host, whatever the port."""
    names = set()
    for number in "12":
        directory = tmp_path / number
        async with house(directory, PLEXBRIDGE_ADMIN_PASSWORD=PASSWORD) as made:
            answer = await ask(made.app, "/login", method="POST", send={"password": PASSWORD})
            names.add(answer.headers["set-cookie"].partition("=")[0])
    assert len(names) == 2
