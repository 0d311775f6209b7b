"""What an upstream's fate means for the sessions that watch it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from events.admission import lingering
from events.commands import (
    ChangeSource,
    Progress,
    UpstreamClosed,
    UpstreamCompleted,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamOpened,
)
from events.decision import Decision
from events.envelope import Draft, Payload
from events.ids import ChannelId, UnixMicros, channel_stream
from events.machine import CONNECTING, ENDED, RECOVERING
from events.releases import release, releases_after
from events.session import RESTARTED, ended_by_client, failed, reclaimed
from events.world import Lease, Session, World


def current(channel: ChannelId, lease: int, world: World) -> Lease | None:
    """The lease a report is about; None when that lease was returned meanwhile."""
    found = world.leases.get(channel)
    return found if found is not None and found.ver == lease else None


def upstream_opened(command: UpstreamOpened, world: World) -> Decision:
    lease = current(command.channel, command.lease, world)
    if lease is None:
        return Decision()
    more = {"url": command.url, "digest": command.digest}
    return Decision(
        drafts=(_upstream(lease, "upstream_opened", command.at, command.attempt, more),)
    )


def upstream_first_byte(command: UpstreamFirstByte, world: World) -> Decision:
    lease = current(command.channel, command.lease, world)
    if lease is None:
        return Decision()
    more: dict[str, object] = {"after_ms": command.after_ms}
    if lease.lost_at is not None:
        more["gap_ms"] = (command.at - lease.lost_at) // 1_000
    return Decision(
        drafts=(_upstream(lease, "upstream_first_byte", command.at, command.attempt, more),)
    )


def upstream_lost(command: UpstreamLost, world: World) -> Decision:
    lease = current(command.channel, command.lease, world)
    if lease is None:
        return Decision()
    more = {
        "reason": command.reason,
        "detail": command.detail,
        "gave_bytes": command.gave_bytes,
    }
    drafts = [_upstream(lease, "upstream_lost", command.at, command.attempt, more)]
    observed = dict(command.progress)
    for name in lease.sessions:
        session = world.sessions[name]
        if session.state == CONNECTING and (lease.delivered or command.more):
            continue  # it waits out its own deadline for what is being tried
        reason = command.reason if command.gave_bytes or not lease.delivered else RESTARTED
        drafts += _with_attempts_spent(
            failed(
                session,
                world.policy,
                at=command.at,
                reason=reason,
                detail=command.detail,
                progress=observed.get(name),
                because=0,
            ),
            session,
            world,
            at_index=len(drafts),
        )
    return Decision(
        drafts=(
            *drafts,
            *releases_after(drafts, world, command.at, lease=lease, why="upstream_failed"),
        )
    )


def _with_attempts_spent(
    error: Draft, session: Session, world: World, at_index: int
) -> tuple[Draft, ...]:
    """The error, and in the same append the reclaim once it spent the last attempt."""
    attempts = cast(int, error.payload.get("attempts", 0))
    if error.dst == ENDED or attempts < world.policy.recovery_attempts:
        return (error,)
    end = reclaimed(
        replace(session, state=RECOVERING),
        world.policy,
        at=error.at,
        reason="stale",
        detail="recovery_exhausted",
        progress=Progress(bytes=error.payload["bytes"], accepted_at=error.payload["accepted_at"]),
        because=at_index,
    )
    return (error, end)


def change_source(command: ChangeSource, world: World) -> Decision:
    """A failover to another account takes one of its connections, as a tune would: free ones and
    those of lingering relays; never one that a viewer holds. Nothing follows where none is left."""
    lease = current(command.channel, command.lease, world)
    if lease is None or lease.source == command.source:
        return Decision()
    of_source = [other for other in world.leases.values() if other.source == command.source]
    missing = len(of_source) + 1 - command.allowed if command.allowed else 0
    given_up = [other for other in lingering(world) if other in of_source][: max(0, missing)]
    if len(given_up) < missing:
        return Decision()
    payload: Payload = {
        "lease": lease.ver,
        "source": command.source,
        "before": lease.source,
        "attempt": command.attempt,
        "in_use": len(of_source) + 1 - len(given_up),
        "allowed": command.allowed,
    }
    changed = Draft(
        stream=channel_stream(lease.channel), type="source_changed", at=command.at, payload=payload
    )
    return Decision(
        drafts=(*(release(other, command.at, why="given_up") for other in given_up), changed)
    )


def upstream_completed(command: UpstreamCompleted, world: World) -> Decision:
    lease = current(command.channel, command.lease, world)
    if lease is None:
        return Decision()
    observed = dict(command.progress)
    closed = _upstream(
        lease, "upstream_closed", command.at, command.attempt, {"detail": "completed"}
    )
    ends = [
        ended_by_client(
            world.sessions[name],
            world.policy,
            at=command.at,
            reason="disconnect",
            detail="completed",
            progress=observed.get(name),
            because=0,
        )
        for name in lease.sessions
    ]
    drafts = [closed, *ends]
    return Decision(drafts=(*drafts, *releases_after(drafts, world, command.at, lease=lease)))


def upstream_closed(command: UpstreamClosed, world: World) -> Decision:
    payload = {"lease": command.lease, "source": command.source, "attempt": command.attempt}
    draft = Draft(
        stream=channel_stream(command.channel),
        type="upstream_closed",
        at=command.at,
        payload=payload,
    )
    return Decision(drafts=(draft,))


def _upstream(
    lease: Lease, type_: str, at: UnixMicros, attempt: int, more: Mapping[str, object]
) -> Draft:
    payload: Payload = {"lease": lease.ver, "source": lease.source, "attempt": attempt, **more}
    return Draft(stream=channel_stream(lease.channel), type=type_, at=at, payload=payload)
