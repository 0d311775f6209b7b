"""The decided state: open sessions and leases in force, and the fold that makes it.

The door keeps one `World`. `evolve` applies what was decided, before it is durable, so that the
next command already sees it; after a failed append the world is folded anew from the log. It holds
only what is open, so its size is that of the household and not of the log.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from events.envelope import Fact
from events.ids import (
    ChannelId,
    ConnectionId,
    SessionId,
    SourceId,
    TunerNumber,
    UnixMicros,
)
from events.limits import ENDED_REMEMBERED, REFUSALS_REMEMBERED
from events.machine import ACTIVITY, CONNECT, DISCONNECT, ENDED, ERROR, RECLAIM
from events.payloads import (
    ActivityData,
    ConnectData,
    EndData,
    LeasedData,
    RefusedData,
    SourceChangedData,
    UpstreamData,
)
from events.policy import Policy

CONNECTING_UPSTREAM: Final = "connecting"
OPENED_UPSTREAM: Final = "opened"
FLOWING_UPSTREAM: Final = "flowing"
LOST_UPSTREAM: Final = "lost"


class Versioned(Fact, Protocol):
    """A fact with its version in its stream."""

    @property
    def ver(self) -> int: ...


@dataclass(slots=True, kw_only=True)
class Session:
    """One client's watching of one channel, while it is open."""

    id: SessionId
    state: str
    channel: ChannelId
    client_key: str
    address: str
    user_agent: str
    identified: bool
    single_viewer: bool
    connection: ConnectionId | None
    """None since a maintained `disconnect`, until its client comes back."""
    started_at: UnixMicros
    connected_at: UnixMicros
    """The last `connect`; the first byte is waited for from here."""
    accepted_at: UnixMicros
    """The last recorded accepted byte; `connected_at` before the first. Deadlines count from it,
    or from what the shell observed since."""
    recorded_at: UnixMicros
    """The last event: activity is recorded at most once in a while."""
    bytes: int = 0
    attempts: int = 0
    """Failed reconnects since the last accepted byte."""


@dataclass(slots=True, kw_only=True)
class Lease:
    """A relay's claim on a tuner and on one connection of a source."""

    channel: ChannelId
    ver: int
    """Version of its `tuner_leased`: tells this relay from an earlier one of the channel."""
    tuner: TunerNumber
    source: SourceId
    leased_at: UnixMicros
    sessions: list[SessionId] = field(default_factory=list)
    upstream: str = CONNECTING_UPSTREAM
    delivered: bool = False
    """Some attempt has given good bytes."""
    lost_at: UnixMicros | None = None
    empty_since: UnixMicros | None = None
    """Set while no session is left: the relay lingers."""


@dataclass(slots=True)
class World:
    """Everything a decision depends on beside its command."""

    policy: Policy = field(default_factory=Policy)
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    leases: dict[ChannelId, Lease] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """Last version of each stream that may grow; an ended session's stream never does."""
    refused: OrderedDict[str, UnixMicros] = field(default_factory=OrderedDict)
    """Client and channel → when their last refusal was recorded."""
    ended: OrderedDict[SessionId, UnixMicros] = field(default_factory=OrderedDict)
    stopping: bool = False

    def connections_of(self, source: SourceId) -> int:
        """Connections of a source that leases hold, lingering ones included."""
        return sum(lease.source == source for lease in self.leases.values())

    def lease_of(self, session: Session) -> Lease:
        """The lease a session shares."""
        lease = self.leases[session.channel]
        assert session.id in lease.sessions, f"session {session.id} is not on its channel's lease"
        return lease


def refusal_key(client_key: str, channel: str | None) -> str:
    """What refusals are coalesced by; all unknown channels of a client count as one."""
    return f"{client_key}\n{channel or ''}"


def _connect(world: World, fact: Fact) -> None:
    data = cast(ConnectData, fact.payload)
    session = SessionId(fact.stream.removeprefix("session-"))
    known = world.sessions.get(session)
    if known is not None:
        known.state = _dst(fact)
        known.connection = ConnectionId(data["connection"])
        known.connected_at = known.recorded_at = fact.at
        return
    client = data["client"]
    channel = ChannelId(data["channel"]["id"])
    world.sessions[session] = Session(
        id=session,
        state=_dst(fact),
        channel=channel,
        client_key=client["key"],
        address=client["address"],
        user_agent=client["user_agent"],
        identified=client["identified"],
        single_viewer=client["single_viewer"],
        connection=ConnectionId(data["connection"]),
        started_at=fact.at,
        connected_at=fact.at,
        accepted_at=fact.at,
        recorded_at=fact.at,
    )
    lease = world.leases[channel]
    lease.sessions.append(session)
    lease.empty_since = None


