"""What an outage of the log has left behind between the decided state and the world outside.

Facts are carried out at once, before they are durable. When the decision that they rested on turns
out not to be stored, or to be stored after all, some of that is to be put right. Pure: it finds,
the door reports.
"""

from collections.abc import Callable, Collection, Iterator

from events.commands import Disconnect, Progress, UpstreamLost
from events.ids import ConnectionId, SessionId, UnixMicros, channel_stream
from events.world import Lease, World

Observe = Callable[[SessionId], Progress | None]
"""What a session's socket has accepted; None when it has no connection."""


def gone(session: SessionId, connection: ConnectionId, at: UnixMicros) -> Disconnect:
    """A session's player is gone, and nobody but the door can say so."""
    return Disconnect(
        at=at,
        session=session,
        connection=connection,
        reason="client_disconnect",
        detail="client_closed",
        progress=None,
    )


def left_behind(
    before: World, world: World, observe: Observe, at: UnixMicros
) -> Iterator[Disconnect | UpstreamLost]:
    """What is in force in `world` and had been given away in `before`. To be reported one by one:
    each looks at what the one before it left.

    Players of sessions that were given away, to another or to a later connection, may have left
    meanwhile, which ended nothing then. Relays of leases that were given up before they were
    durable were never opened.
    """
    for session in list(world.sessions.values()):
        known = before.sessions.get(session.id)
        given_away = known is None or known.connection != session.connection
        if given_away and session.connection is not None and observe(session.id) is None:
            yield gone(session.id, session.connection, at)
    given_up = {
        (channel_stream(lease.channel), lease.ver)
        for lease in world.leases.values()
        if lease.empty_since is not None and not _held(before, lease)
    }
    yield from closed_without(world, given_up, at)


def _held(world: World, lease: Lease) -> bool:
    held = world.leases.get(lease.channel)
    return held is not None and held.ver == lease.ver


def closed_without(
    world: World, closed: Collection[tuple[str, int]], at: UnixMicros
) -> Iterator[UpstreamLost]:
    """Leases in force whose relays are closed (`closed`: channel stream and lease), because they
    were not in force for a while. Nobody watches them: whoever was given one then was sent away."""
    for lease in list(world.leases.values()):
        if (channel_stream(lease.channel), lease.ver) in closed:
            yield UpstreamLost(
                at=at,
                channel=lease.channel,
                lease=lease.ver,
                attempt=0,
                reason="stream_failed",
                detail="closed_meanwhile",
                gave_bytes=False,
                progress=(),
            )
