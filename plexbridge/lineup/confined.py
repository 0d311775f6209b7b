"""What a worker process may not: much memory, a core dump, going before whoever watches, living on
after the bridge."""

import ctypes
import os
import resource
import signal
import sys
from typing import Final

NICENESS: Final = 10
"""Whoever watches comes first."""

_PR_SET_PDEATHSIG: Final = 1


def confine(address_space_bytes: int) -> None:
    """Confine this process. What is mapped is far more than what is resident: leave room."""
    parent = os.getppid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    os.nice(NICENESS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it was heard
            sys.exit(1)
