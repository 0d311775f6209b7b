"""Stories worth keeping: each is what is asked of a bridge, one after the other.

Knows commands only. One for every reason a session ends with, and for what made a bug visible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from events.commands import Command, Recover, ShutDown, Started, TooSlow
from events.ids import ConnectionId, SessionId
from events.machine import MACHINE_ID
from events.policy import Policy
from events.uptake import Uptake
from tests.core.given import (
    at,
    closed,
    completed,
    expire,
    first_byte,
    linger_over,
    lost,
    moves,
    opened,
    plex,
    progress,
    reported,
    socket_gone,
    stop,
    took,
    tune,
)


@dataclass(frozen=True, slots=True)
class Story:
    """What was asked, and under which rules."""

    name: str
    commands: Sequence[Command]
    policy: Mapping[str, Any] = field(default_factory=dict)

    def rules(self) -> Policy:
        """The policy in force."""
        return replace(Policy(linger_ms=0), **self.policy)

    def begun(self) -> list[Command]:
        """The bridge starts; then the story."""
        start = Started(at=at(0), version="1", machine=MACHINE_ID, policy=self.rules())
        return [start, *self.commands]


WATCHING: Final[tuple[Command, ...]] = (
    tune("s1", second=1),
    opened(second=1.2),
    first_byte(second=1.4),
    took("s1", 1_316, second=1.5),
)
"""Session s1 on channel 1, served."""


def _gone(second: float) -> Command:
    """The upstream's socket is closed, just after that."""
    return socket_gone(second=second + 0.01)


def _ended_by(reason: str, *more: Command, **policy: Any) -> Story:
    return Story(reason, (*WATCHING, *more), policy)


def _unheard(reason: str, detail: str) -> Story:
    """The upstream fails before the player has heard anything."""
    failed: Any = lost(second=2, gave_bytes=False, reason=reason)
    return Story(reason, (tune("s1", second=1), replace(failed, detail=detail), _gone(2)))


def _too_slow() -> Command:
    return TooSlow(
        at=at(60),
        session=SessionId("s1"),
        connection=ConnectionId(1),
        progress=progress(9_000, 59),
        uptake=Uptake(
            over_ms=40_000, taken_bytes=10, offered_bytes=9_999_999, behind_ms=40_000, skips=0
        ),
    )


def _detailed(command: Any, detail: str) -> Command:
    changed: Command = replace(command, detail=detail)
    return changed


STORIES: Final = (
    _ended_by("disconnect", completed(second=9)),
    _ended_by("client_disconnect", closed("s1", second=9, seen=progress(9_000, 8)), _gone(9)),
    _ended_by("manual", _detailed(stop("s1", second=9), "by_admin"), _gone(9)),
    _ended_by("user_requested", reported("s1", "user_requested", second=9), _gone(9)),
    _ended_by("forced", _detailed(stop("s1", second=9, reason="forced"), "by_admin"), _gone(9)),
    _ended_by("shutdown", ShutDown(at=at(9), progress=()), _gone(9)),
    _ended_by("orphaned", expire("s1", second=30, seen=progress(9_000, 9)), _gone(30)),
    _ended_by("stale", lost(second=9), expire("s1", second=60, seen=progress(9_000, 8)), _gone(60)),
    _unheard("stream_failed", "upstream_http_404"),
    _unheard("timeout", "upstream_no_answer"),
    _unheard("response_invalid", "not_mpeg_ts"),
    _unheard("ffmpeg_error", "ffmpeg_missing"),
    _unheard("process_closed", "ffmpeg_ended"),
    _unheard("restart_failed", "ffmpeg_restarts_exhausted"),
    _ended_by("restart_error", reported("s1", "restart_error", second=9), stop("s1", second=12)),
    *(
        _ended_by(reason, reported("s1", reason, second=9), stop("s1", second=12))
        for reason in ("response_invalid_during_restart", "response_closed")
    ),
    _ended_by("gone_to_bed", reported("s1", "gone_to_bed", second=9), _gone(9)),
    _ended_by("kept_over_another_word", reported("s1", "gone_to_bed", second=9), keep_alive=True),
    _ended_by(
        "stalled", expire("s1", second=30, seen=progress(9, 9), acknowledging=True), _gone(30)
    ),
    _ended_by("too_slow", _too_slow(), _gone(60)),
    _ended_by("crash", Recover(at=at(9))),
    _ended_by(
        "attempts_spent",
        lost(second=9),
        lost(second=10, gave_bytes=False),
        _gone(10),
        recovery_attempts=1,
    ),
    _ended_by(
        "recovered",
        lost(second=9),
        opened(second=11, attempt=2),
        first_byte(second=11.2, attempt=2),
    ),
    Story(
        "resumed",
        (
            tune("s1", second=1, client=plex("tv")),
            *WATCHING[1:],
            lost(second=9),
            tune("s2", second=10, client=plex("tv")),
            first_byte(second=11, attempt=2),
            took("s1", 5_000, second=11.5),
            closed("s1", second=20, connection=2, seen=progress(9_000, 19)),
            _gone(20),
        ),
    ),
    Story(
        "zap",
        (
            tune("s1", second=1, client=plex("tv"), sources=[("p", 1)]),
            *WATCHING[1:],
            tune("s2", "2", second=9, client=plex("tv"), sources=[("p", 1)]),
            _gone(9),
            closed("s2", second=20),
        ),
    ),
    Story(
        "refused",
        (
            tune("s1", second=1, sources=[("p", 1)]),
            *WATCHING[1:],
            tune("s2", "2", second=9, asked=5, sources=[("p", 1)]),
            closed("s1", second=20),
            _gone(20),
        ),
    ),
    Story(
        "other_source",
        (
            tune("s1", second=1, sources=[("p", 1), ("q", 1)]),
            *WATCHING[1:],
            lost(second=9),
            moves("q", second=9.5, allowed=1),
            opened(second=10, attempt=2),
            first_byte(second=10.4, attempt=2),
            took("s1", 4_000, second=10.5),
            closed("s1", second=20),
            socket_gone(second=20.1),
        ),
    ),
    Story(
        "lingering",
        (*WATCHING, closed("s1", second=9), linger_over(second=15), socket_gone(second=15.1)),
        {"linger_ms": 5_000},
    ),
)

BUGS: Final = (
    Story(
        "bug_lease_without_relay",
        (
            *WATCHING,
            closed("s1", second=9),
            _detailed(lost(second=9.5, gave_bytes=False), "closed_meanwhile"),
            _gone(9.5),
        ),
        {"linger_ms": 5_000},
    ),
)
"""What a log holds in which a bug was put right: see `tests/core/test_left_behind.py`."""
