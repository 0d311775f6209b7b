"""Why a session's connection ends, and whether the session outlives it.

The vocabulary and the formula are the seed's (its "Critical Fixes Summary", fix 1): a deliberate
end always terminates; an error keeps the session for its grace; for any other word a program may
send, `SESSION_KEEP_ALIVE` decides.
"""

from enum import StrEnum
from typing import Final

from events.policy import Policy

INTENTIONAL: Final = frozenset(
    {
        "disconnect",
        "client_disconnect",
        "manual",
        "user_requested",
        "shutdown",
        "forced",
        "orphaned",
        "stale",
    }
)
"""Deliberate ends, and ends the bridge itself decides."""

ERRORS: Final = frozenset(
    {
        "ffmpeg_error",
        "process_closed",
        "stream_failed",
        "timeout",
        "response_invalid",
        "restart_error",
        "restart_failed",
        "response_invalid_during_restart",
        "response_closed",
    }
)
"""Troubles of an upstream or a child process."""

assert not INTENTIONAL & ERRORS, "a word has one class"


class ReasonClass(StrEnum):
    """The three classes of a reason."""

    INTENTIONAL = "intentional"
    ERROR = "error"
    OTHER = "other"


def classify(reason: str) -> ReasonClass:
    """The class of a reason; every word has one."""
    if reason in INTENTIONAL:
        return ReasonClass.INTENTIONAL
    if reason in ERRORS:
        return ReasonClass.ERROR
    return ReasonClass.OTHER


def maintained(reason: str, policy: Policy) -> bool:
    """Whether a session is kept (in `recovering`) when this ends its connection.

    Holds once the first byte was sent; before it nothing is kept (DESIGN section 3). With
    `ENHANCED_CLEANUP_DISABLED` the rule of before the seed's fix holds, in which a deliberate end
    was kept alive like any other.
    """
    kept = reason in ERRORS or policy.keep_alive
    if policy.enhanced_cleanup_disabled:
        return kept
    return reason not in INTENTIONAL and kept


def label_of(reason: str) -> str:
    """A reason as one of a bounded number of labels: a program may send any word."""
    return reason if reason in INTENTIONAL or reason in ERRORS else ReasonClass.OTHER.value
