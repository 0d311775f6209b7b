"""The numbers a relay goes by, and the pause before the next attempt. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPolicy:
    """Deadlines, back-off and memory of one relay. The defaults are those of the design."""

    first_byte_ms: int = 5_000
    """For one attempt, from asking to the first good packets: what HDHomeRun grants a tune."""
    stall_ms: int = 3_000
    """Without a good packet: below the patience of players, who give up after 3 to 5 s."""
    backoff_first_ms: int = 250
    """A live channel that dropped is mostly back at once; the gap a viewer sees is to be short."""
    backoff_cap_ms: int = 4_000
    """So that several attempts fit into the grace of a session."""
    retry_after_cap_ms: int = 30_000
    """A provider may ask for a longer pause than the cap, but not for longer than the grace."""
    steady_ms: int = 5_000
    """An attempt that delivered for this long was good: the next back-off begins anew."""
    resilient: bool = True
    """False: the first loss of a relay is answered by one plain reconnect, without filler and
    without a look at other upstreams (`AUTO_UPGRADE_TO_RESILIENT`)."""
    splice_ms: int = 1_000
    """How long a new attempt is held back until it can be joined cleanly to what players have."""
    source_full_ms: int = 1_000
    """Until an upstream is looked at again whose source had no connection left."""
    ring_bytes: int = 8 * 1024 * 1024
    """At most: for a reader that lags, or access points far apart. Mostly it holds what came since
    the newest access point. Half of it must be more than one read brings (0.25 MB), or a pause
    would come too late."""


def pause_ms(
    policy: RelayPolicy, *, failures: int, chance: float, retry_after_s: float | None
) -> float:
    """How long to wait before the next attempt, in milliseconds.

    `failures`: attempts in a row that brought nothing lasting, this one included (1-based).
    `chance`: 0 ≤ x < 1. It spreads the pause over the upper half of its step, so that relays that
    lost one provider together do not come back together.
    """
    assert failures >= 1, "a pause follows a failure"
    assert 0 <= chance < 1, "chance is a fraction"
    # The exponent is bounded because a float is not: 2.0 ** 1024 overflows on a long outage.
    step = min(policy.backoff_first_ms * 2.0 ** min(failures - 1, 32), policy.backoff_cap_ms)
    pause = step * (0.5 + chance / 2)
    if retry_after_s is None:
        return pause
    return max(pause, min(retry_after_s * 1_000, policy.retry_after_cap_ms))
