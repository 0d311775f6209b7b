"""The settings in force, and taking over changed ones while people watch.

Knows which part holds which value. A change of what rules depend on goes through the door, as a
decision of its own, and is recorded; nobody's session ends for it. Used on the event loop only.
"""

import asyncio
from dataclasses import dataclass, replace

from events.commands import ChangeSettings
from plexbridge.clock import Clock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.retention import Retention
from plexbridge.control.sweep import Sweep
from plexbridge.control.ticker import Ticker
from plexbridge.log.port import Durable
from plexbridge.server.start_rate import StartRate
from plexbridge.settings import Settings, with_values
from plexbridge.tuner.device import Device


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a bridge follows its settings while it runs."""

    door: Door
    effects: Effects
    sweep: Sweep
    ticker: Ticker
    retention: Retention
    starts: StartRate
    device: Device

    def follow(self, settings: Settings) -> None:
        """Go on by these. What goes on already goes on as it began."""
        self.effects.relay_policy = replace(
            self.effects.relay_policy, resilient=settings.auto_upgrade_to_resilient
        )
        self.sweep.set_interval(settings.cleanup_interval_ms)
        self.ticker.throttle_ms = settings.activity_tracking_throttle_ms
        self.retention.days = settings.retention_days
        self.retention.megabytes = settings.retention_mb
        self.starts.per_second = settings.starts_per_second
        self.device.tuners = settings.tuner_count
        self.device.friendly_name = settings.friendly_name


class LiveSettings:
    """Those of one bridge."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.now = settings
        self._clock = clock
        self._parts: Parts | None = None

    def join(self, parts: Parts) -> None:
        """From here on these follow."""
        self._parts = parts

    def take_over(
        self, later: Settings, names: frozenset[str], *, at_once: frozenset[str], by: str
    ) -> "asyncio.Future[Durable]":
        """Somebody changed settings of these names: put those of `later` in force that are to be
        `at_once`. The future tells when that is durable; the rules go by it now, as by whatever
        happened."""
        assert self._parts is not None, "a bridge that is asked has started"
        door = self._parts.door
        self.now = with_values(self.now, later, at_once)
        policy = self.now.policy()
        recorded = door.report(
            ChangeSettings(
                at=self._clock.now(),
                names=tuple(sorted(names)),
                by=by,
                policy=None if policy == door.world.policy else policy,
            ),
            actor="admin",
        )
        self._parts.follow(self.now)
        assert recorded is not None, "a change of settings is always recorded"
        return recorded
