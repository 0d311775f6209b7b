"""The values that rules depend on. Recorded at start and at each change, so that any decision can
be explained and decided again later."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

ACTIVE_IDLE_MS: Final = 20_000
"""An active session whose client accepted nothing for this long, while bytes were to be had, is
reclaimed (DESIGN section 3: a client that vanishes or stops reading is gone within 25 s)."""

RECOVERY_ATTEMPTS: Final = 10
"""Reconnect attempts a recovering session outlives (the seed's `STREAM_MAX_RECOVERY_ATTEMPTS`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything a decision depends on beside state and command. Times in milliseconds."""

    keep_alive: bool = False
    """`SESSION_KEEP_ALIVE`: decides for reasons that are neither deliberate nor errors."""
    enhanced_cleanup_disabled: bool = False
    """`ENHANCED_CLEANUP_DISABLED`: the rule of before the seed's fix."""
    auto_upgrade: bool = True
    """`AUTO_UPGRADE_TO_RESILIENT`."""
    grace_ms: int = 30_000
    """`SESSION_TIMEOUT_GRACE`: how long `recovering` lasts after the last accepted byte."""
    first_byte_ms: int = 5_000
    """How long a player waits for its first byte (a real HDHomeRun: 5 s)."""
    active_idle_ms: int = ACTIVE_IDLE_MS
    uptake_window_ms: int = 30_000
    """A client that took less than a quarter of its channel over this time is let go."""
    skips_allowed: int = 5
    """A client that was skipped forward more often than this in a minute is let go."""
    recovery_attempts: int = RECOVERY_ATTEMPTS
    activity_record_ms: int = 10_000
    """An active session's activity is recorded at most this often."""
    linger_ms: int = 5_000
    """How long a relay outlives its last session; 0 turns it off."""
    admission_wait_ms: int = 2_000
    """How long a request waits for a release before it is refused."""
    tuners: int = 4
    """`TUNER_COUNT`."""
    max_sessions: int = 0
    """`MAX_CONCURRENT_STREAMS`; 0 is no bound."""

    def as_payload(self) -> dict[str, Any]:
        """For the `policy_set` event."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read back; unknown names of a newer version are left aside, missing ones get today's
        defaults (schema changes are additive, DESIGN section 5)."""
        known = {name: payload[name] for name in cls.__dataclass_fields__ if name in payload}
        return cls(**known)
