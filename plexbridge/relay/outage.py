"""Keeps players connected while nothing comes: a timer that feeds them filler.

Knows when, and to whom; what filler is made of stands in `filler`.
"""

import asyncio

from plexbridge.relay.fanout import Fanout
from plexbridge.relay.filler import FILLER_EVERY_S, NULLS, Filler


class Outage:
    """Silence on one relay, from its beginning until programme comes again."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self._filler: Filler | None = None
        self._timer: asyncio.TimerHandle | None = None

    def quiet(self) -> None:
        """Nothing has come for a while; it may come again where it stopped."""
        if self._timer is None:
            self._feed()

    def lost(self) -> None:
        """The upstream is lost; what comes next is marked as discontinuous."""
        self._filler = Filler(*self._fanout.last_tables())
        if self._timer is None:
            self._feed()

    def over(self) -> None:
        """Programme comes, or nobody waits for it any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._filler = None

    def _feed(self) -> None:
        # Without a loss the counters of the tables must not move: null packets have none.
        self._fanout.fill(NULLS if self._filler is None else self._filler.next())
        self._timer = asyncio.get_running_loop().call_later(FILLER_EVERY_S, self._feed)
