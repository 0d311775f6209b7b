"""What became of a child, in words of the log.

Pure. A child that ended says why in its exit status at most, and in prose on its standard error;
the few sentences of ffmpeg that tell a refusal of the provider from a fault of ours are known here.
"""

import re
import signal
from collections.abc import Sequence
from typing import Final

from plexbridge.relay.ports import UpstreamFailed

FFMPEG_MISSING: Final = "ffmpeg_missing"
FFMPEG_FORBIDDEN: Final = "ffmpeg_forbidden_address"
FFMPEG_NOT_STARTED: Final = "ffmpeg_not_started"
"""The system gives no more processes or descriptors."""

_CAUSES: Final = (
    (re.compile(r"\b(401|403|404)\b (?:Unauthorized|Forbidden|Not Found)", re.I), None),
    (re.compile(r"HTTP error ([45]\d\d)\b"), None),
    (re.compile(r"Connection refused"), "upstream_refused"),
    (re.compile(r"(?:Network is unreachable|No route to host)"), "upstream_unreachable"),
    (re.compile(r"Connection timed out"), "upstream_connect_timeout"),
    (re.compile(r"Connection reset by peer"), "upstream_reset"),
    (re.compile(r"certificate (?:failed verification|verify failed)", re.I), "upstream_tls"),
    (re.compile(r"Failed to resolve hostname"), "upstream_dns"),
)
"""A sentence, and the word for it; None: its number is an HTTP status."""


def exit_word(code: int) -> str:
    """How it ended: `ffmpeg_exited_1`, or `ffmpeg_killed_9` by a signal."""
    return f"ffmpeg_exited_{code}" if code >= 0 else f"ffmpeg_killed_{-code}"


def failure_of(code: int, lines: Sequence[str]) -> UpstreamFailed:
    """Why a child that nobody ended is gone.

    `code`: its exit status, negative for a signal. `lines`: the last of its standard error.
    """
    if code == 0:
        # It read to an end that a live channel does not have.
        return UpstreamFailed("process_closed", "ffmpeg_ended")
    if code == -signal.SIGKILL:
        # Not by us: a person, or the kernel for want of memory.
        return UpstreamFailed("process_closed", exit_word(code))
    return UpstreamFailed("ffmpeg_error", _cause(lines) or exit_word(code))


def _cause(lines: Sequence[str]) -> str | None:
    for line in reversed(lines):
        for pattern, word in _CAUSES:
            found = pattern.search(line)
            if found is not None:
                return word or f"upstream_http_{found[1]}"
    return None
