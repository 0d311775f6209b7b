"""What can happen to one session: each rule drafts one event, guarded by the machine."""

from typing import Any, Final

from events.commands import Progress
from events.envelope import Draft
from events.ids import UnixMicros, session_stream
from events.machine import (
    ACTIVE,
    ACTIVITY,
    CONNECTING,
    DISCONNECT,
    ERROR,
    MACHINE_ID,
    RECLAIM,
    Guard,
    step,
)
from events.policy import Policy
from events.reasons import ReasonClass, classify, maintained
from events.world import Session

RESTARTED: Final = "restart_error"
"""A reconnect attempt failed: it counts against `recovery_attempts`."""


def accepted(
    session: Session, policy: Policy, *, at: UnixMicros, progress: Progress
) -> Draft | None:
    """Programme bytes were accepted: recorded on a change of state at once, else once in a while.

    None where nothing is to be recorded.
    """
    if progress.bytes <= session.bytes or session.connection is None:
        return None
    if session.state == ACTIVE and at - session.recorded_at < policy.activity_record_ms * 1_000:
        return None
    payload: dict[str, Any] = {"bytes": progress.bytes, "accepted_at": progress.accepted_at}
    if session.state == CONNECTING:
        payload["first_byte_ms"] = (progress.accepted_at - session.connected_at) // 1_000
    return _draft(session, ACTIVITY, at, Guard(), payload)


def ended_by_client(
    session: Session,
    policy: Policy,
    *,
    at: UnixMicros,
    reason: str,
    detail: str,
    progress: Progress | None,
    because: int | None = None,
) -> Draft:
    """The client's end, or a program's report of it (`disconnect`)."""
    kept = session.state != CONNECTING and maintained(reason, policy)
    payload = _end(session, policy, reason, detail, progress, kept)
    return _draft(session, DISCONNECT, at, Guard(maintained=kept), payload, because)


def failed(
    session: Session,
    policy: Policy,
    *,
    at: UnixMicros,
    reason: str,
    detail: str,
    progress: Progress | None,
    because: int | None = None,
) -> Draft:
    """An upstream's trouble, or a first byte that did not come (`error`)."""
    kept = session.state != CONNECTING and maintained(reason, policy)
    payload = _end(session, policy, reason, detail, progress, kept)
    heard = progress is not None and progress.bytes > session.bytes
    payload["attempts"] = (0 if heard else session.attempts) + (reason == RESTARTED)
    return _draft(session, ERROR, at, Guard(maintained=kept), payload, because)


def reclaimed(
    session: Session,
    policy: Policy,
    *,
    at: UnixMicros,
    reason: str,
    detail: str,
    progress: Progress | None,
    because: int | None = None,
) -> Draft:
    """The bridge takes the session back (`reclaim`): it ends under every policy."""
    payload = _end(session, policy, reason, detail, progress, kept=False)
    return _draft(session, RECLAIM, at, Guard(), payload, because)


def _end(
    session: Session,
    policy: Policy,
    reason: str,
    detail: str,
    progress: Progress | None,
    kept: bool,
) -> dict[str, Any]:
    return {
        "reason": reason,
        "detail": detail,
        "bytes": session.bytes if progress is None else max(progress.bytes, session.bytes),
        "accepted_at": (
            session.accepted_at
            if progress is None
            else max(progress.accepted_at, session.accepted_at)
        ),
        "maintained": kept,
        "intentional": classify(reason) is ReasonClass.INTENTIONAL,
        "keep_alive": policy.keep_alive,
    }


def _draft(
    session: Session,
    trigger: str,
    at: UnixMicros,
    guard: Guard,
    payload: dict[str, Any],
    because: int | None = None,
) -> Draft:
    return Draft(
        stream=session_stream(session.id),
        type=trigger,
        at=at,
        src=session.state,
        dst=step(session.state, trigger, guard),
        machine=MACHINE_ID,
        payload=payload,
        because=because,
    )
