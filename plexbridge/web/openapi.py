"""`/api/openapi.json`: the route table as programs read it (OpenAPI 3.1.1).

Knows no route by itself. Each comes from the table with its surface and role, what it takes and
answers from `openapi_operations`, and what its door refuses from its surface.
"""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.version import __version__
from plexbridge.web.answers import json_answer
from plexbridge.web.openapi_operation import HTML, JSON, Operation
from plexbridge.web.openapi_operations import OPERATIONS
from plexbridge.web.openapi_schemas import SCHEMAS, Schema, named, text, whole
from plexbridge.web.table import SAFE_METHODS, WEBSOCKET, RouteSpec, Surface

OPENAPI: Final = "3.1.1"
KEY: Final = "key"
"""The security scheme."""

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)(?::([a-z]+))?\}")
_PARAMETERS: Final[dict[str | None, Schema]] = {"int": whole(), None: text(), "path": text()}
"""A path's parameter by its convertor."""

_DOOR: Final[dict[Surface, tuple[int, ...]]] = {
    Surface.PLAYERS: (403,),
    Surface.OPEN: (403,),
    Surface.ENTRANCE: (403, 421),
    Surface.MANAGEMENT: (401, 403, 421),
}
"""What may be answered in an endpoint's place (`guard`)."""

_UNTOLD: Final = Operation(summary="", answers={200: {}})

_ABOUT: Final = (
    "Errors are `{error, detail}` with a status that means it. Paths below `/api` and the pages "
    "take an API key as `X-Api-Key`, or a session that began at `/login`. `x-surface` says whom a "
    "route answers, `x-role` which role it takes, `x-endless` whether its answer lasts."
)


class OpenApi:
    """The endpoint."""

    def __init__(self, table: Sequence[RouteSpec]) -> None:
        """`table`: may still be filled until the first request."""
        self._table = table
        self._told: dict[str, Any] = {}

    async def document(self, request: Request) -> Response:
        """`GET /api/openapi.json`. Put together once: the table does not change, only what it
        stands below."""
        self._told = self._told or openapi_document(self._table)
        return json_answer({**self._told, "servers": [{"url": request.scope["root_path"] or "/"}]})


def openapi_document(table: Iterable[RouteSpec]) -> dict[str, Any]:
    """All of the table."""
    paths: dict[str, dict[str, Any]] = {}
    for spec in table:
        methods = paths.setdefault(documented_path(spec.path), {})
        for method in answered_methods(spec):
            methods["get" if method == WEBSOCKET else method.lower()] = _operation(spec, method)
    return {
        "openapi": OPENAPI,
        "info": {"title": "PlexBridge", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {KEY: {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
        },
    }


def documented_path(path: str) -> str:
    """A path of the table without convertors, which OpenAPI does not have."""
    return _PLACEHOLDER.sub(r"{\1}", path)


def answered_methods(spec: RouteSpec) -> list[str]:
    """The methods that a route answers: `HEAD` wherever it answers `GET`."""
    return sorted({*spec.methods, *(["HEAD"] if "GET" in spec.methods else [])})


def _operation(spec: RouteSpec, method: str) -> dict[str, Any]:
    told = OPERATIONS.get((spec.path, "GET" if method == "HEAD" else method), _UNTOLD)
    operation: dict[str, Any] = {
        "summary": told.summary,
        "parameters": [*_of_path(spec, told), *_of_query(told)],
        "responses": _responses(spec, told, method),
        "x-surface": spec.surface,
    }
    if spec.role is not None:
        operation["x-role"] = spec.role
        operation["security"] = [{KEY: []}]
    if told.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": told.body}}}
    if told.endless and method != "HEAD":
        operation["x-endless"] = True
    if method == WEBSOCKET:
        operation["x-websocket"] = True
    return operation


def _of_path(spec: RouteSpec, told: Operation) -> list[dict[str, Any]]:
    schemas = told.path or {}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schemas.get(name, _PARAMETERS[convertor]),
        }
        for name, convertor in (match.groups() for match in _PLACEHOLDER.finditer(spec.path))
    ]


def _of_query(told: Operation) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": it} for name, it in (told.query or {}).items()]


def _responses(spec: RouteSpec, told: Operation, method: str) -> dict[str, Any]:
    """By status, as the document's texts; to `HEAD` none has a body."""
    found = {status: _response(status, kinds) for status, kinds in told.answers.items()}
    found |= {status: _response(status, {}) for status in told.bare}
    refusals = {*told.refuses, *_DOOR[spec.surface]}
    pages = spec.surface in (Surface.MANAGEMENT, Surface.ENTRANCE) and method in SAFE_METHODS
    if spec.surface is Surface.MANAGEMENT and pages:
        found.setdefault(303, _response(303, {}))  # a browser, to the login
    if spec.surface is Surface.MANAGEMENT and pages:
        refusals |= {503}  # what it shows is being built
    if method not in SAFE_METHODS and method != WEBSOCKET:
        refusals |= {415} if spec.surface in (Surface.MANAGEMENT, Surface.ENTRANCE) else set()
    for status in refusals - found.keys():
        kinds = {JSON: named("Error"), **({HTML: text()} if pages else {})}
        found[status] = _response(status, kinds)
    if method == "HEAD":
        found = {status: _response(status, {}) for status in found}
    return {str(status): found[status] for status in sorted(found)}


def _response(status: int, kinds: dict[str, Schema]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if kinds:
        told["content"] = {kind: {"schema": schema} for kind, schema in kinds.items()}
    return told
