"""The bounds of our edges, and the uvicorn configuration that carries them to each connection."""

from dataclasses import dataclass
from typing import Any

import uvicorn


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """What one connection may take, and for how long."""

    head_deadline_s: float = 10.0
    """From the connection (or the first byte of a later request) to the end of the request's head:
    longer than the slowest player on a home network needs."""

    head_bytes: int = 64 * 1024
    """Longest unfinished head. Checked after each read, so one read (256 KiB) more at most."""

    body_deadline_s: float = 60.0
    """From the end of the head to the end of the body. Our largest, 1 MB, arrives in 60 s over
    140 kbit/s."""

    keep_alive_idle_s: int = 5
    """Between an answer and the next request."""

    flush_deadline_s: float = 5.0
    """For the last bytes of a finished response to leave this process; then the socket is
    aborted. Equal to the drain's backstop: a finished stream must not outlast it."""

    connections_per_address: int = 64
    """From each address but loopback; 0 is no bound. A player opens three at a channel change, a
    media server one for each viewer, a page seven."""

    connections: int | None = None
    """In all; None: what the process's file descriptors allow."""

    pipelined_requests: int = 16
    """Requests that may wait behind a running answer: no player pipelines, and one read of tiny
    requests holds thousands."""


class EdgeConfig(uvicorn.Config):
    """uvicorn's configuration with our limits; our protocols read them from here."""

    def __init__(self, app: Any, *, limits: EdgeLimits, **options: Any) -> None:
        super().__init__(app, timeout_keep_alive=limits.keep_alive_idle_s, **options)
        self.limits = limits
