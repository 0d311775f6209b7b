"""The options of one source: its page, and the same over HTTP. Values of headers are never told;
the user agent only to whoever may change it, for some providers take it for a password.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from events.ids import SourceId
from plexbridge.bridge import Bridge
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.lineup.headers import VALUE_CHARS_MAX
from plexbridge.lineup.held import JITTER
from plexbridge.lineup.in_force import LineupInForce, SourceStatus, UnknownSource
from plexbridge.lineup.source import BOUNDS, Headers
from plexbridge.lineup.source_options import USER_AGENT, OptionInvalid
from plexbridge.web.access.roles import IDENTITY, Role
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.channels_api import asked_in, told_as
from plexbridge.web.rendering import Templates

_log = structlog.get_logger(__name__)

BODY_BYTES_MAX: Final = 64 * 1024
"""All headers that a source may have, with values of full length, and to spare."""

SET: Final = "set"
"""In a secret's place."""


class SourceOptions:
    """The endpoints."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates

    async def page(self, request: Request) -> Response:
        """`/sources/{id}`."""
        document = self._document(request, self._asked(request))
        return self._templates.page(
            request,
            "source_options.html",
            told=document,
            bounds=BOUNDS,
            value_chars=VALUE_CHARS_MAX,
            may_change=_may_change(request),
        )

    async def options(self, request: Request) -> Response:
        """`GET /api/sources/{id}/options`."""
        return json_answer(self._document(request, self._asked(request)))

    async def change(self, request: Request) -> Response:
        """`PUT /api/sources/{id}/options`: a value sets an option, null takes it away, the others
        stay; in `headers` the same for each header. Answers with all of them."""
        source = self._asked(request).source.id
        try:
            patch = await asked_in(request, _plain, BODY_BYTES_MAX)
            status = await self._sources.set_options(source, patch)
        except OptionInvalid as invalid:
            raise ApiError(
                HTTPStatus.BAD_REQUEST, "option_invalid", str(invalid), option=invalid.option
            ) from invalid
        except StoreUnusable as unusable:
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE, "cannot_store", str(unusable)
            ) from unusable
        by = told_as(request.scope[IDENTITY])
        _log.info("Options of a source changed", source=source, options=sorted(patch), by=by)
        return json_answer(self._document(request, status))

    @property
    def _sources(self) -> LineupInForce:
        sources = self._bridge.sources
        assert sources is not None, "a bridge that answers has started"
        return sources

    def _asked(self, request: Request) -> SourceStatus:
        source = SourceId(request.path_params["id"])
        try:
            return self._sources.status_of(source)
        except UnknownSource as unknown:
            detail = f"no source has the id {source}"
            raise ApiError(HTTPStatus.NOT_FOUND, "unknown_source", detail) from unknown

    def _document(self, request: Request, status: SourceStatus) -> dict[str, Any]:
        source, options, settings = status.source, status.options, self._bridge.settings
        clear = _may_change(request)
        hours, jitter = source.refresh_hours, source.refresh_jitter
        agent = next((value for name, value in source.headers if name == USER_AGENT), None)
        return {
            "id": source.id,
            "place": source.place,
            "counts_as": status.counts_as,
            "set": {
                "user_agent": _agent(options.user_agent, clear=clear),
                "headers": _names(options.headers),
                **{name: getattr(options, name) for name in BOUNDS},
            },
            "in_force": {
                "user_agent": _agent(agent, clear=clear),
                "headers": _names(source.headers),
                "max_connections": self._bridge.allowed(source.id),
                "refresh_hours": settings.refresh_hours if hours is None else hours,
                "refresh_jitter": round(JITTER * 100) if jitter is None else jitter,
                "settle_ms": self._bridge.settle_ms(source.id),
            },
        }


def _plain(document: object) -> Mapping[str, object]:
    if not isinstance(document, Mapping):
        raise OptionInvalid("body", "an object of options is wanted")
    return document


def _may_change(request: Request) -> bool:
    return bool(request.scope[IDENTITY].role.may(Role.ADMIN))


def _agent(value: str | None, *, clear: bool) -> str | None:
    return value if clear or value is None else SET


def _names(headers: Headers) -> list[str]:
    return [name for name, _ in headers if name != USER_AGENT]
