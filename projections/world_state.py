"""The decided state as a stored fold, so that a start folds only the tail of the log."""

from collections import OrderedDict
from typing import Any, Final

import orjson

from events.ids import SessionId, UnixMicros
from events.policy import Policy
from events.world import Lease, Session, World

NAME: Final = "world"
VERSION: Final = 1
"""Of the stored state; another version is folded anew."""


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
