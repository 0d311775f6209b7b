"""Folds what is durable, keeps it, and answers for now and for any moment before.

Nothing here is ever awaited by a stream. What is shown and what is decided on are folded apart: one
that raises is parked with its error and position, what the log held before it goes on being shown
and kept, and the other and the streams go on. Only a decided state that cannot be folded stops a
start, because nothing can be given without it. A dashboard of another version than the stored one
is built beside it, and is not there until it is level.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Final

import structlog

from events.envelope import Recorded
from events.policy import Policy
from events.world import World
from plexbridge.control import beside, loading, stored
from plexbridge.control.building import BeingBuilt
from plexbridge.control.seals import first_moment
from plexbridge.control.stored import State
from plexbridge.control.successor import Successor
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import Durable, LogUnavailable
from plexbridge.log.sqlite import SqliteLog
from plexbridge.log.whole import whole
from projections import dashboard, world_state
from projections.dashboard import Dashboard
from projections.live import Row, document
from projections.world_state import Decided

_log = structlog.get_logger(__name__)

SAVE_EVERY_S: Final = 2.0
"""A start after a crash folds what came since the last save, and that is quick."""

DECIDED_EVENTS: Final = 1_000
"""Events after which the decided state is stored though no session's row changed: a start folds
them in some milliseconds."""

BUILT_BEFORE_SERVING_EVENTS: Final = 10_000
"""Of a dashboard that is not stored: so few are folded before anybody is answered, some 40 ms."""

BUILT_BEFORE_SERVING_S: Final = 5.0
"""No longer than this is waited for them: a log that cannot store holds up no start."""

MOMENTS_CACHED: Final = 32
"""Dashboards of past positions; history cannot change, so they never grow old. The one asked for
longest ago is forgotten first."""

OnParked = Callable[[str, int, Exception], None]
"""Told once, on the loop: the projection's name, the position it could not fold, and why."""


