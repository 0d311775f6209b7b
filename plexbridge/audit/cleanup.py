"""What a session held is let go of within the seed's bounds: disconnect 5 s, orphan 60 s, forced
2 s (DESIGN 8.1).

Counted is the time from the end that left a relay without sessions to its upstream being closed,
without the while it lingered by policy: then it holds nothing against anyone. A client that
vanished or stalled is counted from the last byte it accepted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from events.envelope import Recorded
from events.ids import session_stream
from events.machine import CONNECT, ENDED, NEW, RECLAIM
from events.policy import Policy
from events.world import FLOWING_UPSTREAM, OPENED_UPSTREAM, World
from plexbridge.audit.findings import Finding
from plexbridge.audit.steps import SESSION_PREFIX

DISCONNECT_MS_MAX: Final = 5_000
ORPHAN_MS_MAX: Final = 60_000
FORCED_MS_MAX: Final = 2_000

_LINGERS: Final = frozenset({"linger_over", "given_up"})
_GONE: Final = frozenset({"client_stalled", "peer_vanished"})
"""Details of an end that comes of a client's silence."""


def bound_ms(trigger: str, reason: str) -> int:
    """What the seed allows for cleaning up after this end."""
    if reason == "orphaned":
        return ORPHAN_MS_MAX
    if trigger == RECLAIM and reason != "stale":
        return FORCED_MS_MAX
    return DISCONNECT_MS_MAX


@dataclass(frozen=True, slots=True)
class _End:
    stream: str
    at: int
    bound_ms: int
    since_silent_us: int
    """From the last accepted byte to the end, where the end came of silence."""


@dataclass(frozen=True, slots=True)
class _Closing:
    end: _End
    released_at: int
    spent_us: int
    pos: int


class Cleanup:
    """Measures each clean-up."""

    name = "cleanup"
    promise = "every clean-up within 5 s (disconnect), 60 s (orphan), 2 s (forced)"
    passes_over: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.examined = 0
        self._policy = Policy()
        self._policy_since = 0
        self._channel_of: dict[str, str] = {}
        self._last_end: dict[str, _End] = {}
        self._sockets: dict[str, int] = {}
        """Channel → lease whose upstream is open, as far as was told."""
        self._closing: dict[tuple[str, int], _Closing] = {}
        self._now = 0

    def begin(self, world: World, pos: int) -> None:
        """Take over what is held. Clean-ups that have begun are left aside: their ends are not
        known here."""
        self._policy = world.policy
        self._channel_of = {
            session_stream(one.id): f"channel-{one.channel}" for one in world.sessions.values()
        }
        self._sockets = {
            f"channel-{one.channel}": one.ver
            for one in world.leases.values()
            if one.upstream in (OPENED_UPSTREAM, FLOWING_UPSTREAM)
        }

    def event(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        """Follow ends, returns and closed upstreams."""
        self._now = max(self._now, row.at)
        if row.stream.startswith(SESSION_PREFIX):
            yield from self._session(row, data)
        elif row.type == "upstream_opened":
            self._sockets[row.stream] = data["lease"]
        elif row.type == "upstream_lost":
            self._sockets.pop(row.stream, None)
        elif row.type == "upstream_closed":
            yield from self._closed(row, data)
        elif row.type == "tuner_released":
            yield from self._released(row, data)
        elif row.type == "policy_set":
            self._policy, self._policy_since = Policy.from_payload(data), row.at
        elif row.type == "started":
            self._closing.clear()  # of an earlier process; its sockets went with it
            self._sockets.clear()

    def end(self) -> Iterator[Finding]:
        """Upstreams that should have been closed by the time the log ends."""
        for (channel, lease), closing in self._closing.items():
            waited_us = self._now - closing.released_at
            if closing.spent_us + waited_us > closing.end.bound_ms * 1_000:
                text = f"{channel}: the upstream of lease {lease}, returned "
                text += f"{waited_us / 1e6:.2f} s before the log ends, was not closed"
                yield Finding(check=self.name, pos=closing.pos, text=text)

    def _session(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        if row.type == CONNECT and row.src == NEW:
            self._channel_of[row.stream] = f"channel-{data['channel']['id']}"
        if row.dst != ENDED:
            return
        self.examined += 1
        channel = self._channel_of.pop(row.stream, None)
        silent_us = row.at - data["accepted_at"] if data["detail"] in _GONE else 0
        end = _End(row.stream, row.at, bound_ms(row.type, data["reason"]), silent_us)
        if channel is not None:
            self._last_end[channel] = end
        yield from self._judge(end, silent_us, row.pos)

    def _released(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        end = self._last_end.pop(row.stream, None)
        open_lease = self._sockets.pop(row.stream, None)
        if end is None or data["why"] == "bridge_restarted":
            return
        spent_us = row.at - end.at
        if data["why"] in _LINGERS:
            # A shorter time that was set meanwhile counts from when it was set.
            due = max(end.at + self._policy.linger_ms * 1_000, self._policy_since)
            spent_us = max(0, row.at - due)
        spent_us += end.since_silent_us
        if open_lease is not None and open_lease == data["lease"]:
            closing = _Closing(end, row.at, spent_us, row.pos)
            self._closing[row.stream, open_lease] = closing
        elif spent_us > end.since_silent_us:
            yield from self._judge(end, spent_us, row.pos)

    def _closed(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        if self._sockets.get(row.stream) == data["lease"]:
            del self._sockets[row.stream]
        closing = self._closing.pop((row.stream, data["lease"]), None)
        if closing is not None:
            spent_us = closing.spent_us + row.at - closing.released_at
            yield from self._judge(closing.end, spent_us, row.pos)

    def _judge(self, end: _End, spent_us: int, pos: int) -> Iterator[Finding]:
        if spent_us > end.bound_ms * 1_000:
            text = f"{end.stream}: cleaned up in {spent_us / 1e6:.2f} s"
            text += f", {end.bound_ms / 1e3:g} s are promised"
            yield Finding(check=self.name, pos=pos, text=text)
