"""How long things take in this process, for Prometheus: what the log alone cannot tell.

Listens to what becomes durable and to the loop's own lateness. Labels are reasons, sources and
projections, whose numbers are bounded; never a session, a channel or a client.
"""

import asyncio
from typing import Final, cast

from prometheus_client import CollectorRegistry, Histogram

from events.machine import CONNECT, ENDED
from events.payloads import ActivityData, ConnectData, EndData
from events.reasons import label_of
from plexbridge.clock import Clock
from plexbridge.log.port import Durable

LAG_EVERY_S: Final = 0.5
"""Between two looks at the loop's lateness: often enough to meet a stall that a viewer notices."""

_MICROS_PER_S: Final = 1_000_000

_APPEND_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_CLEANUP_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.0, 5.0, 25.0, 60.0)
_FIRST_BYTE_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)
_LAG_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Timings:
    """Used on the event loop only."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self.position = 0
        """The last durable event seen."""
        self._sources: dict[str, str] = {}
        """Source by session stream, while the session is open and has had no byte."""
        self._append = Histogram(
            "plexbridge_event_append_seconds",
            "from an event's decision until it is durable",
            buckets=_APPEND_S,
            registry=registry,
        )
        self._cleanup = Histogram(
            "plexbridge_cleanup_seconds",
            "from a player's last accepted byte or its leaving until its end is durable",
            labelnames=["reason"],
            buckets=_CLEANUP_S,
            registry=registry,
        )
        self._first_byte = Histogram(
            "plexbridge_first_byte_seconds",
            "from a player's request until its socket took the first byte",
            labelnames=["source"],
            buckets=_FIRST_BYTE_S,
            registry=registry,
        )
        self._lag = Histogram(
            "plexbridge_loop_lag_seconds",
            "how late the event loop is",
            buckets=_LAG_S,
            registry=registry,
        )

    def became_durable(self, rows: Durable) -> None:
        """Measure what these rows tell."""
        now = self._clock.now()
        if rows:
            self.position = rows[-1].pos
        for row in rows:
            self._append.observe(max(0, now - row.at) / _MICROS_PER_S)
            if row.type == CONNECT:
                self._sources[row.stream] = cast(ConnectData, row.payload)["source"]
            elif row.type == "activity":
                self._heard(row.stream, cast(ActivityData, row.payload))
            elif row.dst == ENDED:
                self._sources.pop(row.stream, None)
                data = cast(EndData, row.payload)
                # A deadline's cause is the last accepted byte; any other end is its own cause.
                since = data["accepted_at"] if data["reason"] in ("orphaned", "stale") else row.at
                self._cleanup.labels(label_of(data["reason"])).observe(
                    max(0, now - since) / _MICROS_PER_S
                )

    def _heard(self, stream: str, data: ActivityData) -> None:
        source = self._sources.pop(stream, None)
        if source is not None and "first_byte_ms" in data:
            self._first_byte.labels(source).observe(data["first_byte_ms"] / 1_000)

    async def watch_loop(self) -> None:
        """Look again and again how late the loop wakes us; until cancelled."""
        while True:
            due = self._clock.monotonic() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._lag.observe(max(0.0, self._clock.monotonic() - due))
