"""Folds what is durable, keeps it, and answers for now and for any moment before.

Nothing here is ever awaited by a stream. A fold that raises is parked with its error and position;
what was shown then goes on being shown, and says so.
"""

import asyncio
from collections import OrderedDict
from copy import deepcopy
from typing import Final

import structlog

from events.envelope import Recorded
from events.policy import Policy
from events.world import World
from plexbridge.control import stored
from plexbridge.log.driver import Connection
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import Durable, LogReader, LogUnavailable
from plexbridge.log.sqlite import SqliteLog
from projections.folding import Folding
from projections.live import Row, document

_log = structlog.get_logger(__name__)

PAGE_EVENTS: Final = 1_000
"""Read at once: a reader holds no snapshot longer than a page takes."""

SAVE_EVERY_S: Final = 2.0
"""A start after a crash folds what came since the last save, and that is quick."""

MOMENTS_CACHED: Final = 32
"""Dashboards of past positions; history cannot change, so they never grow old."""


def fold_on(folding: Folding, reader: LogReader, up_to: int) -> Folding:
    """Fold the log's events after the folding's position, up to a position. Blocks."""
    while folding.position < up_to:
        page = reader.read(folding.position, min(PAGE_EVENTS, up_to - folding.position))
        if not page:
            break
        for event in page:
            folding.fold(event)
    return folding


class Projector:
    """Used on the event loop; what blocks runs in threads."""

    def __init__(self, log: SqliteLog) -> None:
        self.parked: str | None = None
        """Why and where folding stopped, if it did: a bug of ours."""
        self._log = log
        self._folding = Folding()
        self._moments: OrderedDict[int, Row] = OrderedDict()
        self._saver: asyncio.Task[None] | None = None
        self._document: Row | None = None
        self._saving = asyncio.Lock()

    @property
    def position(self) -> int:
        """The last event folded."""
        return self._folding.position

    async def start(self) -> World:
        """Load what was stored and fold the tail; returns the decided state of the whole log."""
        await self._log.run_in_writer(stored.prepare)
        self._folding = await asyncio.to_thread(self._fold_all)
        self._log.subscribe(self._became_durable)
        self._saver = asyncio.get_running_loop().create_task(self._save_often(), name="projector")
        return deepcopy(self._folding.decided)

    def dashboard(self) -> Row:
        """The durable document now. Not to be changed: it is shared until the next event."""
        if self._document is None:
            self._document = self._folding.shown.document()
        return self._document

    async def dashboard_at(self, *, position: int | None = None, at: int | None = None) -> Row:
        """The document of a position, or of a time in microseconds; clipped to what the log has."""
        if position is None:
            assert at is not None, "a moment is a position or a time"
            position = await asyncio.to_thread(self._log.reader.position_at, at)
        position = max(0, min(position, self.position))
        cached = self._moments.get(position)
        if cached is None:
            cached = await asyncio.to_thread(self._fold_to, position)
            self._moments[position] = cached
            if len(self._moments) > MOMENTS_CACHED:
                self._moments.popitem(last=False)
        return cached

    async def sessions(
        self,
        *,
        state: str | None = None,
        channel: str | None = None,
        client: str | None = None,
        since: int | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> list[Row]:
        """Sessions, open and ended, the newest first. `channel`: id or guide number; `since`: Unix
        ms of the start; `after`: go on below this id."""
        given = {"channel": channel, "client": client, "since": since, "after": after}
        where = {name: value for name, value in given.items() if value is not None}
        if state is not None:
            where["state"] = state
        await self.save()
        return await asyncio.to_thread(
            self._log.reader.query, lambda c: stored.find_sessions(c, where, limit)
        )

    async def session(self, session: str) -> Row | None:
        """One session, open or ended."""
        await self.save()
        return await asyncio.to_thread(
            self._log.reader.query, lambda c: stored.find_session(c, session)
        )

    async def save(self) -> None:
        """Store the states and the rows that changed, if any did; returns when they are stored,
        also when somebody else is just storing them."""
        async with self._saving:
            await self._save()

    async def _save(self) -> None:
        live = self._folding.shown.live
        if not live.touched or self.parked is not None:
            return
        policy = Policy.from_payload(live.state["policy"])
        rows = [document(row, policy) for row in live.touched.values()]
        taken, live.touched = live.touched, {}
        states, pos, at = self._folding.dump(), self.position, self._folding.shown.at

        def work(connection: Connection) -> None:
            stored.save(connection, states, pos, at, rows)

        try:
            await self._log.run_in_writer(work)
        except (LogUnavailable, StorageFailed):
            live.touched = {**taken, **live.touched}  # stored with the next save

    async def close(self) -> None:
        """Store what changed last; before the log closes."""
        if self._saver is not None:
            self._saver.cancel()
            await asyncio.gather(self._saver, return_exceptions=True)
            await self.save()

    async def _save_often(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self.save()

    def _became_durable(self, rows: Durable) -> None:
        if self.parked is not None:
            return
        self._document = None
        for row in rows:
            if row.pos > self._folding.position:
                self._fold(row)

    def _fold(self, row: Recorded) -> None:
        try:
            self._folding.fold(row)
        except Exception as fault:
            # Whatever it is, streams go on; what is shown stops here and says so.
            self.parked = f"position {row.pos} ({row.stream} {row.type}): {fault!r}"
            _log.exception("A projection was parked", position=row.pos)

    def _fold_all(self) -> Folding:
        reader = self._log.reader
        head = reader.head().pos
        return fold_on(reader.query(lambda c: stored.nearest(c, head)), reader, head)

    def _fold_to(self, position: int) -> Row:
        reader = self._log.reader
        folding = reader.query(lambda c: stored.nearest(c, position))
        return fold_on(folding, reader, position).shown.document()
