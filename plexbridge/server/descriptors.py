"""How many connections the process's file descriptors allow.

A process without descriptors can accept nobody, open no upstream and not even close in order; so
connections are bounded below the limit, and the rest is kept free (HAProxy's `maxconn` does so).
"""

import os
import sys
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import resource

RESERVE: Final = 16
"""For what comes and goes: files being written, name resolution, a refresh of a playlist."""

PER_UPSTREAM: Final = 4
"""Of one tuner: its upstream's socket, the next one while it changes, a child's two pipes."""

CONNECTIONS_MIN: Final = 4
"""Fewer serve nobody; below this the limit itself is the fault, and that is said."""

CONNECTIONS_MAX: Final = 10_000
"""Where the system sets no limit that matters: far more than players, far less than memory."""

_OPEN_GUESSED: Final = 48
"""Open at start where the system does not list them: store, loop, listener, standard streams."""


def connections_allowed(limit: int, *, open_now: int, upstreams: int) -> int:
    """Connections that `limit` descriptors allow beside what is open and what upstreams need."""
    left = limit - open_now - RESERVE - PER_UPSTREAM * upstreams
    return max(CONNECTIONS_MIN, min(left, CONNECTIONS_MAX))


def descriptor_limit() -> int | None:
    """The process's soft limit of open files; None where there is none."""
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def descriptors_open() -> int:
    """Descriptors open now; a guess where the system does not list them."""
    for listing in ("/proc/self/fd", "/dev/fd"):
        if Path(listing).is_dir():
            return len(os.listdir(listing))
    return _OPEN_GUESSED
