"""One attempt at building the projections of this version beside those in force.

Goes page by page: each is folded in a thread, and what comes of it is stored now and then, so that
neither the loop nor an append waits for more than a page, and a stopped attempt goes on where it
was. Refuses to know who waits for it, and what is shown meanwhile.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from events.policy import Policy
from plexbridge.control import beside, stored
from plexbridge.control.beside import Moved
from plexbridge.control.seals import beginning, first_moment
from plexbridge.control.stored import State
from plexbridge.log.sqlite import SqliteLog
from projections import dashboard
from projections.dashboard import Dashboard
from projections.live import document
from projections.world_state import Decided

PAGE_EVENTS: Final = 1_000
"""Folded at once, some 4 ms."""

ROWS_AT_ONCE: Final = 1_000
"""Rows stored at once, some 10 ms: appends wait behind them."""

PAUSE_S: Final = 0.004
"""After each page, as long as one takes: half of the time is left to those who stream."""


class BeingBuilt(Exception):
    """What is asked for is not there yet: it is being built."""

    def __init__(self, position: int, of: int, stopped: str | None = None) -> None:
        self.name, self.version = dashboard.NAME, dashboard.VERSION
        self.position = position
        """How far it came."""
        self.of = of
        """Where it has to come to: the end of the log as it is known."""
        self.stopped = stopped
        """Why it does not go on, where it does not."""
        what = f"the {self.name} (version {self.version})"
        how_far = f"position {position:,} of {of:,}"
        if stopped is None:
            text = f"{what} is being built from the event log: {how_far}"
        else:
            text = f"{what} could not be built from the event log beyond {how_far}: {stopped}"
        super().__init__(text)


class Part(NamedTuple):
    """What came of some pages."""

    states: list[State]
    rows: Sequence[Mapping[str, Any]]


class Build:
    """Used on the event loop."""

    def __init__(self, log: SqliteLog, *, decided: bool = False) -> None:
        """`decided`: build the decided state as well."""
        self.shown = Dashboard()
        self._log = log
        self._decided_too = decided
        self._decided: Decided | None = None
        self._base = 0
        self._unstored: Part | None = None

    @property
    def position(self) -> int:
        """The last event folded."""
        return self.shown.position

    async def resume(self, head: int) -> None:
        """Go on where an earlier attempt was stopped, where there was one; otherwise begin.

        Raises:
            LogUnavailable, StorageFailed: nothing can be stored at the moment.
            SealBroken, NewerLog: what the log begins with cannot be read.
        """
        assert not self._decided_too, "what else was built is not looked at"
        reader = self._log.reader
        found = await asyncio.to_thread(reader.query, lambda it: beside.resumed(it, head))
        if found is None:
            await self.begin()
            return
        self.shown = found
        self._base = await asyncio.to_thread(reader.query, first_moment)

    async def begin(self) -> None:
        """Begin where the log does.

        Raises:
            LogUnavailable, StorageFailed: nothing can be stored at the moment.
            SealBroken, NewerLog: what the log begins with cannot be read.
        """
        reader = self._log.reader
        first = await asyncio.to_thread(reader.query, beginning)
        base = await asyncio.to_thread(reader.query, first_moment)
        self.shown, self._base, self._unstored = first.shown, base, None
        self._decided = first.ground if self._decided_too else None
        wanted = [state[:2] for state in self._states()]
        await self._log.run_in_writer(lambda it: beside.begin(it, wanted, base))

    async def advance(self, until: int) -> None:
        """Fold the next page, not beyond `until`; store what is due. `until` is reached when it is
        both folded and stored.

        Raises:
            LogUnavailable, StorageFailed: to be called again; nothing is folded twice.
            Moved: the log begins elsewhere by now; `begin` again.
            Exception: whatever a fold raises, at the event behind `position`: this attempt is over.
        """
        if self._unstored is None:
            self._unstored = await asyncio.to_thread(self._fold_page, until)
        if self._unstored is not None:
            states, rows = self._unstored
            await self._log.run_in_writer(
                lambda it: stored.save(it, states, rows, tables=beside.NEXT)
            )
            self._unstored = None

    async def switch(self) -> None:
        """Put what was built in the place of what is in force.

        Raises:
            LogUnavailable, StorageFailed: nothing has changed.
            Moved: the log begins elsewhere by now; `begin` again.
        """
        await self._log.run_in_writer(beside.switch)

    def _fold_page(self, until: int) -> Part | None:
        """Blocks."""
        assert until >= self.position, f"{self.position} is behind {until}"
        reader = self._log.reader
        to_kept = stored.KEEP_EVERY - self.position % stored.KEEP_EVERY
        page = reader.read(self.position, min(until - self.position, PAGE_EVENTS, to_kept))
        if reader.query(first_moment) != self._base:  # asked last: until then nothing went
            raise Moved
        assert page or until == self.position, f"the log ends at {self.position}"
        for event in page:
            assert event.pos == self.position + 1, f"event {event.pos} follows {self.position}"
            if self._decided is not None:
                self._decided.fold(event)
            self.shown.fold(event)
        live = self.shown.live
        if not page and not live.touched:
            return None
        due = self.position >= until or self.position % stored.KEEP_EVERY == 0
        if not due and len(live.touched) < ROWS_AT_ONCE:
            return None
        policy = Policy.from_payload(live.state["policy"])
        rows = [document(changed, policy) for changed in live.touched.values()]
        live.touched.clear()
        return Part(self._states(), rows)

    def _states(self) -> list[State]:
        shown = State.shown(self.shown)
        return [shown] if self._decided is None else [shown, State.decided(self._decided)]
