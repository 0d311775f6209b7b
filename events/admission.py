"""Who gets a tuner: one pure, synchronous function over the decided state (DESIGN section 4).

Free tuner; else a lingering relay gives up its own; else, where it is certain to be one viewer
changing channel, the older session hands over; else wait; else refuse. A viewer who stays is never
ended for one who comes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from events.commands import Tune
from events.ids import SessionId, SourceId, TunerNumber, UnixMicros
from events.limits import HOLDERS_NAMED
from events.refusals import (
    AllTunersInUse,
    Holder,
    Refused,
    SourceFull,
    TooManySessions,
    TunerInUse,
    UnknownTuner,
)
from events.world import Lease, Session, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """The channel is relayed already: share its tuner."""

    lease: Lease
    hand_over: Session | None = None
    """Ends first, because `MAX_CONCURRENT_STREAMS` would be exceeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A tuner and a source connection, after `give_up` and `hand_over` have let go of theirs."""

    tuner: TunerNumber
    source: SourceId
    allowed: int
    give_up: tuple[Lease, ...] = ()
    hand_over: Session | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotNow:
    """Nothing is free; `refusal` is what it comes to when the wait is over."""

    refusal: Refused
    worth_waiting: bool = True


Admission = Join | Grant | NotNow


@dataclass(frozen=True, slots=True)
class _Room:
    """What would be left of tuners and source connections without some leases."""

    world: World
    without: tuple[Lease, ...]

    def leases(self) -> list[Lease]:
        return [lease for lease in self.world.leases.values() if lease not in self.without]

    def tuner(self, asked: TunerNumber | None) -> TunerNumber | None:
        taken = {lease.tuner for lease in self.leases()}
        if asked is not None:
            return asked if asked not in taken else None
        free = (TunerNumber(n) for n in range(self.world.policy.tuners) if n not in taken)
        return next(free, None)

    def source(self, sources: Iterable[tuple[SourceId, int]]) -> tuple[SourceId, int] | None:
        for source, allowed in sources:
            in_use = sum(lease.source == source for lease in self.leases())
            if allowed == 0 or in_use < allowed:
                return source, allowed
        return None


def admit(tune: Tune, world: World) -> Admission:
    """Answer a request for a channel. Changes nothing."""
    policy = world.policy
    waited_ms = (tune.at - tune.asked_at) // 1_000
    if tune.tuner is not None and tune.tuner >= policy.tuners:
        return NotNow(refusal=UnknownTuner(tune.tuner, tuners=policy.tuners), worth_waiting=False)

    older = handing_over(tune, world)
    leaver = None
    if policy.max_sessions and len(world.sessions) >= policy.max_sessions:
        if older is None:
            return NotNow(
                refusal=TooManySessions(
                    allowed=policy.max_sessions,
                    waited_ms=waited_ms,
                    holders=holders(world.leases.values(), tune.at),
                )
            )
        leaver = older

    shared = world.leases.get(tune.channel.id)
    if shared is not None:
        if tune.tuner is not None and tune.tuner != shared.tuner:
            return _elsewhere(tune, world)
        return Join(lease=shared, hand_over=leaver)
    return _allocate(tune, world, leaver, older, waited_ms)


def _allocate(
    tune: Tune, world: World, leaver: Session | None, older: Session | None, waited_ms: int
) -> Admission:
    """Find a tuner and a source connection for a channel nobody watches."""
    # Lingering relays go before any viewer does; a leaver goes in any case.
    leavers = (leaver,) if leaver or not _alone(older, world) else (None, older)
    for hand_over in leavers:
        for given_up in _sacrifices(world):
            room = _Room(world, given_up + _alone(hand_over, world))
            tuner, source = room.tuner(tune.tuner), room.source(tune.channel.sources)
            if tuner is not None and source is not None:
                return Grant(
                    tuner=tuner,
                    source=source[0],
                    allowed=source[1],
                    give_up=given_up,
                    hand_over=hand_over,
                )
    return NotNow(refusal=_refusal(tune, world, waited_ms))


def _sacrifices(world: World) -> Iterable[tuple[Lease, ...]]:
    """Sets of lingering leases to give up, the smallest first, the longest empty first.

    At most two are ever needed: one for the tuner, one for the source connection.
    """
    lingering = sorted(
        (lease for lease in world.leases.values() if lease.empty_since is not None),
        key=lambda lease: (lease.empty_since or 0, lease.tuner),
    )
    yield ()
    for lease in lingering:
        yield (lease,)
    for tuner_lease in lingering:
        for source_lease in lingering:
            if tuner_lease is not source_lease:
                yield (tuner_lease, source_lease)


def handing_over(tune: Tune, world: World) -> Session | None:
    """The older session of the viewer who asks, where it is certain to be the same viewer.

    Certain is: the client sent an identifier and another session has it; or it is a single-viewer
    player with exactly one other session from its address, of the same player.
    """
    client = tune.client
    if client.identified:
        same = [s for s in world.sessions.values() if s.client_key == client.key]
        others = [s for s in same if s.channel != tune.channel.id]
        return others[0] if len(others) == 1 else None
    if not client.single_viewer:
        return None
    neighbours = [s for s in world.sessions.values() if s.address == client.address]
    if len(neighbours) != 1 or neighbours[0].channel == tune.channel.id:
        return None
    only = neighbours[0]
    return only if only.single_viewer and only.user_agent == client.user_agent else None


def _alone(session: Session | None, world: World) -> tuple[Lease, ...]:
    """The lease that ends with this session: it is the only one on its channel."""
    if session is None:
        return ()
    lease = world.lease_of(session)
    return (lease,) if lease.sessions == [session.id] else ()


def _elsewhere(tune: Tune, world: World) -> NotNow:
    assert tune.tuner is not None
    on_it = [lease for lease in world.leases.values() if lease.tuner == tune.tuner]
    return NotNow(refusal=TunerInUse(tune.tuner, holders(on_it, tune.at)), worth_waiting=False)


def _refusal(tune: Tune, world: World, waited_ms: int) -> Refused:
    policy = world.policy
    room = _Room(world, ())
    if tune.tuner is not None and room.tuner(tune.tuner) is None:
        on_it = [lease for lease in world.leases.values() if lease.tuner == tune.tuner]
        return TunerInUse(tune.tuner, holders(on_it, tune.at))
    if room.tuner(None) is None:
        return AllTunersInUse(
            tuners=policy.tuners,
            waited_ms=waited_ms,
            holders=holders(world.leases.values(), tune.at),
        )
    source, allowed = tune.channel.sources[0]
    on_source = [lease for lease in world.leases.values() if lease.source == source]
    return SourceFull(
        source, allowed=allowed, waited_ms=waited_ms, holders=holders(on_source, tune.at)
    )


def holders(leases: Iterable[Lease], at: UnixMicros) -> tuple[Holder, ...]:
    """Who holds these leases, the longest first."""
    longest_first = sorted(leases, key=lambda lease: (lease.leased_at, lease.tuner))
    return tuple(
        Holder(
            channel=lease.channel,
            tuner=lease.tuner,
            sessions=tuple(SessionId(session) for session in lease.sessions),
            held_ms=(at - lease.leased_at) // 1_000,
        )
        for lease in longest_first[:HOLDERS_NAMED]
    )
