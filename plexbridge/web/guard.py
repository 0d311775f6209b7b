"""Who may ask what, decided before any endpoint runs: by surface, peer, `Host` and `Origin`.

The peer is the socket's, never a header's. `Host` must be ours on the management surface, or any
page a browser shows could reach it through a name of its own (DNS rebinding).
"""

import secrets
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from plexbridge.web.table import Surface

Network = IPv4Network | IPv6Network
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


class Guard:
    """Wraps an endpoint of one surface."""

    def __init__(
        self, *, trusted: Sequence[Network], admin_key: str | None, base_url: str | None
    ) -> None:
        self._trusted = tuple(trusted)
        self._admin_key = admin_key
        self._own_host = None if base_url is None else urlsplit(base_url).hostname

    def guarded(self, surface: Surface, app: ASGIApp) -> ASGIApp:
        """The endpoint behind the door of its surface."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            refusal = self._refusal(scope, surface)
            if refusal is None:
                await app(scope, receive, send)
            else:
                await _refuse(scope, receive, send, *refusal)

        return answer

    def _refusal(self, scope: Scope, surface: Surface) -> tuple[int, str, str] | None:
        peer = _address(scope)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if surface is not Surface.MANAGEMENT:
            if peer is not None and any(peer in network for network in self._trusted):
                return None
            return 403, "not_trusted", "this address is not in PLEXBRIDGE_TRUSTED_NETWORKS"
        given = headers.get(b"x-api-key")
        by_key = (
            given is not None
            and self._admin_key is not None
            and secrets.compare_digest(given.encode(), self._admin_key.encode())
        )
        if not by_key and (given is not None or peer is None or not peer.is_loopback):
            return 403, "not_allowed", "open this on the machine itself, or send the admin key"
        if not by_key and not self._is_own_host(headers.get(b"host", "")):
            return 421, "foreign_host", "this name is not one of this bridge's"
        origin = headers.get(b"origin")
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if origin is not None and unsafe and _split(origin).netloc != headers.get(b"host"):
            return 403, "foreign_origin", "another site may not ask this"
        return None

    def _is_own_host(self, host: str) -> bool:
        name = _split(f"//{host}").hostname or ""
        if name in ("localhost", self._own_host):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _split(url: str) -> SplitResult:
    """A URL that a stranger sent; one that is none has no host."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _address(scope: Scope) -> IPv4Address | IPv6Address | None:
    client = scope.get("client")
    try:
        address = ip_address(client[0]) if client else None
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, error: str, detail: str
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": detail})
        return
    body = orjson.dumps({"error": error, "detail": detail})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
