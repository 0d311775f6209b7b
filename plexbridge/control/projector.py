"""Folds what is durable, keeps it, and answers for now and for any moment before.

Nothing here is ever awaited by a stream. A fold that raises is parked with its error and position:
what the log held before it goes on being shown and kept, and streams go on. Only a decided state
that cannot be folded stops a start, because nothing can be given without it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Final

import structlog

from events.envelope import Recorded
from events.policy import Policy
from events.world import World, evolve
from plexbridge.control import stored
from plexbridge.log.driver import Connection
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import Durable, LogReader, LogUnavailable
from plexbridge.log.sqlite import SqliteLog
from plexbridge.log.whole import whole
from projections.dashboard import NAME, Dashboard
from projections.folding import Folding
from projections.live import Row, document

_log = structlog.get_logger(__name__)

PAGE_EVENTS: Final = 1_000
"""Read at once: a reader holds no snapshot longer than a page takes."""

SAVE_EVERY_S: Final = 2.0
"""A start after a crash folds what came since the last save, and that is quick."""

MOMENTS_CACHED: Final = 32
"""Dashboards of past positions; history cannot change, so they never grow old. The one asked for
longest ago is forgotten first."""

OnParked = Callable[[str, int, Exception], None]
"""Told once, on the loop: the projection's name, the position it could not fold, and why."""


def recorded(reader: LogReader, after: int, up_to: int) -> Iterator[Recorded]:
    """Events behind one position up to another, page by page. Blocks."""
    while after < up_to:
        page = reader.read(after, min(PAGE_EVENTS, up_to - after))
        if not page:
            return
        yield from page
        after = page[-1].pos


def fold_on(folding: Folding, reader: LogReader, up_to: int) -> Folding:
    """Fold the log's events after the folding's position, up to a position. Blocks."""
    for event in recorded(reader, folding.position, up_to):
        folding.fold(event)
    return folding


