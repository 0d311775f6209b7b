"""What a running bridge holds open, against what its log says at the same position.

Pure: takes what the bridge told of one instant and the decided state folded from the log, and
compares them in both directions. A difference that is on its way to be carried out is one only for
a moment: who asks looks twice (`lasting`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from events.machine import RECOVERING
from events.world import Session, World
from plexbridge.audit.findings import Finding

CHECK = "sockets"
PROMISE = "connections, relays, leases and child processes are those of the log, and no others"


class NotLive(ValueError):
    """An answer that does not say what a bridge holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One instant of a running bridge, everything it had decided by then being durable."""

    position: int
    hash: bytes
    """Of the event there: whether it is this log that the bridge writes."""
    sessions: Mapping[str, str]
    """Session → its state, in the bridge's memory."""
    connections: Mapping[str, int]
    """Session → the number of the player's connection that carries it."""
    leases: Mapping[str, tuple[int, int, str]]
    """Channel → version, tuner and source of its lease, in the bridge's memory."""
    relays: Mapping[str, tuple[int, str]]
    """Channel → the lease its relay runs under, and the source it reads from."""
    children: int
    """Child processes that run and were not told to end."""
    transcodes: int
    """Connections that are fed through a child of their own."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From the answer of `GET /api/audit/live`.

        Raises:
            NotLive: it says something else.
        """
        try:
            return cls(
                position=int(document["position"]),
                hash=bytes.fromhex(document["hash"]),
                sessions={one["id"]: one["state"] for one in document["sessions"]},
                connections={one["session"]: one["number"] for one in document["connections"]},
                leases={
                    one["channel"]: (one["lease"], one["tuner"], one["source"])
                    for one in document["leases"]
                },
                relays={
                    one["channel"]: (one["lease"], one["source"]) for one in document["relays"]
                },
                children=int(document["children"]),
                transcodes=int(document["transcodes"]),
            )
        except (KeyError, TypeError, ValueError) as fault:
            raise NotLive(f"the answer lacks something ({fault!r})") from fault

    @property
    def examined(self) -> int:
        """How many things were compared."""
        mine = len(self.connections) + len(self.relays) + self.children
        return mine + len(self.sessions) + len(self.leases)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that one side has and the other does not."""

    key: tuple[object, ...]
    """The same thing seen again has the same one."""
    text: str


def differences(live: Live, world: World) -> Iterator[Difference]:
    """Where what is open is not what the log says. `world`: folded up to `live.position`."""
    yield from _connections(live, world)
    yield from _relays(live, world)
    yield from _memory(live, world)
    owners = len(live.relays) + live.transcodes
    if live.children > owners:
        text = f"{live.children} child processes run, and {owners} relays and previews own one"
        yield Difference(("children", live.children - owners), text)


def lasting(first: Iterable[Difference], again: Iterable[Difference]) -> list[Difference]:
    """What both looks saw."""
    seen = {one.key for one in first}
    return [one for one in again if one.key in seen]


def findings(found: Iterable[Difference], position: int) -> Iterator[Finding]:
    """As an audit tells them."""
    for one in found:
        yield Finding(check=CHECK, pos=position, text=one.text)


def _connections(live: Live, world: World) -> Iterator[Difference]:
    for session in world.sessions.values():
        number = live.connections.get(session.id)
        if number is None:
            if session.state != RECOVERING:
                text = f"{_named(session)} is {session.state}, and no connection carries it"
                yield Difference(("no connection", session.id, session.connection), text)
        elif number != session.connection:
            text = (
                f"{_named(session)} is carried by connection {number}, the log says "
                f"{session.connection if session.connection is not None else 'none'}"
            )
            yield Difference(("connection", session.id, number), text)
    for name, number in live.connections.items():
        if name not in world.sessions:
            text = f"connection {number} carries session {name}, which is not open"
            yield Difference(("no session", name, number), text)


def _relays(live: Live, world: World) -> Iterator[Difference]:
    for channel, lease in world.leases.items():
        relay = live.relays.get(channel)
        if relay is None or relay[0] != lease.ver:
            text = f"channel {channel} holds tuner {lease.tuner} (lease {lease.ver}), and no relay"
            yield Difference(("no relay", channel, lease.ver), f"{text} runs under it")
        elif relay[1] != lease.source:
            text = f"the relay of channel {channel} reads from source {relay[1]}, its lease is of "
            yield Difference(("source", channel, lease.ver), text + lease.source)
    held = {str(channel) for channel in world.leases}
    for name, (ver, _) in live.relays.items():
        if name not in held:
            text = f"a relay of channel {name} runs under lease {ver}, which is not in force"
            yield Difference(("no lease", name, ver), text)


def _memory(live: Live, world: World) -> Iterator[Difference]:
    """What the bridge decides on, against the log it is folded from."""
    recorded: dict[str, object] = {one.id: one.state for one in world.sessions.values()}
    yield from _unequal("session", recorded, live.sessions)
    recorded = {str(one.channel): (one.ver, one.tuner, one.source) for one in world.leases.values()}
    yield from _unequal("the lease of channel", recorded, live.leases)


def _unequal(
    what: str, recorded: Mapping[str, object], held: Mapping[str, object]
) -> Iterator[Difference]:
    for name in sorted(recorded.keys() | held.keys()):
        mine, theirs = recorded.get(name), held.get(name)
        if mine != theirs:
            text = f"{what} {name} is {_said(theirs)} in the bridge's memory, {_said(mine)} in the"
            yield Difference((what, name, str(theirs)), f"{text} log")


def _said(value: object) -> str:
    if value is None:
        return "not there"
    return str(value) if isinstance(value, str) else f"{value!r}"


def _named(session: Session) -> str:
    return f"session {session.id} on channel {session.channel}"
