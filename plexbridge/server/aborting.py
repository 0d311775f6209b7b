"""Ending a connection at once. `close()` waits for a buffer that a stalled peer never empties."""

import asyncio
import contextlib
import socket
import struct

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def abort_transport(transport: asyncio.Transport) -> None:
    """Free the file descriptor, our buffer and the kernel's queue in the loop's next turn.

    Without SO_LINGER(1, 0) the kernel would keep up to megabytes in FIN-WAIT-1 for a peer that
    does not read. May be called again.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        _drop_on_close(sock)
    transport.abort()


def reset_socket(sock: socket.socket) -> None:
    """Close a socket that nothing was made for yet; its peer sees a reset."""
    _drop_on_close(sock)
    sock.close()


def _drop_on_close(sock: socket.socket) -> None:
    # Some systems refuse options on a connection the peer has reset: it is free already then.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
