"""Behind a reverse proxy: who really asks, over what, and below which path.

Only a proxy that a setting names is believed; a header of anybody else could say anything. Stands
before the router, for the path of the pages depends on it.
"""

from collections.abc import Sequence
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from plexbridge.setting_kinds import BASE_PATH
from plexbridge.web.access.visit import shielded

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

WAY: Final = "plexbridge.way"
"""Key in a scope of the `Way` that a request came."""


class Way(Enum):
    """How a request got here, as far as can be told."""

    DIRECT = auto()
    """The client itself holds the connection."""
    TRUSTED_PROXY = auto()
    """One that a setting names."""
    UNKNOWN_PROXY = auto()
    """Something that passes requests on, by a header of its own."""


_FORWARDERS: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"forwarded"}
)
"""Headers that only proxies add."""

_SECURE: Final = {"http": "https", "ws": "wss"}


class Forwarding:
    """Wraps the application."""

    def __init__(
        self, app: ASGIApp, *, trusted_proxies: Sequence[Network] = (), base_path: str = ""
    ) -> None:
        """`base_path`: what the pages stand below when no proxy says it (`/bridge`)."""
        self._app = app
        self._trusted = tuple(trusted_proxies)
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = self._resolved(scope)
        if scope["root_path"] and scope["path"] == scope["root_path"] and scope["type"] == "http":
            await _to_directory(scope, shielded(send))
            return
        await self._app(scope, receive, send)

    def _resolved(self, scope: Scope) -> Scope:
        headers = _joined(scope)
        peer = address_of(scope)
        root_path = self._base_path or scope.get("root_path", "")
        if not self._is_proxy(peer):
            way = Way.DIRECT if _FORWARDERS.isdisjoint(headers) else Way.UNKNOWN_PROXY
            return {**scope, "root_path": root_path, WAY: way}
        changed: dict[str, Any] = {WAY: Way.TRUSTED_PROXY}
        if b"x-forwarded-for" in headers:
            changed["client"] = self._client(headers[b"x-forwarded-for"])
        if headers.get(b"x-forwarded-proto", "").rpartition(",")[2].strip().lower() == "https":
            changed["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
        changed["root_path"] = _path(headers.get(b"x-forwarded-prefix", "")) or root_path
        return {**scope, **changed}

    def _is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _client(self, forwarded: str) -> tuple[str, int] | None:
        """The nearest address that is not a proxy of ours; None, which is nobody, where a proxy
        passed on something else than addresses. Each proxy adds the one it saw at the end."""
        address: Address | None = None
        for text in reversed(forwarded.split(",")):
            address = parsed_address(text.strip())
            if not self._is_proxy(address):
                break
        return None if address is None else (str(address), 0)


def on_this_machine(scope: Scope) -> bool:
    """Whether the client itself is on this machine: not a proxy there, which asks for anyone."""
    address = address_of(scope)
    return scope[WAY] is Way.DIRECT and address is not None and address.is_loopback


def _path(prefix: str) -> str | None:
    """A path to stand below, as a setting would name it; None: it says something else."""
    try:
        return str(BASE_PATH.read(prefix))
    except ValueError:
        return None


async def _to_directory(scope: Scope, send: Send) -> None:
    """From `/bridge` to `/bridge/`, below which the pages' links lead somewhere."""
    location = f"{scope['root_path']}/".encode()
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _joined(scope: Scope) -> dict[bytes, str]:
    """The headers by name; those sent more than once in one value (RFC 9110, 5.2)."""
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    return headers


def address_of(scope: Scope) -> Address | None:
    """Where a request comes from; None when that is not known."""
    client = scope.get("client")
    return parsed_address(client[0]) if client else None


def parsed_address(text: str) -> Address | None:
    """An address, IPv4 in its own form; None for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
