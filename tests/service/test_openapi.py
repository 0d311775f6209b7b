"""`/api/openapi.json` and the route table say the same; what no route answers has the form, too."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from events.machine import NEW, STATES
from events.reasons import INTENTIONAL
from plexbridge.web.access.visit import HEADERS
from plexbridge.web.asking import TIME_MS_MAX, milliseconds
from plexbridge.web.openapi import answered_methods, documented_path
from plexbridge.web.openapi_operations import OPERATIONS
from plexbridge.web.table import WEBSOCKET, Surface
from tests.service.access_rig import ELSEWHERE, HOME, House, ask, house, table_of


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A bridge without a password."""
    async with house(tmp_path) as made:
        yield made


async def documented(home: House) -> Any:
    """The document as it is answered."""
    answer = await ask(home.app, "/api/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.document


async def test_the_document_has_exactly_the_tables_routes(home: House) -> None:
    """By path and method, each with its surface and its role."""
    paths = (await documented(home))["paths"]
    told = {
        (path, method): (operation["x-surface"], operation.get("x-role"))
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    expected = {
        (documented_path(spec.path), "get" if method == WEBSOCKET else method.lower()): (
            spec.surface,
            spec.role,
        )
        for spec in table_of(home)
        for method in answered_methods(spec)
    }
    assert told == expected


async def test_every_route_is_described_and_nothing_else_is(home: House) -> None:
    """A new route says in `openapi_operations` (or `openapi_players`) what it takes and answers."""
    routes = {
        (spec.path, method)
        for spec in table_of(home)
        for method in spec.methods
        if method != "HEAD" or "GET" not in spec.methods
    }
    assert OPERATIONS.keys() == routes


async def test_every_parameter_of_a_path_is_declared(home: House) -> None:
    """OpenAPI wants each name in braces once, as a parameter."""
    for path, methods in (await documented(home))["paths"].items():
        assert ":" not in path, "a convertor is the router's business"
        for operation in methods.values():
            of_path = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert all(f"{{{name}}}" in path for name in of_path), path
            assert path.count("{") == len(of_path)


async def test_the_words_and_bounds_are_those_that_are_enforced(home: House) -> None:
    """The eight reasons, the states, the rows of an answer."""
    paths = (await documented(home))["paths"]

    def schema_of(path: str, method: str, name: str) -> Any:
        (found,) = (one for one in paths[path][method]["parameters"] if one["name"] == name)
        return found["schema"]

    reasons = schema_of("/api/sessions/{id}", "delete", "reason")["enum"]
    assert sorted(INTENTIONAL) == reasons
    assert len(reasons) == 8
    states = schema_of("/api/sessions", "get", "state")["enum"]
    assert [state for state in STATES if state != NEW] == states
    limit = schema_of("/api/sessions", "get", "limit")["maximum"]
    for asked, status in ((limit, 200), (limit + 1, 400)):
        assert (await ask(home.app, f"/api/sessions?limit={asked}")).status == status


async def test_refusals_of_the_door_are_documented_by_surface(home: House) -> None:
    """Management alone asks who one is; a body that is no JSON is refused where it could act."""
    paths = (await documented(home))["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            statuses, surface = operation["responses"].keys(), operation["x-surface"]
            assert "403" in statuses, path
            if surface != Surface.ENTRANCE:  # where a wrong password is told so
                assert ("401" in statuses) is (surface == Surface.MANAGEMENT), path
            of_names = surface in (Surface.MANAGEMENT, Surface.ENTRANCE)
            assert ("421" in statuses) is of_names, path
            assert ("415" in statuses) is (of_names and method not in ("get", "head")), path


async def test_the_paths_stand_below_the_base_path(tmp_path: Path) -> None:
    """Behind a proxy that has the bridge at `/bridge`."""
    async with house(tmp_path, PLEXBRIDGE_BASE_PATH="/bridge") as below:
        answer = await ask(below.app, "/bridge/api/openapi.json")
    assert answer.document["servers"] == [{"url": "/bridge"}]


async def test_every_reference_leads_somewhere(home: House) -> None:
    """And every schema is used."""
    document = await documented(home)
    schemas = document["components"]["schemas"]
    found: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                found.add(part["$ref"].removeprefix("#/components/schemas/"))
            for one in part.values():
                walk(one)
        elif isinstance(part, list):
            for one in part:
                walk(one)

    walk(document)
    assert found == schemas.keys()


async def test_the_document_is_for_who_may_read(home: House) -> None:
    """It is on the management surface, as all of `/api`."""
    assert (await ask(home.app, "/api/openapi.json", peer=HOME)).status == 401


@pytest.mark.parametrize("peer", [None, ELSEWHERE, HOME])
async def test_what_no_route_answers_is_shielded_and_says_so(home: House, peer: str | None) -> None:
    """404 and 405 come from before the door: as JSON, with the headers that browsers keep to."""
    for method, path, status, word in (
        ("GET", "/nothing", 404, "not_found"),
        ("PUT", "/api/sessions", 405, "method_not_allowed"),
        ("DELETE", "/lineup.json", 405, "method_not_allowed"),
    ):
        answer = await ask(home.app, path, method=method, peer=peer)
        assert (answer.status, answer.document["error"]) == (status, word), path
        assert answer.document["detail"]
        for name, text in HEADERS:
            assert answer.headers[name.decode()] == text.decode(), (path, name)


async def test_405_names_the_methods_of_every_route_with_that_path(home: House) -> None:
    """Not those of the first route alone (RFC 9110, 15.5.6)."""
    for method, path, allowed in (
        ("PUT", "/api/sessions", "DELETE, GET, HEAD"),
        ("DELETE", "/login", "GET, HEAD, POST"),
        ("PATCH", "/api/channels/x", "GET, HEAD, PUT"),
        ("GET", "/api/channels/bulk", None),  # a channel may be called so: its route answers
    ):
        answer = await ask(home.app, path, method=method)
        assert answer.headers.get("allow") == allowed, path


async def test_a_state_that_is_none_is_refused(home: House) -> None:
    """Instead of finding nothing, which would look like nobody."""
    answer = await ask(home.app, "/api/sessions?state=zzz")
    assert (answer.status, answer.document["error"]) == (400, "unknown_state")
    assert (await ask(home.app, "/api/sessions?state=ended")).document == []


async def test_a_fault_of_ours_has_the_form_and_tells_nothing(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception goes to the server, which logs it; its words go nowhere else."""

    async def broken(**_: Any) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(home.bridge.projector, "sessions", broken)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(ZeroDivisionError):
            await home.app(scope, receive, send)

    answer = await ask(app, "/api/sessions")
    assert (answer.status, answer.document["error"]) == (500, "internal")
    assert b"secret" not in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("1932-02-12T02:08:18+18:52", 0),
        ("0001-01-01T00:00:00+23:59", 0),
        ("9999-12-31T23:59:59-23:59", TIME_MS_MAX),
        ("1970-01-01T00:00:01Z", 1_000),
    ],
)
def test_a_time_before_or_after_all_logs_means_their_ends(told: str, means: int) -> None:
    """Documented as a number from 0 on, and no column holds more."""
    assert milliseconds(told) == means