class Projector:
    """Used on the event loop; what blocks runs in threads."""

    def __init__(self, log: SqliteLog, *, on_parked: OnParked | None = None) -> None:
        self.parked: str | None = None
        """Why and where folding stopped, if it did: a bug of ours."""
        self._log = log
        self._on_parked = on_parked
        self._folding = Folding()
        self._restoring: asyncio.Task[None] | None = None
        """Set since an event was half folded, until the state before it is there again."""
        self._moments: OrderedDict[int, Row] = OrderedDict()
        self._saver: asyncio.Task[None] | None = None
        self._document = Dashboard().document()
        self._document_is_old = False
        self._saving = asyncio.Lock()

    @property
    def position(self) -> int:
        """The last event folded."""
        return self._folding.position

    async def start(self) -> World:
        """Load what was stored and fold the tail; returns the decided state of the whole log.

        Raises:
            StorageFailed: the log cannot be read.
        """
        await self._log.run_in_writer(stored.prepare)
        decided, fault = await asyncio.to_thread(self._fold_all)
        self._document_is_old = True
        if fault is not None:
            self._park(fault)
        await self.save()  # here and not later: what piled up may be many, and nobody streams yet
        self._log.subscribe(self._became_durable)
        self._saver = asyncio.get_running_loop().create_task(self._save_often(), name="projector")
        return decided

    def dashboard(self) -> Row:
        """The durable document now. Not to be changed: it is shared until the next event."""
        if self._document_is_old and self._restoring is None:
            self._document = self._folding.shown.document()
            self._document_is_old = False
        return self._document

    async def dashboard_at(self, *, position: int | None = None, at: int | None = None) -> Row:
        """The document of a position, or of a time in microseconds; clipped to what the log has.
        A position inside a decision stands for the end of it: half of one was never shown."""
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
        else:
            self._moments.move_to_end(position)
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
        unsaved = self._unsaved()
        found = await asyncio.to_thread(
            self._log.reader.query,
            lambda c: stored.find_sessions(c, where, limit + len(unsaved)),
        )
        by_id = {row["id"]: row for row in found} | unsaved
        newest = [row for _, row in sorted(by_id.items(), reverse=True)]
        return [row for row in newest if stored.matches(row, where)][:limit]

    async def session(self, session: str) -> Row | None:
        """One session, open or ended."""
        await self.save()
        unsaved = self._unsaved().get(session)
        return unsaved or await asyncio.to_thread(
            self._log.reader.query, lambda c: stored.find_session(c, session)
        )

    async def save(self) -> None:
        """Store the states and the rows that changed, if any did; returns when they are stored,
        also when somebody else is just storing them."""
        async with self._saving:
            await self._save()

    async def _save(self) -> None:
        live, rows = self._folding.shown.live, list(self._unsaved().values())
        if not rows:
            return
        taken, live.touched = live.touched, {}
        states, pos, at = self._folding.dump(), self.position, self._folding.shown.at

        def work(connection: Connection) -> None:
            stored.save(connection, states, pos, at, rows)

        saved = False
        try:
            await self._log.run_in_writer(work)
            saved = True
        except (LogUnavailable, StorageFailed):
            pass  # the log says so itself; the next save stores them
        finally:
            if not saved:  # a cancelled asker does not know; stored twice does no harm
                live.touched = taken | live.touched

    def _unsaved(self) -> dict[str, Row]:
        """Documents of the sessions that changed since they were stored, by id."""
        if self._restoring is not None:
            return {}  # half folded
        live = self._folding.shown.live
        policy = Policy.from_payload(live.state["policy"])
        return {id_: document(row, policy) for id_, row in live.touched.items()}

    async def close(self) -> None:
        """Store what changed last; before the log closes."""
        if self._restoring is not None:
            await self._restoring
        if self._saver is not None:
            self._saver.cancel()
            await asyncio.gather(self._saver, return_exceptions=True)
            await self.save()

    async def _save_often(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            try:
                await self.save()
            except Exception:
                # Our own fault, whatever it is: what is shown does not depend on it.
                _log.exception("Projections could not be stored", position=self.position)

    def _became_durable(self, rows: Durable) -> None:
        if self.parked is not None:
            return
        for row in rows:
            if row.pos <= self._folding.position:
                continue
            try:
                self._folding.fold(row)
            except Exception as fault:
                self._park(fault)
                restoring = self._restore(self.position)
                self._restoring = asyncio.get_running_loop().create_task(restoring)
                return
        self._document_is_old = True

    def _park(self, fault: Exception) -> None:
        """The event after `position` could not be folded. Whatever it is, streams go on."""
        pos = self.position + 1
        self.parked = f"position {pos}: {fault!r}"
        _log.error("A projection was parked", position=pos, exc_info=fault)
        if self._on_parked is not None:
            self._on_parked(NAME, pos, fault)

    async def _restore(self, position: int) -> None:
        """Put the state of a position in the place of one that an event was half folded into."""
        try:
            self._folding = await asyncio.to_thread(self._folded_to, position)
        except StorageFailed:
            _log.exception("What is shown stays as it was", position=position)
            return  # and goes on being the last document that was asked for
        self._document_is_old = True
        self._restoring = None

    def _fold_all(self) -> tuple[World, Exception | None]:
        """Fold to the head; what is shown stops before an event that it cannot fold."""
        reader = self._log.reader
        head = reader.head().pos
        self._folding = reader.query(lambda c: stored.nearest(c, head))
        fault: Exception | None = None
        try:
            fold_on(self._folding, reader, head)
        except StorageFailed:
            raise
        except Exception as raised:
            fault = raised
            self._folding = self._folded_to(self.position)
        decided = deepcopy(self._folding.decided)
        for event in recorded(reader, self.position, head):
            evolve(decided, event)
        return decided, fault

    def _folded_to(self, position: int) -> Folding:
        reader = self._log.reader
        return fold_on(reader.query(lambda c: stored.nearest(c, position)), reader, position)

    def _fold_to(self, position: int) -> Row:
        position = min(whole(self._log.reader, position), self.position)
        return self._folded_to(position).shown.document()
