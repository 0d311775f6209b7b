"""The one ticker: looks a few times a second at what time asks for, and gives it to the door.

Deadlines are pure (`events.deadlines`); here is only the looking. Activity is told from what the
sockets have accepted, never from a timer of ours.
"""

import asyncio
import contextlib
from collections.abc import Callable

from events.commands import Accepted, Command, Progress
from events.deadlines import Observation, due
from events.ids import ChannelId, SessionId
from events.machine import ACTIVE
from events.refusals import AlreadyEnded, UnknownSession
from events.world import Session
from plexbridge.clock import SteadyClock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.uptake import UptakeWatch
from plexbridge.control.viewers import Viewers

TICK_S = 0.25
"""How late a deadline may fire: a hundredth of the shortest that matters (20 s) and less."""


class Ticker:
    """Used on the event loop only."""

    def __init__(
        self,
        door: Door,
        effects: Effects,
        viewers: Viewers,
        clock: SteadyClock,
        *,
        throttle_ms: int,
        gauges: Callable[[], None],
        media_rate: Callable[[ChannelId], float | None] = lambda channel: None,
    ) -> None:
        """`throttle_ms`: an active session's activity is looked at at most this often
        (`ACTIVITY_TRACKING_THROTTLE`). `gauges` is called once a tick. `media_rate`: bytes per
        second of a channel by its own clock; None where it is not known."""
        self._door = door
        self._effects = effects
        self._viewers = viewers
        self._clock = clock
        self.throttle_ms = throttle_ms
        self._gauges = gauges
        self._looked_at: dict[SessionId, int] = {}
        self._uptake = UptakeWatch(effects, viewers, media_rate)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(TICK_S)

    def tick(self) -> None:
        """Sample once."""
        if self._nothing_lasts:
            self._clock.resync()
        self._tell_activity()
        now = self._clock.now()
        for command in due(self._door.world, self._observe, now):
            self._report(command)
        for command in self._uptake.too_slow(self._door.world, now):
            self._report(command)
        self._gauges()

    @property
    def _nothing_lasts(self) -> bool:
        """Nothing is going on whose length a new time would make wrong."""
        if not self._door.storing:
            return False  # what was stored unheard may turn out to be in force
        world, effects = self._door.world, self._effects
        return not (world.sessions or world.leases or effects.relays or effects.closing)

    def _report(self, command: Command) -> None:
        with contextlib.suppress(AlreadyEnded, UnknownSession):  # ended earlier in this very tick
            self._door.report(command)

    def _tell_activity(self) -> None:
        now = self._clock.now()
        sessions = self._door.world.sessions
        for gone in [name for name in self._looked_at if name not in sessions]:
            del self._looked_at[gone]
        for session in list(sessions.values()):
            since_ms = (now - self._looked_at.get(session.id, 0)) // 1_000
            if session.state == ACTIVE and since_ms < self.throttle_ms:
                continue
            progress = self._viewers.progress(session.id)
            if progress is None or progress.accepted_at <= session.accepted_at:
                continue
            self._looked_at[session.id] = now
            self._door.report(
                Accepted(at=now, session=session.id, progress=progress), actor="player"
            )

    def _observe(self, session: Session) -> Observation:
        viewer = self._viewers.get(session.id)
        reader = self._effects.reader(session.id, session.channel)
        if viewer is None:
            return Observation(
                progress=Progress(bytes=session.bytes, accepted_at=session.accepted_at),
                waiting=True,
                acknowledging=False,
            )
        return Observation(
            progress=viewer.progress(),
            waiting=reader is not None and reader.waiting,
            acknowledging=viewer.acknowledging(),
        )
