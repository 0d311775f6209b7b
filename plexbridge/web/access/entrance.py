"""The endpoints at the entrance: logging in and out, setting the password, asking for a link.

Knows requests, cookies and words; what opens the door is `credentials`.
"""

from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from plexbridge.web.access.credentials import Credentials
from plexbridge.web.access.entrance_pages import EntrancePages
from plexbridge.web.access.forwarding import WAY, Way, address_of, on_this_machine
from plexbridge.web.access.logins import LoginUnusable
from plexbridge.web.access.passwords import PASSWORD_CHARS_MIN, password_problem
from plexbridge.web.access.refusals import NO_PASSWORD_YET, UNKNOWN_PROXY
from plexbridge.web.access.roles import IDENTITY, Means
from plexbridge.web.access.setup_code import VALID_S
from plexbridge.web.answers import ApiError, json_answer

_log = structlog.get_logger(__name__)

BODY_BYTES_MAX: Final = 4 * 1024
"""A password and a code."""

COOKIE_S: Final = 400 * 24 * 3_600
"""As long as browsers keep a cookie at most (RFC 6265bis); what ends a session is being idle."""

SET_ELSEWHERE: Final = "The password is set by PLEXBRIDGE_ADMIN_PASSWORD: change it there."


class Entrance:
    """What answers before anybody is known."""

    def __init__(self, credentials: Credentials, pages: EntrancePages, *, cookie: str) -> None:
        """`cookie`: the name of the one that holds a session's token."""
        self._credentials = credentials
        self._pages = pages
        self._cookie = cookie

    async def login_page(self, request: Request) -> Response:
        """`GET /login[?next=]`: the password is asked for; or how to set one."""
        return self._pages.page(
            request.scope,
            "login.html",
            locked=self._credentials.locked,
            here=on_this_machine(request.scope),
            unknown_proxy=request.scope[WAY] is Way.UNKNOWN_PROXY,
            next=request.query_params.get("next", ""),
        )

    async def setup_page(self, request: Request) -> Response:
        """`GET /setup[?code=]`: what the one-time link opens. Looking uses nothing up."""
        code = request.query_params.get("code", "")
        return self._pages.page(
            request.scope,
            "setup.html",
            allowed=self._may_set(request, code),
            elsewhere=self._credentials.password_is_set_elsewhere,
            locked=self._credentials.locked,
            code=code,
            chars_min=PASSWORD_CHARS_MIN,
        )

    async def state(self, request: Request) -> Response:
        """`GET /access`: whether this browser is logged in. Always 200: asking is no error."""
        token = request.cookies.get(self._cookie)
        found = None if token is None else await self._credentials.by_session(token)
        return json_answer(
            {
                "logged_in": found is not None,
                "role": None if found is None else found.role,
                "password_set": self._credentials.locked,
            }
        )

    async def log_in(self, request: Request) -> Response:
        """`POST /login` with `{password}`."""
        password = (await _fields(request, "password"))["password"]
        if not self._credentials.locked:
            told = UNKNOWN_PROXY if request.scope[WAY] is Way.UNKNOWN_PROXY else NO_PASSWORD_YET
            raise ApiError(HTTPStatus.CONFLICT, told.error, told.detail)
        address = self._try(request)
        token = await self._credentials.log_in(password)
        if token is None:
            raise self._wrong(address)
        self._credentials.limits.forgive(address)
        _log.info("Logged in", client=address)
        return self._with_session(request, token)

    async def log_out(self, request: Request) -> Response:
        """`POST /logout`: this browser's session ends."""
        token = request.cookies.get(self._cookie)
        if token is not None:
            await self._credentials.log_out(token)
        answer = json_answer({"logged_in": False})
        answer.delete_cookie(self._cookie, path=_cookie_path(request))
        return answer

    async def set_first_password(self, request: Request) -> Response:
        """`POST /setup` with `{code, password}`: uses the code up. On this machine none is needed
        while no password is set."""
        given = await _fields(request, "password", "code")
        if self._credentials.password_is_set_elsewhere:
            raise ApiError(HTTPStatus.CONFLICT, "set_elsewhere", SET_ELSEWHERE)
        if not self._may_set(request, given["code"]):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "link_over",
                "This link was used, or its 15 minutes are over. For a new one, run "
                "plexbridge key link on the bridge's machine.",
            )
        return await self._set(request, given["password"])

    async def change_password(self, request: Request) -> Response:
        """`POST /api/access/password` with `{current, password}`: every session ends but the one
        that begins here."""
        given = await _fields(request, "current", "password")
        if self._credentials.password_is_set_elsewhere:
            raise ApiError(HTTPStatus.CONFLICT, "set_elsewhere", SET_ELSEWHERE)
        address = self._try(request)
        if not await self._credentials.knows_password(given["current"]):
            raise self._wrong(address)
        self._credentials.limits.forgive(address)
        return await self._set(request, given["password"])

    async def new_link(self, request: Request) -> Response:
        """`POST /api/access/link`: a one-time link, for `plexbridge key link` on this machine."""
        if request.scope[IDENTITY].means not in (Means.LOCAL, Means.MACHINE):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "not_here",
                "run `plexbridge key link` on the bridge's machine",
            )
        if self._credentials.password_is_set_elsewhere:
            raise ApiError(HTTPStatus.CONFLICT, "set_elsewhere", SET_ELSEWHERE)
        code = self._credentials.new_link_code()
        return json_answer({"path": f"setup?code={code}", "valid_s": VALID_S})

    def _may_set(self, request: Request, code: str) -> bool:
        if self._credentials.setup.fits(code):
            return True
        return not self._credentials.locked and on_this_machine(request.scope)

    def _try(self, request: Request) -> str:
        """Takes one try; the address it was taken of."""
        address = str(address_of(request.scope))
        wait_s = self._credentials.limits.try_in_s(address)
        if wait_s:
            _log.warning("Login held up", client=address, wait_s=wait_s)
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_tries",
                f"Too many tries. Wait {wait_s} seconds, then try again.",
                headers={"Retry-After": str(wait_s)},
            )
        return address

    def _wrong(self, address: str) -> ApiError:
        _log.warning("Login refused", client=address)
        return ApiError(
            HTTPStatus.UNAUTHORIZED,
            "wrong_password",
            "That is not the password. Try again.",
        )

    async def _set(self, request: Request, password: str) -> Response:
        problem = password_problem(password)
        if problem is not None:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "unfit_password", problem)
        try:
            token = await self._credentials.set_password(password)
        except LoginUnusable as error:
            raise ApiError(HTTPStatus.INSUFFICIENT_STORAGE, "not_kept", str(error)) from error
        _log.info("Password set", client=str(address_of(request.scope)))
        return self._with_session(request, token)

    def _with_session(self, request: Request, token: str) -> Response:
        answer = json_answer({"logged_in": True})
        answer.set_cookie(
            self._cookie,
            token,
            max_age=COOKIE_S,
            path=_cookie_path(request),
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )
        return answer


def _cookie_path(request: Request) -> str:
    return request.scope["root_path"] or "/"


async def _fields(request: Request, *names: str) -> dict[str, str]:
    """Texts of a JSON object; an absent one is empty."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_long", f"at most {BODY_BYTES_MAX} bytes"
            )
    try:
        document: Any = orjson.loads(body)
        given = {name: document.get(name, "") for name in names}
    except (orjson.JSONDecodeError, AttributeError) as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "not_json", "send a JSON object") from error
    if not all(isinstance(text, str) for text in given.values()):
        raise ApiError(HTTPStatus.BAD_REQUEST, "not_text", f"{', '.join(names)}: texts are wanted")
    return given
