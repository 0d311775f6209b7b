"""The decided state as a stored fold, so that a start folds only the tail of the log."""

from collections import OrderedDict
from typing import Any, Final, Self

import orjson

from events.envelope import Recorded
from events.ids import SessionId, UnixMicros
from events.policy import Policy
from events.world import Lease, Session, World, evolve

NAME: Final = "world"
VERSION: Final = 1
"""Of the stored state; where another version is stored, a start folds the log anew before it
serves. What a prune sealed is all there is of what was before: a new version needs its line in
`lifting`."""


class Decided:
    """A decided state with the place in the log that it is of. Folds in place."""

    def __init__(self, world: World | None = None, *, position: int = 0, at: int = 0) -> None:
        self.world = world or World()
        self.position = position
        """The last event folded."""
        self.at = at
        """Its time, in microseconds."""

    def fold(self, event: Recorded) -> None:
        """Apply the next event."""
        evolve(self.world, event)
        self.position, self.at = event.pos, event.at

    def dump(self) -> bytes:
        """The state, to be stored; the place is stored beside it."""
        return dump(self.world)

    @classmethod
    def load(cls, stored: bytes, *, position: int, at: int) -> Self:
        """Read back what `dump` gave at that place."""
        return cls(load(stored), position=position, at=at)


def dump(world: World) -> bytes:
    """The state, to be stored."""
    return orjson.dumps(
        {
            "policy": world.policy.as_payload(),
            "sessions": list(world.sessions.values()),
            "leases": list(world.leases.values()),
            "versions": world.versions,
            "refused": list(world.refused.items()),
            "ended": list(world.ended.items()),
            "stopping": world.stopping,
        }
    )


def load(stored: bytes) -> World:
    """Read back what `dump` gave."""
    parts: dict[str, Any] = orjson.loads(stored)
    sessions = [Session(**row) for row in parts["sessions"]]
    leases = [Lease(**row) for row in parts["leases"]]
    return World(
        policy=Policy.from_payload(parts["policy"]),
        sessions={session.id: session for session in sessions},
        leases={lease.channel: lease for lease in leases},
        versions=parts["versions"],
        refused=OrderedDict((key, UnixMicros(at)) for key, at in parts["refused"]),
        ended=OrderedDict((SessionId(name), UnixMicros(at)) for name, at in parts["ended"]),
        stopping=parts["stopping"],
    )
