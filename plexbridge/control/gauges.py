"""Live numbers that are not in the log: what flows now, per session and relay."""

from collections import deque
from typing import Any, Final

from events.deadlines import deadline
from events.ids import SessionId
from plexbridge.clock import Clock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.viewers import Viewers

WINDOW_S: Final = 3.0
"""Rates are means over about this long: steady to the eye, and quick to fall to zero."""


SAMPLE_EVERY_S: Final = 0.9
"""About once a second: looking at a thousand sockets four times a second is 4 % of a processor."""


class Gauges:
    """Asked to sample at each tick; used on the event loop only."""

    def __init__(self, door: Door, effects: Effects, viewers: Viewers, clock: Clock) -> None:
        self._door = door
        self._effects = effects
        self._viewers = viewers
        self._clock = clock
        self._sampled_at = float("-inf")
        self._samples: dict[SessionId, deque[tuple[float, int]]] = {}

    def sample(self) -> None:
        """Note what every socket has accepted by now, if it is time to look again."""
        now = self._clock.monotonic()
        if now - self._sampled_at < SAMPLE_EVERY_S:
            return
        self._sampled_at = now
        connected = set(self._viewers.sessions())
        for gone in self._samples.keys() - connected:
            del self._samples[gone]
        for session, progress in self._viewers.all_progress():
            samples = self._samples.setdefault(session, deque())
            samples.append((now, progress.bytes))
            while len(samples) > 2 and now - samples[0][0] > WINDOW_S:
                samples.popleft()

    def rate(self, session: SessionId) -> int:
        """Bits per second accepted by a session's socket, lately."""
        samples = self._samples.get(session)
        if samples is None or len(samples) < 2:
            return 0
        (begun, before), (ended, after) = samples[0], samples[-1]
        return round((after - before) * 8 / (ended - begun)) if ended > begun else 0

    def tuner_rates(self) -> dict[int, int]:
        """Bits per second by tuner: of the fastest session on it, for all read the same bytes."""
        rates: dict[int, int] = {}
        for lease in self._door.world.leases.values():
            found = [self.rate(session) for session in lease.sessions]
            rates[lease.tuner] = max(found, default=0)
        return rates

    def document(self) -> dict[str, Any]:
        """Everything, for the live dashboard; times in milliseconds."""
        now = self._clock.now()
        policy = self._door.world.policy
        sessions: dict[str, dict[str, Any]] = {}
        for session in self._door.world.sessions.values():
            progress = self._viewers.progress(session.id)
            accepted_at = session.accepted_at if progress is None else progress.accepted_at
            reader = self._effects.reader(session.id, session.channel)
            due = deadline(session, policy, progress)
            sessions[session.id] = {
                "bitrate_now": self.rate(session.id),
                "bytes": session.bytes if progress is None else progress.bytes,
                "last_byte_ms_ago": max(0, (now - accepted_at) // 1_000),
                "deadline_in_ms": (due.at - now) // 1_000,
                "lag_bytes": 0 if reader is None else reader.lag_bytes,
                "skips": 0 if reader is None else reader.skips,
            }
        return {
            "sessions": sessions,
            "bitrate_out": sum(gauge["bitrate_now"] for gauge in sessions.values()),
            "upstreams_open": len(self._effects.relays),
            "waiting_facts": self._door.waiting_facts,
            "storing": self._door.storing,
        }
