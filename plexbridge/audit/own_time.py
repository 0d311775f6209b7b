"""The deadlines of a hypothetical course: which of them the record tells, and when the others fire.

Where a session or a lingering relay is due at the same moment as its recorded counterpart, the
record itself tells when its deadline fired, and what was seen then. Any other deadline fires here:
a session in trouble or without its first byte accepts nothing until the record says so; an active
one is known to be silent only where its recorded session ended for that. Fired deadlines are right
to a look of the bridge's ticker.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

from events.commands import Expire, LingerOver, Progress
from events.deadlines import deadline, linger_over_at
from events.ids import SessionId, UnixMicros
from events.machine import ACTIVE
from events.policy import Policy
from events.world import Lease, Session, World
from plexbridge.audit.counterparts import Counterparts

TICK_US: Final = 250_000
"""How often the bridge looks (`plexbridge.control.ticker`): what happens within it is seen before a
deadline fires."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the whole record before it is decided again."""

    silent: dict[SessionId, int]
    """Sessions that ended in silence → when they accepted their last byte."""
    median_us: int
    """How long half of the sessions lasted at most."""


def times(policy: Policy) -> tuple[int, ...]:
    """What of a policy moves a deadline."""
    return (policy.first_byte_ms, policy.active_idle_ms, policy.grace_ms, policy.linger_ms)


class OwnTime:
    """Looks at the deadlines of one course, four times a second of the record."""

    def __init__(
        self,
        world: World,
        recorded: World,
        names: Counterparts,
        seen: Seen,
        modelled: Container[SessionId],
    ) -> None:
        """`modelled`: sessions that have a plan of their own, and no deadline while active."""
        self.differs = times(world.policy) != times(recorded.policy)
        """Whether deadlines are others even where both courses are alike."""
        self._world = world
        self._recorded = recorded
        self._names = names
        self._seen = seen
        self._modelled = modelled
        self._silent: set[SessionId] = set()
        self._looked_at = 0
        self.floor = UnixMicros(0)
        """The time of the last input: nothing fires before it any more."""

    def silent(self, session: SessionId) -> None:
        """The client of this session accepts nothing any more."""
        self._silent.add(session)

    def look_again(self) -> None:
        """Something happened here that the record does not have."""
        self._looked_at = 0

    def next_due(self, now: UnixMicros) -> Expire | LingerOver | None:
        """The first deadline that fires by now, if there is one; then ask again."""
        if now - self._looked_at < TICK_US:
            return None
        first = min(self._due(UnixMicros(now - TICK_US)), key=lambda due: due.at, default=None)
        if first is None:
            self._looked_at = now
            self._silent &= self._world.sessions.keys()
        return first

    def _due(self, until: UnixMicros) -> Iterator[Expire | LingerOver]:
        policy = self._world.policy
        for session in self._world.sessions.values():
            at = self._session_due(session, policy)
            if at is not None and at <= until:
                at = max(at, self.floor)
                progress = Progress(bytes=session.bytes, accepted_at=session.accepted_at)
                yield Expire(
                    at=at,
                    session=session.id,
                    progress=progress,
                    waiting=True,
                    acknowledging=False,
                )
        for lease in self._world.leases.values():
            if lease.empty_since is None or self._told(lease):
                continue
            at = linger_over_at(lease, policy)
            if at <= until:
                yield LingerOver(at=max(at, self.floor), channel=lease.channel, lease=lease.ver)

    def _session_due(self, session: Session, policy: Policy) -> UnixMicros | None:
        theirs = self._names.recorded(session.id)
        last = None
        if session.state == ACTIVE and session.id not in self._silent:
            last = self._seen.silent.get(theirs)
            if last is None or session.id in self._modelled:
                return None
        due = deadline(session, policy).at
        recorded = self._recorded.sessions.get(theirs)
        told = recorded is not None and recorded.state == session.state
        if told and recorded and deadline(recorded, self._recorded.policy).at == due:
            return None
        return due if last is None or session.accepted_at >= last else None

    def _told(self, lease: Lease) -> bool:
        recorded = self._recorded.leases.get(lease.channel)
        return (
            recorded is not None
            and recorded.empty_since == lease.empty_since
            and self._recorded.policy.linger_ms == self._world.policy.linger_ms
        )
