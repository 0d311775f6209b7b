"""The one way out: every HTTP request the bridge makes by an address someone else wrote.

Asks `reachable` where it may connect, follows redirects by hand, and turns every fault into one
typed error. Knows nothing of playlists, channels or relays, and never shows a URL: an error carries
a word of the log (`upstream_http_404`), because a provider's URL holds a login.

The address is checked where the socket is made, on the address it will be connected to: a name
that resolves to something else the second time, an IP literal and every hop of a redirect all pass
the same gate, and what is refused never sends a packet.
"""

import asyncio
import base64
import errno
import re
import socket
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import Literal, NamedTuple

import aiohttp
from yarl import URL

from plexbridge.reachable import Address, AddressForbidden, OutboundPolicy

__all__ = ["AddressForbidden", "Asked", "Gate", "Outbound", "OutboundFailed", "OutboundPolicy"]

REDIRECT_HOPS_MAX = 5
"""Providers send to a token server and on to an edge: two or three hops. More is a loop."""

RETRY_AFTER_S_MAX = 3600.0
"""A provider that says to come back next week is asked again after an hour all the same."""

USER_AGENT = "PlexBridge"
"""Sent where the playlist names no user agent."""

CREDENTIAL_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
"""What belongs to one origin and is not carried to another."""

_PLAIN_URL = re.compile(r"[!-~]+")


Kind = Literal[
    "refused",
    "dns",
    "timeout",
    "tls",
    "forbidden",
    "http_status",
    "redirect_loop",
    "reset",
    "protocol",
]


class OutboundFailed(Exception):
    """A request that brought no body to read. Its text is a word of the log and never a URL."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind: Kind = kind
        self.detail = detail
        """`upstream_refused`, `upstream_dns`, `upstream_http_404`, …"""
        self.status = status
        """The HTTP status, where one came."""
        self.retry_after_s = retry_after_s
        """What the provider asked for, in seconds, at most `RETRY_AFTER_S_MAX`."""


@dataclass(slots=True)
class Gate:
    """The gate of one hop: makes its sockets, and remembers which addresses it let pass."""

    policy: OutboundPolicy
    from_public: bool = False
    passed: list[Address] = field(default_factory=list)
    stopped: AddressForbidden | None = None

    def open_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket for an address that may be reached.

        Raises:
            AddressForbidden: before any socket exists.
        """
        family, kind, protocol, _, sockaddr = info
        try:
            address = ip_address(str(sockaddr[0]))
            self.policy.check(address, from_public=self.from_public)
        except ValueError:
            self.stopped = AddressForbidden("an address in no known form", "not an IP address")
            raise self.stopped from None
        except AddressForbidden as forbidden:
            self.stopped = forbidden
            raise
        self.passed.append(address)
        return socket.socket(family=family, type=kind, proto=protocol)

    @property
    def leads_from_public(self) -> bool:
        """Whether the next hop of a redirect is one that a public host asked for."""
        return self.from_public or any(self.policy.is_public(address) for address in self.passed)


class Asked(NamedTuple):
    """An answer, and what its reader must know of where it came from."""

    response: aiohttp.ClientResponse
    from_public: bool
    """Whether addresses read in it are a public host's."""


_gate: ContextVar[Gate] = ContextVar("gate")
"""The gate of the hop being connected. A context variable, because the connector that makes the
sockets is shared and its tasks (one per address tried) inherit the context of the request."""


def _open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    return _gate.get().open_socket(info)


class _Lost(aiohttp.ClientError):
    """The connection broke before the status line.

    aiohttp sends a GET again when that happens; a provider that allows one connection would see
    two requests for one. This class is none of those it retries.
    """


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _Lost("connection lost") from None