class Projector:
    """Used on the event loop; what blocks runs in threads."""

    def __init__(self, log: SqliteLog, *, on_parked: OnParked | None = None) -> None:
        self._log = log
        self._on_parked = on_parked
        self._parked: dict[str, str] = {}
        self._heard = 0
        """The last event that became durable."""
        self._shown: Dashboard | None = Dashboard()
        """None while it is being built."""
        self._decided: Decided | None = None
        """None where it is parked."""
        self._decided_stored = 0
        self._successor: Successor | None = None
        """What is being built, if anything is."""
        self._building: asyncio.Task[None] | None = None
        self._told = False
        """Whether it was said that something is being built."""
        self._restoring: asyncio.Task[None] | None = None
        """Set since an event was half folded, until the state before it is there again."""
        self._moments: OrderedDict[int, Row] = OrderedDict()
        self._saver: asyncio.Task[None] | None = None
        self._document = Dashboard().document()
        self._document_is_old = False
        self._saving = asyncio.Lock()

    @property
    def parked(self) -> str | None:
        """What stopped folding, why and where, if anything did: a bug of ours."""
        return "; ".join(self._parked.values()) or None

    @property
    def position(self) -> int:
        """The last event folded into the dashboard, be it shown or on its way."""
        if self._shown is not None:
            return self._shown.position
        return 0 if self._successor is None else self._successor.position

    @property
    def decided_position(self) -> int:
        """The last event folded into the decided state that is kept; 0 where that is parked."""
        return 0 if self._decided is None else self._decided.position

    @property
    def horizon(self) -> int:
        """The last position that what is read from the log itself may tell of: that of what is
        shown beside it, or all that is durable while nothing is."""
        return self._heard if self._shown is None else self._shown.position

    @property
    def being_built(self) -> BeingBuilt | None:
        """How far the dashboard is, while it is not level; None once it is there."""
        if self._shown is not None:
            return None
        return BeingBuilt(self.position, self._heard, self._parked.get(dashboard.NAME))

    async def start(self) -> World:
        """Load what was stored and fold the tail; returns the decided state of the whole log. A
        dashboard that this version has not stored is built afterwards, unless that is quick.

        Raises:
            StorageFailed: the log cannot be read.
        """
        await self._log.run_in_writer(stored.prepare)
        found = await asyncio.to_thread(loading.load, self._log.reader)
        self._heard, self._decided, self._shown = found.head, found.decided, found.shown
        self._document_is_old = True
        if found.fault is not None:
            self._park(dashboard.NAME, self.position + 1, found.fault)
        if found.recast:
            with suppress(LogUnavailable, StorageFailed):  # then the next start folds it again
                await self._log.run_in_writer(lambda it: loading.take(it, found.recast))
        await self.save()  # here and not later: what piled up may be many, and nobody streams yet
        self._log.subscribe(self._became_durable)
        self._saver = asyncio.get_running_loop().create_task(self._save_often(), name="projector")
        if self._shown is None:
            await self._build()
        elif await asyncio.to_thread(self._log.reader.query, beside.under_way):
            await self._log.run_in_writer(beside.abandon)
        return deepcopy(found.decided.world)

    def dashboard(self) -> Row:
        """The durable document now. Not to be changed: it is shared until the next event.

        Raises:
            BeingBuilt: there is none yet.
        """
        shown = self._level()
        if self._document_is_old and self._restoring is None:
            self._document = shown.document()
            self._document_is_old = False
        return self._document

    async def dashboard_at(self, *, position: int | None = None, at: int | None = None) -> Row:
        """The document of a position, or of a time in microseconds; clipped to what the log has.
        A position inside a decision stands for the end of it: half of one was never shown.

        Raises:
            BeingBuilt: no moment can be told yet.
            Pruned: it lies before the first that can.
        """
        self._level()
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
        ms of the start; `after`: go on below this id.

        Raises:
            BeingBuilt: their rows are not there yet.
        """
        given = {"channel": channel, "client": client, "since": since, "after": after}
        where = {name: value for name, value in given.items() if value is not None}
        if state is not None:
            where["state"] = state
        await self.settle()
        unsaved = self._unsaved()
        found = await asyncio.to_thread(
            self._log.reader.query,
            lambda c: stored.find_sessions(c, where, limit + len(unsaved)),
        )
        by_id = {row["id"]: row for row in found} | unsaved
        newest = [row for _, row in sorted(by_id.items(), reverse=True)]
        return [row for row in newest if stored.matches(row, where)][:limit]

    async def session(self, session: str) -> Row | None:
        """One session, open or ended.

        Raises:
            BeingBuilt: the rows of sessions are not there yet.
        """
        await self.settle()
        unsaved = self._unsaved().get(session)
        return unsaved or await asyncio.to_thread(
            self._log.reader.query, lambda c: stored.find_session(c, session)
        )

    async def settle(self) -> None:
        """Store what changed last, for who asks the stored rows.

        Raises:
            BeingBuilt: they are of another version.
        """
        self._level()
        await self.save()

    async def save(self) -> None:
        """Store the states and the rows that changed, if any did; returns when they are stored,
        also when somebody else is just storing them."""
        async with self._saving:
            await self._save()

    async def _save(self) -> None:
        rows, states, taken = list(self._unsaved().values()), list[State](), dict[str, Row]()
        shown, decided = self._shown, self._decided
        if shown is not None and rows:
            states.append(State.shown(shown))
            taken, shown.live.touched = shown.live.touched, {}
        if decided is not None and (rows or self._decided_is_old()):
            states.append(State.decided(decided))
        if not states:
            return
        saved = False
        try:
            await self._log.run_in_writer(lambda it: stored.save(it, states, rows))
            saved = True
        except (LogUnavailable, StorageFailed):
            pass  # the log says so itself; the next save stores them
        finally:
            if not saved and shown is not None:
                # A cancelled asker does not know; stored twice does no harm.
                shown.live.touched = taken | shown.live.touched
        if saved and states[-1].name == world_state.NAME:
            self._decided_stored = states[-1].pos

    def _decided_is_old(self) -> bool:
        return self.decided_position - self._decided_stored >= DECIDED_EVENTS

    def _unsaved(self) -> dict[str, Row]:
        """Documents of the sessions that changed since they were stored, by id."""
        if self._restoring is not None or self._shown is None:
            return {}  # half folded, or not to be stored here
        live = self._shown.live
        policy = Policy.from_payload(live.state["policy"])
        return {id_: document(row, policy) for id_, row in live.touched.items()}

    async def close(self) -> None:
        """Store what changed last; before the log closes."""
        if self._successor is not None:
            self._successor.stop()
        if self._building is not None:
            await self._building
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
        for row in rows:
            if row.pos <= self._heard:
                continue
            self._heard = row.pos
            self._fold_decided(row)
            if self._successor is not None:
                self._successor.hear(row)
            elif self._shown is not None:
                self._fold_shown(self._shown, row)

    def _fold_decided(self, row: Recorded) -> None:
        if self._decided is None:
            return
        try:
            assert row.pos == self._decided.position + 1, f"event {row.pos} was not heard before"
            self._decided.fold(row)
        except Exception as fault:
            self._decided = None
            self._park(world_state.NAME, row.pos, fault)

    def _fold_shown(self, shown: Dashboard, row: Recorded) -> None:
        if dashboard.NAME in self._parked:
            return
        try:
            assert row.pos == shown.position + 1, f"event {row.pos} follows {shown.position}"
            shown.fold(row)
        except Exception as fault:
            self._park(dashboard.NAME, row.pos, fault)
            restoring = self._restore(shown.position)
            self._restoring = asyncio.get_running_loop().create_task(restoring)
        else:
            self._document_is_old = True

    def _park(self, name: str, pos: int, fault: Exception) -> None:
        """The event at `pos` could not be folded. Whatever it is, streams go on."""
        self._parked[name] = f"{name} at position {pos}: {fault!r}"
        _log.error("A projection was parked", name=name, position=pos, exc_info=fault)
        if self._on_parked is not None:
            self._on_parked(name, pos, fault)

    async def _restore(self, position: int) -> None:
        """Put the state of a position in the place of one that an event was half folded into."""
        try:
            self._shown = await asyncio.to_thread(loading.dashboard_to, self._log.reader, position)
        except StorageFailed:
            _log.exception("What is shown stays as it was", position=position)
            return  # and goes on being the last document that was asked for
        self._document_is_old = True
        self._restoring = None

    def _level(self) -> Dashboard:
        if self._shown is None:
            assert self.being_built is not None, "it is there, or it is being built"
            raise self.being_built
        return self._shown

    async def _build(self) -> None:
        """Begin to; few events are folded before this returns, many afterwards."""
        self._successor = Successor(
            self._log, lambda: self._heard, self._take_place, self._could_not_build
        )
        building = asyncio.get_running_loop().create_task(self._successor.run(), name="building")
        self._building = building
        first = await asyncio.to_thread(self._log.reader.query, first_moment)
        if self._heard - first <= BUILT_BEFORE_SERVING_EVENTS:
            await asyncio.wait([building], timeout=BUILT_BEFORE_SERVING_S)
        if self.being_built is not None and self.parked is None:
            _log.info("The dashboard is being built", of=self._heard, version=dashboard.VERSION)
            self._told = True

    def _take_place(self, shown: Dashboard, arriving: Sequence[Recorded]) -> None:
        self._shown, self._successor = shown, None
        self._document_is_old = True
        for row in arriving:
            self._fold_shown(shown, row)
        if self._told:
            _log.info("The dashboard was built", position=self.position, version=dashboard.VERSION)

    def _could_not_build(self, position: int, fault: Exception) -> None:
        self._park(dashboard.NAME, position, fault)

    def _fold_to(self, position: int) -> Row:
        position = min(whole(self._log.reader, position), self.position)
        return loading.dashboard_to(self._log.reader, position).document()
