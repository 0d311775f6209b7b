"""When a lease returns, and what its return says."""

from events.envelope import Draft
from events.ids import SessionId, UnixMicros, channel_stream
from events.machine import ENDED
from events.world import LOST_UPSTREAM, Lease, World


def release(lease: Lease, at: UnixMicros, *, why: str, because: int | None = None) -> Draft:
    return Draft(
        stream=channel_stream(lease.channel),
        type="tuner_released",
        at=at,
        because=because,
        payload={
            "tuner": lease.tuner,
            "source": lease.source,
            "lease": lease.ver,
            "why": why,
            "held_ms": (at - lease.leased_at) // 1_000,
        },
    )


def releases_after(
    drafts: list[Draft],
    world: World,
    at: UnixMicros,
    *,
    lease: Lease | None = None,
    why: str = "last_session_ended",
    lingers: bool = False,
) -> list[Draft]:
    """What the ends among `drafts` mean for the leases: a relay that lost its last session is
    returned, or lingers when its player closed by itself and its upstream is well."""
    ended = {
        SessionId(draft.stream.removeprefix("session-")): index
        for index, draft in enumerate(drafts)
        if draft.dst == ENDED
    }
    touched = dict.fromkeys(world.sessions[name].channel for name in ended)
    leases = [world.leases[channel] for channel in touched]
    if lease is not None and lease not in leases:
        leases.append(lease)
    released = []
    for one in leases:
        if any(name not in ended for name in one.sessions):
            continue
        well = one.upstream != LOST_UPSTREAM
        if lingers and well and world.policy.linger_ms > 0:
            continue
        last = ended[one.sessions[-1]] if one.sessions else 0
        released.append(release(one, at, why=why, because=last))
    return released
