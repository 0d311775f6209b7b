"""When each open session, and each lingering relay, is due; and what is due now.

Deadlines count from the last programme byte the client's socket accepted (before the first: from
`connect`), never from the start; no timer of ours moves them (DESIGN section 3).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from events.commands import Command, Expire, LingerOver, Progress
from events.ids import UnixMicros
from events.machine import ACTIVE, CONNECTING, ENDED, ERROR, RECLAIM, RECOVERING
from events.policy import Policy
from events.world import Lease, Session, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """What happens to a session that goes on as it is."""

    trigger: str
    reason: str
    after_ms: int
    counted_from: UnixMicros

    @property
    def at(self) -> UnixMicros:
        """When it is due."""
        return UnixMicros(self.counted_from + self.after_ms * 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the shell sees of a session now."""

    progress: Progress
    waiting: bool
    acknowledging: bool


Observe = Callable[[Session], Observation]


def deadline(session: Session, policy: Policy, progress: Progress | None = None) -> Deadline:
    """The deadline of a session's state, from what is recorded or was observed since."""
    accepted_at = session.accepted_at
    if progress is not None:
        accepted_at = max(accepted_at, progress.accepted_at)
    if session.state == CONNECTING:
        return Deadline(
            trigger=ERROR,
            reason="timeout",
            after_ms=policy.first_byte_ms,
            counted_from=session.connected_at,
        )
    if session.state == ACTIVE:
        return Deadline(
            trigger=RECLAIM,
            reason="orphaned",
            after_ms=policy.active_idle_ms,
            counted_from=accepted_at,
        )
    assert session.state == RECOVERING, f"{session.state} has no deadline"
    return Deadline(
        trigger=RECLAIM, reason="stale", after_ms=policy.grace_ms, counted_from=accepted_at
    )


def overdue(
    session: Session, policy: Policy, progress: Progress, waiting: bool, now: UnixMicros
) -> bool:
    """Whether a session's deadline has passed, with what is seen of it now."""
    if session.state == CONNECTING and progress.bytes > session.bytes:
        return False  # it has its first byte, which is about to be told
    if session.state == ACTIVE and not waiting:
        return False  # there was nothing that its client could have accepted
    return now >= deadline(session, policy, progress).at


def linger_over_at(lease: Lease, policy: Policy) -> UnixMicros:
    """When a relay without sessions is to be returned."""
    assert lease.empty_since is not None, "only an empty relay lingers"
    return UnixMicros(lease.empty_since + policy.linger_ms * 1_000)


def due(world: World, observe: Observe, now: UnixMicros) -> Iterator[Command]:
    """The commands that time asks for now. The caller gives each to the door, which looks again."""
    for session in list(world.sessions.values()):
        if session.state == ENDED:
            continue  # by what the caller did with a command before this one
        if now < deadline(session, world.policy).at:
            continue  # not due even without anything accepted since
        seen = observe(session)
        if overdue(session, world.policy, seen.progress, seen.waiting, now):
            yield Expire(
                at=now,
                session=session.id,
                progress=seen.progress,
                waiting=seen.waiting,
                acknowledging=seen.acknowledging,
            )
    for lease in list(world.leases.values()):
        if lease.empty_since is not None and now >= linger_over_at(lease, world.policy):
            yield LingerOver(at=now, channel=lease.channel, lease=lease.ver)
