"""Which names are this bridge's, and which pages may ask it. Pure.

DNS rebinding needs a name that somebody registered: a page of `evil.example`, whose name then leads
here. So an address is ours, and a name that nobody can register: one without dots, and one below a
domain that is set aside for private use (RFC 6761, 6762, 8375, and ICANN's `internal`). Others are
ours when a setting says so.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

PRIVATE_DOMAINS: Final = (".localhost", ".local", ".home.arpa", ".internal")


class OwnNames:
    """The names of one bridge."""

    def __init__(self, *, allowed_hosts: Iterable[str] = (), base_url: str | None = None) -> None:
        """`allowed_hosts`: names, with or without a port. `base_url`: as players know us."""
        named = [one.lower() for one in allowed_hosts]
        if base_url is not None:
            named.append(urlsplit(base_url).netloc.lower())
        self._origins = frozenset(named)
        self._names = frozenset(_split(f"//{one}").hostname for one in named)

    def is_ours(self, host: str) -> bool:
        """Whether a `Host` header names this bridge."""
        name = (_split(f"//{host}").hostname or "").removesuffix(".")
        if not name or "@" in host:
            return False
        if name in self._names or "." not in name or name.endswith(PRIVATE_DOMAINS):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    def is_own_origin(self, origin: str, host: str) -> bool:
        """Whether an `Origin` header names a page of this bridge, which was asked at `host`. Where
        a proxy changes `Host`, a setting says what it was."""
        netloc = _split(origin).netloc.lower()
        return netloc != "" and (netloc == host.lower() or netloc in self._origins)


def _split(url: str) -> SplitResult:
    """A URL that a stranger sent; one that is none has no host."""
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else urlsplit("")
    except ValueError:
        return urlsplit("")