class Outbound:
    """A client for upstreams and playlists. One for the process; made on the event loop.

    Connections are used once: an idle one kept for later would count against the provider's limit.
    No cookies are kept, no proxy variables read, no body decompressed.
    """

    def __init__(
        self,
        policy: OutboundPolicy,
        *,
        connect_timeout_s: float = 3.0,
        head_timeout_s: float = 5.0,
    ) -> None:
        self._policy = policy
        self._connect_timeout_s = connect_timeout_s
        self._head_timeout_s = head_timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The answer to a GET of an address that a person wrote down. See `ask`.

        Raises:
            OutboundFailed: for everything that can go wrong out there.
        """
        return (await self.ask(url, headers)).response

    async def ask(
        self, url: str, headers: Mapping[str, str], *, from_public: bool = False
    ) -> Asked:
        """The answer to a GET: status 2xx, redirects followed, body unread. The caller closes it.

        `from_public`: the address was read in what a public host answered, which may not lead into
        a private network.

        Name look-up, TCP and TLS of each hop take at most `connect_timeout_s`; everything up to
        the last hop's header together `head_timeout_s`. The body has no deadline here.

        Raises:
            OutboundFailed: for everything that can go wrong out there.
        """
        try:
            async with asyncio.timeout(self._head_timeout_s):
                return await self._follow(url, headers, from_public)
        except TimeoutError:
            failure = OutboundFailed("timeout", "upstream_head_timeout")
        raise failure

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """The answer to a POST to an address that a person wrote down: status 2xx, body unread. The
        caller closes it. Deadlines as of `ask`. No redirect is followed: what is sent was meant for
        this address, and is another request after most of them (RFC 9110, 15.4).

        Raises:
            OutboundFailed: for everything that can go wrong out there.
        """
        try:
            async with asyncio.timeout(self._head_timeout_s):
                response = await self._hop(_parsed(url), headers, Gate(self._policy), body)
        except TimeoutError:
            failure = OutboundFailed("timeout", "upstream_head_timeout")
        else:
            if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                return response
            response.close()
            failure = _not_answered(response)
        raise failure

    async def close(self) -> None:
        """Close every connection; later calls of `get` are our own fault."""
        if self._session is not None:
            await self._session.close()

    async def _follow(self, url: str, headers: Mapping[str, str], from_public: bool) -> Asked:
        target = _parsed(url)
        carried = dict(headers)
        for _ in range(REDIRECT_HOPS_MAX + 1):
            gate = Gate(self._policy, from_public)
            response = await self._hop(target, carried, gate)
            if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                return Asked(response, gate.leads_from_public)
            location = response.headers.get("Location")
            response.close()
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                raise _not_answered(response)
            # Let the socket close before the next one opens: a provider counts connections.
            await asyncio.sleep(0)
            following = _parsed(location, base=target)
            if following.origin() != target.origin():
                carried = {k: v for k, v in carried.items() if k.lower() not in CREDENTIAL_HEADERS}
            target, from_public = following, gate.leads_from_public
        raise OutboundFailed("redirect_loop", "upstream_redirect_loop")

    async def _hop(
        self, target: URL, headers: Mapping[str, str], gate: Gate, body: bytes | None = None
    ) -> aiohttp.ClientResponse:
        token = _gate.set(gate)
        try:
            return await self._open_session().request(
                "GET" if body is None else "POST",
                target.with_user(None) if target.user is not None else target,
                data=body,
                headers=_complete(headers, target),
                allow_redirects=False,
            )
        # Raised below, outside the handler: the text of aiohttp's own errors holds the whole URL.
        except aiohttp.ClientError as error:
            failure = _translated(error, gate)
        except ValueError:  # a host name or a header that cannot be put on the wire
            failure = OutboundFailed("protocol", "upstream_bad_url")
        finally:
            _gate.reset(token)
        raise failure

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    socket_factory=_open_socket, limit=0, force_close=True
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout_s),
                auto_decompress=False,
                middlewares=(_once,),
            )
        return self._session


def _parsed(text: str, base: URL | None = None) -> URL:
    """A URL as its writer wrote it: signed paths do not survive another way of quoting."""
    try:
        url = URL(text, encoded=_PLAIN_URL.fullmatch(text) is not None)
        if base is not None:
            url = base.join(url)
        usable = url.scheme in ("http", "https") and url.host is not None and url.port is not None
    except ValueError:
        usable = False
    if not usable:
        raise OutboundFailed("protocol", "upstream_bad_url")
    return url


def _complete(headers: Mapping[str, str], target: URL) -> dict[str, str]:
    """The headers to send. The URL's own login is used where no header brings one."""
    sent = dict(headers)
    present = {name.lower() for name in sent}
    if "user-agent" not in present:
        sent["User-Agent"] = USER_AGENT
    if "accept-encoding" not in present:
        sent["Accept-Encoding"] = "identity"
    if target.user is not None and "authorization" not in present:
        login = f"{target.user}:{target.password or ''}".encode()
        sent["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    return sent


def _translated(error: aiohttp.ClientError, gate: Gate) -> OutboundFailed:
    """The fault in our words. The order matters: aiohttp's errors descend from each other."""
    if gate.stopped is not None and not gate.passed:
        return OutboundFailed("forbidden", "upstream_forbidden_address")
    match error:
        case aiohttp.ClientConnectorDNSError():
            return OutboundFailed("dns", "upstream_dns")
        case aiohttp.ClientSSLError():
            return OutboundFailed("tls", "upstream_tls")
        case aiohttp.ServerTimeoutError():
            return OutboundFailed("timeout", "upstream_connect_timeout")
        case aiohttp.ClientConnectorError():
            return _not_connected(error.os_error.errno)
        case aiohttp.InvalidURL():
            return OutboundFailed("protocol", "upstream_bad_url")
        case _Lost() | aiohttp.ClientConnectionError():
            return OutboundFailed("reset", "upstream_reset")
        case _:
            return OutboundFailed("protocol", "upstream_bad_http")


def _not_answered(response: aiohttp.ClientResponse) -> OutboundFailed:
    return OutboundFailed(
        "http_status",
        f"upstream_http_{response.status}",
        status=response.status,
        retry_after_s=_retry_after_s(response),
    )


def _not_connected(number: int | None) -> OutboundFailed:
    if number == errno.ETIMEDOUT:
        return OutboundFailed("timeout", "upstream_connect_timeout")
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return OutboundFailed("refused", "upstream_unreachable")
    if number == errno.ECONNRESET:
        return OutboundFailed("reset", "upstream_reset")
    return OutboundFailed("refused", "upstream_refused")


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """`Retry-After` in its form in seconds; the form with a date is not used by providers."""
    text = response.headers.get("Retry-After", "").strip()
    if not text.isascii() or not text.isdigit():
        return None
    return min(float(text[:9]), RETRY_AFTER_S_MAX)
