"""Refusals at the door, and how they are told: JSON for programs, a page in words for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from plexbridge.web.access.entrance_pages import EntrancePages
from plexbridge.web.access.paths import login_from
from plexbridge.web.answers import json_answer

WEBSOCKET_CODES: Final = 4_000
"""Of what a handshake is closed with: this, and the status that HTTP would have answered."""

_REASON_BYTES_MAX: Final = 123
"""Of a WebSocket's close frame (RFC 6455, 5.5)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody does not come in, with the next step."""

    status: int
    error: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


LOGIN_NEEDED: Final = Refusal(
    HTTPStatus.UNAUTHORIZED, "login_needed", "log in, or send an API key as X-Api-Key"
)
NO_PASSWORD_YET: Final = Refusal(
    HTTPStatus.UNAUTHORIZED,
    "no_password_yet",
    "no password is set: open the one-time link that was printed at the start, or get a new one "
    "with `plexbridge key link` on the bridge's own machine",
)
UNKNOWN_PROXY: Final = Refusal(
    HTTPStatus.UNAUTHORIZED,
    "unknown_proxy",
    "a proxy passed this on: name its address in PLEXBRIDGE_TRUSTED_PROXIES",
)
UNKNOWN_KEY: Final = Refusal(
    HTTPStatus.UNAUTHORIZED, "unknown_key", "this API key is not known, or was revoked"
)
NOT_TRUSTED: Final = Refusal(
    HTTPStatus.FORBIDDEN, "not_trusted", "this address is not in PLEXBRIDGE_TRUSTED_NETWORKS"
)
READS_ONLY: Final = Refusal(
    HTTPStatus.FORBIDDEN, "reads_only", "a viewer may not do this: it takes the role admin"
)
FOREIGN_HOST: Final = Refusal(
    HTTPStatus.MISDIRECTED_REQUEST,
    "foreign_host",
    "this name is not one of this bridge's: ask by its address, or name it in "
    "PLEXBRIDGE_ALLOWED_HOSTS",
)
FOREIGN_ORIGIN: Final = Refusal(
    HTTPStatus.FORBIDDEN,
    "foreign_origin",
    "another site's page may not ask this; behind a proxy, let it pass on Host, or name the page's "
    "host in PLEXBRIDGE_ALLOWED_HOSTS",
)
NOT_JSON: Final = Refusal(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", "send a body as application/json"
)


class Telling:
    """Answers in the place of an endpoint."""

    def __init__(self, pages: EntrancePages) -> None:
        self._pages = pages

    async def refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer."""
        if scope["type"] == "websocket":
            await receive()
            reason = refusal.detail.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
            code = WEBSOCKET_CODES + refusal.status
            await send({"type": "websocket.close", "code": code, "reason": reason})
            return
        await self._response(refusal, scope)(scope, receive, send)

    def _response(self, refusal: Refusal, scope: Scope) -> Response:
        document = {"error": refusal.error, "detail": refusal.detail}
        if not _is_a_person(scope) or refusal is UNKNOWN_KEY:
            return json_answer(document, refusal.status, **refusal.headers)
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            return RedirectResponse(login_from(scope), HTTPStatus.SEE_OTHER)
        return self._pages.page(scope, "refused.html", status=refusal.status, detail=refusal.detail)


def _is_a_person(scope: Scope) -> bool:
    """Whether a browser goes to a page."""
    accepted = dict(scope["headers"]).get(b"accept", b"")
    return scope["method"] in ("GET", "HEAD") and b"text/html" in accepted
