"""Tuners, source connections and sessions never exceed what was allowed at that moment."""

from collections.abc import Iterator
from typing import Any

from events.envelope import Recorded
from events.ids import session_stream
from events.machine import ACTIVITY, CONNECT, ENDED, NEW
from events.policy import Policy
from events.world import World
from plexbridge.audit.findings import Finding
from plexbridge.audit.steps import SESSION_PREFIX


class Bounds:
    """Counts what is in use, and compares it with the bound in force whenever it grows."""

    name = "limits"
    promise = "never more tuners, source connections or sessions than allowed"
    passes_over: frozenset[str] = frozenset({ACTIVITY})

    def __init__(self) -> None:
        self.examined = 0
        self._policy = Policy()
        self._policy_known = False
        self._leases: dict[str, tuple[int, str]] = {}
        self._sessions: set[str] = set()

    def begin(self, world: World, pos: int) -> None:
        """Take over the bound in force, and what counts against it."""
        self._policy, self._policy_known = world.policy, True
        self._sessions = {session_stream(name) for name in world.sessions}
        self._leases = {
            f"channel-{one.channel}": (one.tuner, one.source) for one in world.leases.values()
        }

    def event(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        """Follow the bound, or what counts against it."""
        if row.type == "policy_set":
            self._policy, self._policy_known = Policy.from_payload(data), True
        elif row.type == "tuner_leased":
            yield from self._leased(row, data)
        elif row.type == "source_changed":
            yield from self._source_changed(row, data)
        elif row.type == "tuner_released":
            self._leases.pop(row.stream, None)
        elif row.type == CONNECT and row.src == NEW:
            yield from self._connected(row)
        elif row.dst == ENDED and row.stream.startswith(SESSION_PREFIX):
            self._sessions.discard(row.stream)

    def end(self) -> tuple[()]:
        """Nothing."""
        return ()

    def _leased(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        self.examined += 1
        tuner, source = data["tuner"], data["source"]
        others = {channel: held for channel, held in self._leases.items() if channel != row.stream}
        for channel, (held, _) in others.items():
            if held == tuner:
                yield self._found(row, f"tuner {tuner} is leased to {channel} already")
        in_use, tuners = len(others) + 1, self._policy.tuners
        if self._policy_known and (in_use > tuners or tuner >= tuners):
            yield self._found(row, f"tuner {tuner}, {in_use} in use; {tuners} are allowed")
        yield from self._connections(row, data)
        self._leases[row.stream] = (tuner, source)

    def _source_changed(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        self.examined += 1
        yield from self._connections(row, data)
        if row.stream in self._leases:  # an export may begin in the middle
            tuner, _ = self._leases[row.stream]
            self._leases[row.stream] = (tuner, data["source"])

    def _connections(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        """The source's connections with this one, as counted here and as the event says."""
        source, allowed = data["source"], data["allowed"]
        others = (of for channel, (_, of) in self._leases.items() if channel != row.stream)
        counted = max(sum(of == source for of in others) + 1, data["in_use"])
        if allowed and counted > allowed:
            text = f"{counted} connections of source {source}; {allowed} are allowed"
            yield self._found(row, text)

    def _connected(self, row: Recorded) -> Iterator[Finding]:
        self.examined += 1
        self._sessions.add(row.stream)
        allowed = self._policy.max_sessions
        if self._policy_known and allowed and len(self._sessions) > allowed:
            yield self._found(row, f"{len(self._sessions)} sessions open; {allowed} are allowed")

    def _found(self, row: Recorded, text: str) -> Finding:
        return Finding(check=self.name, pos=row.pos, text=f"{row.stream}: {text}")
