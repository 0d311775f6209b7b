"""Upstream sockets on their way out, and when another may open after them.

A provider counts connections by its own clock: one that opens while it still counts the last one is
one too many. So nothing opens before everything that was told to close is gone; and a source whose
provider takes its time may be given a delay on top. What was measured is told.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from events.ids import SourceId
from plexbridge.clock import Clock

_log = structlog.get_logger(__name__)

CLOSING_WAIT_S: Final = 5.0
"""An aborted socket is gone in the next turn of the loop; if it is not, that is said, and the new
upstream opens all the same: a viewer waits for it."""

MEASURED_WITHIN_S: Final = 5.0
"""A connection that opens later than this after the last one is no change of channel."""

Measured = Callable[[SourceId, int], None]


class Closings:
    """Used on the event loop only."""

    def __init__(
        self, clock: Clock, *, settle_ms: Callable[[SourceId], int], measured: Measured
    ) -> None:
        """`settle_ms`: between the end of one connection of a source and the next one, as it is
        said when that opens.
        `measured` is told how many ms lay between them."""
        self._clock = clock
        self._settle_ms = settle_ms
        self._measured = measured
        self._closing: set[asyncio.Future[None]] = set()
        self._closed_at: dict[SourceId, float] = {}

    def __len__(self) -> int:
        """Sockets that were told to close and are not gone."""
        return len(self._closing)

    def add(self, closed: "asyncio.Future[None]", source: SourceId) -> None:
        """A socket of this source was told to close; `closed` resolves when it is gone."""
        self._closing.add(closed)
        closed.add_done_callback(lambda _: self._gone(closed, source))

    async def over(self) -> None:
        """Wait until all of them are gone."""
        waiting = set(self._closing)
        if waiting:
            _, still_open = await asyncio.wait(waiting, timeout=CLOSING_WAIT_S)
            if still_open:
                _log.error("Upstream sockets did not close in time", sockets=len(still_open))

    async def may_open(self, source: SourceId) -> None:
        """Wait until a connection of this source may open."""
        await self.over()
        closed_at = self._closed_at.get(source)
        if closed_at is None:
            return
        left_s = closed_at + self._settle_ms(source) / 1_000 - self._clock.monotonic()
        if left_s > 0:
            await asyncio.sleep(left_s)
        apart_s = self._clock.monotonic() - closed_at
        if apart_s < MEASURED_WITHIN_S:
            self._measured(source, round(apart_s * 1_000))

    def _gone(self, closed: "asyncio.Future[None]", source: SourceId) -> None:
        self._closing.discard(closed)
        self._closed_at[source] = self._clock.monotonic()
