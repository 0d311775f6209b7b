"""Who may ask what, decided before any endpoint runs: by surface, address, `Host`, `Origin`, what
was shown, and role.

`Host` must be ours on the management surface and at the entrance, or any page a browser shows could
reach them through a name of its own (DNS rebinding); so must `Origin`, where a browser sends one.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from plexbridge.web.access.credentials import MACHINE, Credentials
from plexbridge.web.access.forwarding import WAY, Way, address_of, on_this_machine
from plexbridge.web.access.names import OwnNames
from plexbridge.web.access.refusals import (
    FOREIGN_HOST,
    FOREIGN_ORIGIN,
    LOGIN_NEEDED,
    NO_PASSWORD_YET,
    NOT_JSON,
    NOT_TRUSTED,
    READS_ONLY,
    UNKNOWN_KEY,
    UNKNOWN_PROXY,
    Refusal,
    Telling,
)
from plexbridge.web.access.roles import IDENTITY, Identity, Means
from plexbridge.web.access.visit import Visit, shielded
from plexbridge.web.table import SAFE_METHODS, RouteSpec, Surface

Network = IPv4Network | IPv6Network


class Guard:
    """Wraps endpoints, each by its line of the table."""

    def __init__(
        self,
        *,
        trusted: Sequence[Network],
        credentials: Credentials,
        names: OwnNames,
        cookie: str,
        telling: Telling,
    ) -> None:
        """`cookie`: the name of the one that holds a session's token."""
        self._trusted = tuple(trusted)
        self._credentials = credentials
        self._names = names
        self._cookie = cookie
        self._telling = telling

    def guarded(self, spec: RouteSpec, app: ASGIApp) -> ASGIApp:
        """The endpoint behind the door of its surface."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if spec.surface is not Surface.PLAYERS:
                send = shielded(send)
            admitted = await self._admitted(spec, scope)
            if isinstance(admitted, Refusal):
                await self._telling.refuse(admitted, scope, receive, send)
            elif admitted is None:
                await app(scope, receive, send)
            else:
                await self._visited(admitted, app, scope, receive, send)

        return answer

    async def _visited(
        self, identity: Identity, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        scope[IDENTITY] = identity
        visit = Visit(scope, receive, send, lambda: self._credentials.still(identity))
        await app(scope, visit.receive, visit.send)
        await visit.leave()

    async def _admitted(self, spec: RouteSpec, scope: Scope) -> Identity | Refusal | None:
        """Why not; or who asks, where that matters."""
        if spec.surface is not Surface.MANAGEMENT and not self._is_trusted(scope):
            return NOT_TRUSTED
        if spec.surface in (Surface.PLAYERS, Surface.OPEN):
            return None
        shown = await self._shown(scope) if spec.surface is Surface.MANAGEMENT else None
        headers = HTTPConnection(scope).headers
        by_key = isinstance(shown, Identity) and shown.means in (Means.KEY, Means.LOCAL)
        if not by_key and not self._names.is_ours(headers.get("host", "")):
            return FOREIGN_HOST
        origin = headers.get("origin")
        if origin is not None and not self._names.is_own_origin(origin, headers.get("host", "")):
            return FOREIGN_ORIGIN
        if isinstance(shown, Identity) and spec.role is not None and not shown.role.may(spec.role):
            return READS_ONLY
        if not isinstance(shown, Refusal) and not _is_json_or_nothing(scope):
            return NOT_JSON
        return shown

    def _is_trusted(self, scope: Scope) -> bool:
        address = address_of(scope)
        return address is not None and any(address in network for network in self._trusted)

    async def _shown(self, scope: Scope) -> Identity | Refusal:
        """Who asks, by what they show; a key that is wrong is not made up for by anything else."""
        connection = HTTPConnection(scope)
        key = connection.headers.get("x-api-key")
        if key is not None:
            return await self._credentials.by_key(key) or UNKNOWN_KEY
        token = connection.cookies.get(self._cookie)
        found = None if token is None else await self._credentials.by_session(token)
        if found is not None:
            return found
        if self._credentials.locked:
            return LOGIN_NEEDED
        if on_this_machine(scope):
            return MACHINE
        return UNKNOWN_PROXY if scope[WAY] is Way.UNKNOWN_PROXY else NO_PASSWORD_YET


def _is_json_or_nothing(scope: Scope) -> bool:
    """A form of another site can send bodies of a few types without asking first; JSON is none."""
    if scope["type"] == "websocket" or scope["method"] in SAFE_METHODS:
        return True
    headers = HTTPConnection(scope).headers
    if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
        return True
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
