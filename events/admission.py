"""Who gets a tuner: one pure, synchronous function over the decided state (DESIGN section 4).

Free tuner; else a lingering relay gives up its own; else, where it is certain to be one viewer
changing channel, the older session hands over; else wait; else refuse. A viewer who stays is never
ended for one who comes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from events.commands import Tune
from events.ids import SessionId, SourceId, TunerNumber, UnixMicros
from events.limits import HOLDERS_NAMED
from events.machine import CONNECTING
from events.reasons import maintained
from events.refusals import (
    AllTunersInUse,
    ChannelElsewhere,
    Holder,
    Refused,
    SourceFull,
    TooManySessions,
    TunerInUse,
    UnknownTuner,
)
from events.world import Lease, Session, World

HANDED_OVER: Final = "client_disconnect"
"""The reason a session ends for that hands over; the detail says `superseded`."""


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

    def beyond(self) -> int:
        """How many leases have to go before one more is within the bound: it may have been set
        lower than what was in use."""
        return max(0, len(self.leases()) + 1 - self.world.policy.tuners)

    def tuner(self, asked: TunerNumber | None) -> TunerNumber | None:
        if self.beyond():
            return None
        taken = {lease.tuner for lease in self.leases()}
        if asked is not None:
            return asked if asked not in taken else None
        free = (TunerNumber(n) for n in range(self.world.policy.tuners) if n not in taken)
        return next(free, None)

    def missing(self, source: SourceId, allowed: int) -> int:
        """How many connections of the source have to go before there is one more."""
        in_use = sum(lease.source == source for lease in self.leases())
        return max(0, in_use + 1 - allowed) if allowed else 0


def admit(tune: Tune, world: World) -> Admission:
    """Answer a request for a channel. Changes nothing."""
    policy = world.policy
    waited_ms = (tune.at - tune.asked_at) // 1_000
    if tune.tuner is not None and tune.tuner >= policy.tuners:
        return NotNow(refusal=UnknownTuner(tune.tuner, tuners=policy.tuners), worth_waiting=False)

    older = handing_over(tune, world)
    leaver = None
    if policy.max_sessions and len(world.sessions) >= policy.max_sessions:
        if older is None or len(world.sessions) > policy.max_sessions:
            return NotNow(
                refusal=TooManySessions(
                    allowed=policy.max_sessions,
                    waited_ms=waited_ms,
                    holders=holders(_held(world), tune.at),
                )
            )
        leaver = older

    shared = world.leases.get(tune.channel.id)
    if shared is not None and tune.tuner in (None, shared.tuner):
        return Join(lease=shared, hand_over=leaver)
    if shared is not None and shared.empty_since is None:
        assert tune.tuner is not None, "a channel that is relayed is shared, unless elsewhere"
        refusal = ChannelElsewhere(
            shared.channel, on=shared.tuner, asked=tune.tuner, holders=holders([shared], tune.at)
        )
        return NotNow(refusal=refusal, worth_waiting=False)
    return _allocate(tune, world, leaver, older, waited_ms)


def _allocate(
    tune: Tune, world: World, leaver: Session | None, older: Session | None, waited_ms: int
) -> Admission:
    """Find a tuner and a source connection for a channel nobody watches."""
    # Lingering relays go before any viewer does; a leaver goes in any case.
    for hand_over in (leaver, older):
        grants = [
            grant
            for source, allowed in tune.channel.sources
            if (grant := _grant(tune, world, source, allowed, hand_over)) is not None
        ]
        if grants:  # of equal sacrifices, the preferred source
            return min(grants, key=lambda grant: len(grant.give_up))
    return NotNow(refusal=_refusal(tune, world, waited_ms))


def _grant(
    tune: Tune, world: World, source: SourceId, allowed: int, hand_over: Session | None
) -> Grant | None:
    """What it takes to read from this source; None where viewers who stay are in the way."""
    leaving = _alone(hand_over, world)
    empty = lingering(world)
    give_up = [x for x in empty if x.tuner == tune.tuner or x.channel == tune.channel.id]
    missing = _Room(world, (*leaving, *give_up)).missing(source, allowed)
    of_source = [lease for lease in empty if lease.source == source and lease not in give_up]
    give_up += of_source[:missing]
    beyond = _Room(world, (*leaving, *give_up)).beyond()
    give_up += [lease for lease in empty if lease not in give_up][:beyond]
    room = _Room(world, (*leaving, *give_up))
    tuner = room.tuner(tune.tuner)
    if tuner is None or room.missing(source, allowed):
        return None
    return Grant(
        tuner=tuner, source=source, allowed=allowed, give_up=tuple(give_up), hand_over=hand_over
    )


def _held(world: World) -> list[Lease]:
    return [lease for lease in world.leases.values() if lease.empty_since is None]


def lingering(world: World) -> list[Lease]:
    """Leases that hold nothing against anyone, the longest empty first."""
    empty = [lease for lease in world.leases.values() if lease.empty_since is not None]
    return sorted(empty, key=lambda lease: (lease.empty_since or 0, lease.tuner))


def handing_over(tune: Tune, world: World) -> Session | None:
    """The older session of the viewer who asks, where it is certain to be the same viewer.

    Certain is: the client sent an identifier and another session has it; or it is a single-viewer
    player with exactly one other session from its address, of the same player. Where the policy
    would keep a session over its client's leaving, there is nothing to hand over.
    """
    older = _older(tune, world)
    if older is None or older.state == CONNECTING:
        return older
    return None if maintained(HANDED_OVER, world.policy) else older


def _older(tune: Tune, world: World) -> Session | None:
    client = tune.client
    if client.identified:
        same = [s for s in world.sessions.values() if s.client_key == client.key]
        others = [s for s in same if s.channel != tune.channel.id]
        return others[0] if len(others) == 1 else None
    only = alone_at_its_address(tune, world)
    if only is None or only.channel == tune.channel.id:
        return None
    return only if only.user_agent == client.user_agent else None


def alone_at_its_address(tune: Tune, world: World) -> Session | None:
    """The one session from the address of a single-viewer player that asks, of such a player."""
    if not tune.client.single_viewer:
        return None
    neighbours = [s for s in world.sessions.values() if s.address == tune.client.address]
    return neighbours[0] if len(neighbours) == 1 and neighbours[0].single_viewer else None


def _alone(session: Session | None, world: World) -> tuple[Lease, ...]:
    """The lease that ends with this session: it is the only one on its channel."""
    if session is None:
        return ()
    lease = world.lease_of(session)
    return (lease,) if lease.sessions == [session.id] else ()


def _refusal(tune: Tune, world: World, waited_ms: int) -> Refused:
    """What viewers who stay hold of what was asked for."""
    policy = world.policy
    room = _Room(world, tuple(lingering(world)))
    on_it = [lease for lease in room.leases() if lease.tuner == tune.tuner]
    if tune.tuner is not None and on_it:
        return TunerInUse(tune.tuner, holders(on_it, tune.at))
    if room.beyond():
        return AllTunersInUse(
            tuners=policy.tuners, waited_ms=waited_ms, holders=holders(room.leases(), tune.at)
        )
    source, allowed = tune.channel.sources[0]
    on_source = [lease for lease in room.leases() if lease.source == source]
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
