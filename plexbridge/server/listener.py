"""The listening socket, with the options that every accepted connection inherits.

Knows sockets and what to tell a person whose port is taken. Knows nothing of HTTP.
"""

import errno
import ipaddress
import socket

BACKLOG = 2_048
"""Connections the kernel holds for us: a whole house at once, while the loop is busy or every place
is taken. Beyond it the kernel drops, and players ask again after 1 s, 3 s, 7 s. The system may hold
fewer (`net.core.somaxconn`: 4096 today, 128 before Linux 5.4)."""

USER_TIMEOUT_MS = 22_000
"""Sent bytes unacknowledged, or a window closed and unanswered, this long: the peer has vanished.
Above the 20 s deadline of an active session, so that a player which merely stopped reading is
recorded as stalled by us first; below the 25 s within which a vanished player must be gone."""

NOT_SENT_LOWAT_BYTES = 256 * 1024
"""Unsent bytes the kernel takes per connection, a relay's chunk (200 kB) and some more: a stalled
player then holds less than 1 MB of kernel memory, not 4 MB, and "accepted by the player" stays
close to the truth."""

KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 15, 5, 2
"""For connections that send nothing: 15 + 2 × 5 = 25 s until a vanished peer is noticed."""

_TCP_OPTIONS = (
    ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
    ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
    ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
    ("TCP_NOTSENT_LOWAT", NOT_SENT_LOWAT_BYTES),
)


class ListenFailed(Exception):
    """The bridge cannot listen; the text is one line for a person and says what to do."""

    def __init__(self, text: str, *, host: str, port: int) -> None:
        super().__init__(text)
        self.host = host
        self.port = port


class PortTaken(ListenFailed):
    """Another program listens there."""


class PortNotAllowed(ListenFailed):
    """The system reserves that port (below 1024)."""


class AddressNotHere(ListenFailed):
    """The host is not an address of this machine, or not an address at all."""


def open_listener(host: str, port: int) -> socket.socket:
    """A listening, non-blocking socket for `Server.serve(sockets=[...])`.

    `host` is a numeric address or `localhost`; `::` takes IPv4 as well. Port 0 takes a free one.

    Raises:
        PortTaken, PortNotAllowed, AddressNotHere: with one line for the person.
    """
    address = _address(host, port)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _failure(error, host, port) from error
    try:
        _set_options(sock, family, both=address.is_unspecified)
        sock.bind((str(address), port))
        # At once: with SO_REUSEADDR two programs may bind one port, and only one of them listen.
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _failure(error, host, port) from error
    return sock


def _set_options(sock: socket.socket, family: int, *, both: bool) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
    for name, value in _TCP_OPTIONS:
        option: int | None = getattr(socket, name, None)
        if option is not None:  # macOS has no TCP_USER_TIMEOUT
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _address(host: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        text = (
            f"cannot listen on {host!r}: give a numeric address of this machine, "
            "or 0.0.0.0 for all of them (--host)"
        )
        raise AddressNotHere(text, host=host, port=port) from error


def _failure(error: OSError, host: str, port: int) -> ListenFailed:
    other = port + 1 if 1024 <= port < 65535 else 3000
    if error.errno == errno.EADDRINUSE:
        text = (
            f"port {port} on {host} is already in use: stop the program that uses it, "
            f"or choose another port, as in PORT={other} make run (or --port {other})"
        )
        return PortTaken(text, host=host, port=port)
    if error.errno in (errno.EACCES, errno.EPERM):
        text = (
            f"port {port} on {host} is reserved by the system: choose one above 1023, "
            f"as in PORT={other} make run (or --port {other})"
        )
        return PortNotAllowed(text, host=host, port=port)
    text = (
        f"cannot listen on {host} port {port} ({error.strerror}): give an address of this machine, "
        "or 0.0.0.0 for all IPv4 addresses (--host)"
    )
    return AddressNotHere(text, host=host, port=port)
