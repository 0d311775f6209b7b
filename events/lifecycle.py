"""The bridge itself starts, is set otherwise, recovers and stops."""

from collections.abc import Mapping

from events.commands import ChangeSettings, Note, Progress, Recover, ShutDown, Started
from events.decision import Decision
from events.envelope import Draft
from events.ids import BRIDGE_STREAM, SessionId, UnixMicros
from events.policy import Policy
from events.releases import release
from events.session import reclaimed
from events.world import World


def started(command: Started, world: World) -> Decision:
    facts = {"version": command.version, "machine": command.machine, **dict(command.facts)}
    begun = Draft(stream=BRIDGE_STREAM, type="started", at=command.at, payload=facts)
    return Decision(drafts=(begun, _in_force(command.policy, command.at)))


def change_settings(command: ChangeSettings, world: World) -> Decision:
    """Sessions and leases stay, also beyond a bound that is lower now: it is for who comes."""
    changed = Draft(
        stream=BRIDGE_STREAM,
        type="settings_changed",
        at=command.at,
        payload={"names": list(command.names), "by": command.by},
    )
    if command.policy is None:
        return Decision(drafts=(changed,))
    return Decision(drafts=(changed, _in_force(command.policy, command.at)))


def _in_force(policy: Policy, at: UnixMicros) -> Draft:
    """The policy from here on, because of the first event of the decision."""
    payload = policy.as_payload()
    return Draft(stream=BRIDGE_STREAM, type="policy_set", at=at, payload=payload, because=0)


def recover(command: Recover, world: World) -> Decision:
    """Reclaim what a crash left open; nothing of it has an owner any more."""
    found = {"sessions": len(world.sessions), "leases": len(world.leases)}
    drafts = [Draft(stream=BRIDGE_STREAM, type="recovered", at=command.at, payload=found)]
    drafts += _everything_ends(
        world, command.at, reason="orphaned", detail="bridge_restarted", observed={}
    )
    return Decision(drafts=tuple(drafts))


def shut_down(command: ShutDown, world: World) -> Decision:
    drafts = [
        Draft(
            stream=BRIDGE_STREAM,
            type="stopping",
            at=command.at,
            payload={"sessions": len(world.sessions), "leases": len(world.leases)},
        )
    ]
    drafts += _everything_ends(
        world,
        command.at,
        reason="shutdown",
        detail="bridge_stopped",
        observed=dict(command.progress),
    )
    return Decision(drafts=tuple(drafts))


def _everything_ends(
    world: World,
    at: UnixMicros,
    *,
    reason: str,
    detail: str,
    observed: Mapping[SessionId, Progress],
) -> list[Draft]:
    why = "shutdown" if reason == "shutdown" else "bridge_restarted"
    ends = [
        reclaimed(
            session,
            world.policy,
            at=at,
            reason=reason,
            detail=detail,
            progress=observed.get(session.id),
            because=0,
        )
        for session in world.sessions.values()
    ]
    returns = [release(lease, at, why=why, because=0) for lease in world.leases.values()]
    return ends + returns


def note(command: Note, world: World) -> Decision:
    assert not command.stream.startswith(("session-", "channel-")), "sessions depend on these"
    draft = Draft(
        stream=command.stream, type=command.type, at=command.at, payload=dict(command.payload)
    )
    return Decision(drafts=(draft,))
