"""The dashboard of this version on its way to the place of its predecessor, while the log grows.

Knows when it is level, what to do when the log cannot store for a while or was pruned, and how no
event is lost or folded twice at the hand-over. Refuses to know what is shown meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from events.envelope import Recorded
from plexbridge.control.beside import Moved
from plexbridge.control.building import PAGE_EVENTS, PAUSE_S, Build
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import LogUnavailable
from plexbridge.log.sqlite import SqliteLog
from projections.dashboard import Dashboard

_log = structlog.get_logger(__name__)

AGAIN_AFTER_S: Final = 2.0
"""Until it goes on after the log could not store."""

TakePlace = Callable[[Dashboard, Sequence[Recorded]], None]
"""Called on the loop when it is stored in its predecessor's place: the dashboard, and the events
behind it that were heard of already."""

Break = Callable[[int, Exception], None]
"""Called on the loop: the position that could not be folded, and why."""


class Successor:
    """Used on the event loop."""

    def __init__(
        self, log: SqliteLog, heard: Callable[[], int], take_place: TakePlace, broken: Break
    ) -> None:
        """`heard`: the last event known to be durable; those after it are told by `hear`."""
        self._build = Build(log)
        self._begun = False
        self._heard = heard
        self._take_place = take_place
        self._broken = broken
        self._stopping = asyncio.Event()
        self._arriving: list[Recorded] | None = None
        """What became durable since the last pages were asked for: as much as comes in some ten
        milliseconds."""

    @property
    def position(self) -> int:
        """How far it is."""
        return self._build.position

    def hear(self, row: Recorded) -> None:
        """An event became durable."""
        if self._arriving is not None:
            self._arriving.append(row)

    def stop(self) -> None:
        """Come to an end after this page; the next start goes on from what was stored."""
        self._stopping.set()

    async def run(self) -> None:
        """Build until it has taken its place, is broken or stopped."""
        try:
            while not await self._went_through():
                await self._pause(AGAIN_AFTER_S)
        except Exception as fault:
            # A fold of ours, or how it is stored: whatever it is, streams go on.
            self._broken(self.position + 1, fault)
        finally:
            self._arriving = None

    async def _went_through(self) -> bool:
        """False where the log can store nothing at the moment."""
        try:
            if not self._begun:
                await self._build.resume(self._heard())
                self._begun = True
            while not self._stopping.is_set() and not await self._step():
                await self._pause(PAUSE_S)
        except (LogUnavailable, StorageFailed) as fault:
            self._arriving = None
            _log.warning("Building waits for the log", position=self.position, why=str(fault))
            return self._stopping.is_set()
        return True

    async def _pause(self, seconds: float) -> None:
        """Or shorter, when it is to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _step(self) -> bool:
        """A page, or the last ones and the hand-over: then True."""
        try:
            until = self._heard()
            if until - self.position > PAGE_EVENTS:
                await self._build.advance(until)
                return False
            self._arriving = []
            await self._build.advance(until)
            while self.position < until:
                await self._build.advance(until)
            await self._build.switch()
        except Moved:
            self._arriving = None
            self._begun = False
            await self._build.begin()
            self._begun = True
            return False
        arriving, self._arriving = self._arriving, None
        self._take_place(self._build.shown, arriving)
        return True