def _activity(world: World, fact: Fact) -> None:
    data = cast(ActivityData, fact.payload)
    session = world.sessions[SessionId(fact.stream.removeprefix("session-"))]
    session.state = _dst(fact)
    session.bytes = data["bytes"]
    session.accepted_at = UnixMicros(data["accepted_at"])
    session.recorded_at = fact.at
    session.attempts = 0


def _end(world: World, fact: Fact) -> None:
    data = cast(EndData, fact.payload)
    session = world.sessions[SessionId(fact.stream.removeprefix("session-"))]
    session.state = _dst(fact)
    session.bytes = data["bytes"]
    session.accepted_at = UnixMicros(data["accepted_at"])
    session.recorded_at = fact.at
    session.attempts = data.get("attempts", session.attempts)
    if session.state != ENDED:
        if fact.type == DISCONNECT:
            session.connection = None
        return
    lease = world.lease_of(session)
    lease.sessions.remove(session.id)
    if not lease.sessions:
        lease.empty_since = fact.at
    del world.sessions[session.id], world.versions[fact.stream]
    world.ended[session.id] = fact.at
    if len(world.ended) > ENDED_REMEMBERED:
        world.ended.popitem(last=False)


def _leased(world: World, fact: Fact) -> None:
    data = cast(LeasedData, fact.payload)
    channel = ChannelId(fact.stream.removeprefix("channel-"))
    tuner = TunerNumber(data["tuner"])
    assert channel not in world.leases, f"channel {channel} is leased twice"
    assert all(lease.tuner != tuner for lease in world.leases.values()), (
        f"tuner {tuner} given twice"
    )
    world.leases[channel] = Lease(
        channel=channel,
        ver=world.versions[fact.stream],
        tuner=tuner,
        source=SourceId(data["source"]),
        leased_at=fact.at,
    )


def _released(world: World, fact: Fact) -> None:
    lease = world.leases.pop(ChannelId(fact.stream.removeprefix("channel-")))
    assert not lease.sessions, f"tuner {lease.tuner} returned under {len(lease.sessions)} sessions"


def _upstream(world: World, fact: Fact) -> None:
    lease = world.leases.get(ChannelId(fact.stream.removeprefix("channel-")))
    if lease is None or lease.ver != cast(UpstreamData, fact.payload)["lease"]:
        return  # told of a lease that was returned meanwhile
    if fact.type == "upstream_opened":
        lease.upstream = OPENED_UPSTREAM
    elif fact.type == "upstream_first_byte":
        lease.upstream, lease.delivered, lease.lost_at = FLOWING_UPSTREAM, True, None
    else:
        lease.upstream = LOST_UPSTREAM
        lease.lost_at = lease.lost_at if lease.lost_at is not None else fact.at


def _source_changed(world: World, fact: Fact) -> None:
    data = cast(SourceChangedData, fact.payload)
    lease = world.leases[ChannelId(fact.stream.removeprefix("channel-"))]
    assert lease.ver == data["lease"], "a source is changed under the lease in force"
    lease.source = SourceId(data["source"])


def _refused(world: World, fact: Fact) -> None:
    data = cast(RefusedData, fact.payload)
    channel = data["channel"]
    key = refusal_key(data["client"]["key"], channel and channel["id"])
    world.refused.pop(key, None)
    world.refused[key] = fact.at
    if len(world.refused) > REFUSALS_REMEMBERED:
        world.refused.popitem(last=False)


def _bridge(world: World, fact: Fact) -> None:
    if fact.type == "policy_set":
        world.policy = Policy.from_payload(cast(dict[str, Any], fact.payload))
    else:
        world.stopping = fact.type == "stopping"


_Fold = Callable[[World, Fact], None]

_FOLDS: Final[dict[str, _Fold]] = {
    CONNECT: _connect,
    ACTIVITY: _activity,
    ERROR: _end,
    DISCONNECT: _end,
    RECLAIM: _end,
    "tuner_leased": _leased,
    "tuner_released": _released,
    "source_changed": _source_changed,
    "upstream_opened": _upstream,
    "upstream_first_byte": _upstream,
    "upstream_lost": _upstream,
    "refused": _refused,
    "policy_set": _bridge,
    "stopping": _bridge,
    "started": _bridge,
}


def evolve(world: World, fact: Versioned) -> None:
    """Apply one event to the world, in place. Decides nothing: it has already happened."""
    known = world.versions.get(fact.stream, 0)
    assert known == 0 or fact.ver == known + 1, f"{fact.stream}: version {fact.ver} after {known}"
    world.versions[fact.stream] = fact.ver
    fold = _FOLDS.get(fact.type)
    if fold is not None:
        fold(world, fact)


def fold(facts: Iterable[Versioned], policy: Policy | None = None) -> World:
    """The world after these events."""
    world = World() if policy is None else World(policy=policy)
    for fact in facts:
        evolve(world, fact)
    return world


def _dst(fact: Fact) -> str:
    assert fact.dst is not None, f"{fact.stream}: a session's event names the state it leads to"
    return fact.dst
