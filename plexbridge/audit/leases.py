"""Every tuner lease returns exactly once, and carries the sessions of its channel."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from events.envelope import Recorded
from events.ids import session_stream
from events.machine import ACTIVITY, CONNECT, ENDED, NEW
from events.world import World
from plexbridge.audit.findings import Finding


@dataclass(slots=True)
class _Lease:
    since: str
    """Where it began, in words."""
    ver: int
    tuner: int
    sessions: set[str] = field(default_factory=set)


class Leases:
    """Follows what each channel holds."""

    name = "leases"
    promise = "every lease has one return, or is still in force"
    passes_over: frozenset[str] = frozenset({ACTIVITY})

    def __init__(self) -> None:
        self.examined = 0
        self._open: dict[str, _Lease] = {}
        self._known: set[str] = set()
        """Channels whose every lease was seen: at least one began in what was read."""
        self._all_known = False
        self._channel_of: dict[str, str] = {}

    def begin(self, world: World, pos: int) -> None:
        """Take over which leases are in force, and who is on them."""
        self._all_known = True
        for lease in world.leases.values():
            channel = f"channel-{lease.channel}"
            on = {session_stream(session) for session in lease.sessions}
            self._open[channel] = _Lease(f"before #{pos + 1}", lease.ver, lease.tuner, on)
            self._channel_of |= dict.fromkeys(on, channel)

    def event(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        """Follow a lease, or a session on one."""
        if row.type == "tuner_leased":
            yield from self._leased(row, data)
        elif row.type == "tuner_released":
            yield from self._released(row, data)
        elif row.type == CONNECT and row.src == NEW:
            yield from self._joined(row, data)
        elif row.type == "started":
            yield from self._never_returned(row)
        elif row.dst == ENDED:
            channel = self._channel_of.pop(row.stream, None)
            if channel in self._open:
                self._open[channel].sessions.discard(row.stream)

    def end(self) -> tuple[()]:
        """Leases in force now are no fault."""
        return ()

    def _leased(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        self.examined += 1
        before = self._open.get(row.stream)
        if before is not None:
            yield self._found(row, f"leased again, the lease of {before.since} never returned")
        self._open[row.stream] = _Lease(f"#{row.pos}", row.ver, data["tuner"])
        self._known.add(row.stream)

    def _released(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        lease = self._open.pop(row.stream, None)
        if lease is None:
            if self._knows(row.stream) or row.ver == 1:
                yield self._found(row, "a tuner returned that it does not hold")
            return
        if (data["lease"], data["tuner"]) != (lease.ver, lease.tuner):
            given = f"lease {data['lease']} of tuner {data['tuner']}"
            held = f"lease {lease.ver} of tuner {lease.tuner} ({lease.since})"
            yield self._found(row, f"returned {given} while holding {held}")
        if lease.sessions:
            yield self._found(row, f"returned under {', '.join(sorted(lease.sessions))}")

    def _joined(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        channel = f"channel-{data['channel']['id']}"
        self._channel_of[row.stream] = channel
        lease = self._open.get(channel)
        if lease is None:
            if self._knows(channel) or row.pos == 1:
                yield self._found(row, f"began on {channel}, which holds no tuner")
            return
        lease.sessions.add(row.stream)
        if data["tuner"] != lease.tuner:
            yield self._found(row, f"on tuner {data['tuner']}, {channel} holds {lease.tuner}")

    def _never_returned(self, row: Recorded) -> Iterator[Finding]:
        for channel, lease in self._open.items():
            text = f"{channel}: tuner {lease.tuner}, leased at {lease.since}, was never returned"
            yield Finding(check=self.name, pos=row.pos, text=f"{text}: the bridge started anew")
        self._open.clear()

    def _knows(self, channel: str) -> bool:
        return self._all_known or channel in self._known

    def _found(self, row: Recorded, text: str) -> Finding:
        return Finding(check=self.name, pos=row.pos, text=f"{row.stream}: {text}")
