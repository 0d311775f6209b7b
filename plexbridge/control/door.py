"""The one serial door: every command is decided here, on the state that all before it left.

`decide` and `evolve` are one synchronous step, so two tunes at the same instant cannot get one
tuner. What is given (a tune) takes effect when its events are durable; what has happened (a player
left, an upstream broke) takes effect at once and is stored as soon as the log can: while it cannot,
such facts wait in order and nothing new is given (`Outage`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Final

import structlog

from events.commands import Accepted, AlwaysRefused, Command, Note, Stop, Tune
from events.commands import Disconnect as DisconnectCommand
from events.decide import decide
from events.decision import Decision
from events.envelope import NewEvent, Recorded
from events.ids import SessionId
from events.machine import ENDED
from events.refusals import AlreadyEnded, LogCannotStore, Refused, UnknownSession
from events.world import World, evolve
from plexbridge.clock import Clock
from plexbridge.control.line import Line
from plexbridge.control.outage import Observe, closed_without, gone, left_behind
from plexbridge.control.pending import Pending
from plexbridge.control.stamp import Stamper
from plexbridge.log.port import Durable, EventLog, LogUnavailable

_log = structlog.get_logger(__name__)

FACTS_WAITING_MAX = 10_000
"""Facts kept while the log cannot store. Beyond it what merely counts (activity, notes) is left
out; ends are always kept, and are bounded because nothing new begins meanwhile."""

STORED_WITHIN_S: Final = 5.0
"""A player is not kept waiting longer for a disk that hangs: what HDHomeRun grants a tune."""

RETRY_S = 1.0
"""Between attempts to store what waits: a full disk is not freed in less."""

_FREEING = frozenset({"tuner_released", "source_changed", "policy_set"})
"""Events after which a tuner or a connection of a source may be free again."""

Apply = Callable[[Sequence[NewEvent], World], None]


class Door:
    """Used on the event loop only."""

    def __init__(
        self,
        log: EventLog,
        world: World,
        *,
        clock: Clock,
        stamper: Stamper,
        apply: Apply,
        observe: Observe,
        retry_s: float = RETRY_S,
    ) -> None:
        """`world` is the fold of the whole log. `apply` carries decided events out, and may be told
        of an end or a release twice; `observe` tells what a session's socket has accepted."""
        self.world = world
        self._durable_world = deepcopy(world)
        self._log = log
        self._clock = clock
        self._stamper = stamper
        self._apply = apply
        self._observe = observe
        self._pending: deque[Pending] = deque()
        self._backlog: deque[Pending] = deque()
        self._outage = False
        self._retry: asyncio.Task[None] | None = None
        self._retry_s = retry_s
        self._not_given: list[Pending] = []
        self._stored_meanwhile: list[Recorded] = []
        self._closed_meanwhile: set[tuple[str, int]] = set()
        """Channel streams and leases whose relays were closed during an outage."""
        self._waiters = Line()
        log.subscribe(self._became_durable)

    @property
    def storing(self) -> bool:
        """False while the log is unavailable."""
        return not self._outage

    @property
    def waiting_facts(self) -> int:
        """Facts that happened and cannot be stored at the moment."""
        return sum(len(pending.events) for pending in self._backlog)

    @property
    def on_its_way(self) -> bool:
        """Whether something that was decided is not known to be durable yet."""
        return bool(self._pending or self._backlog)

    # What happened ---------------------------------------------------------------------------

    def report(
        self, command: Command, *, actor: str = "bridge"
    ) -> "asyncio.Future[Durable] | None":
        """Decide a fact and carry it out at once. The future tells when it is durable; None when
        nothing followed from it.

        Raises:
            AlreadyEnded, UnknownSession: see `decide`.
        """
        decision = decide(command, self.world)
        if not decision.drafts:
            return None
        if self._outage and self._may_be_left_out(command):
            return None
        resting = any(isinstance(earlier.command, Tune) for earlier in self._pending)
        pending = self._take(command, decision, actor)
        if resting:
            pending.wait_with_releases()
        self._carry_out(pending)
        return pending.durable

    async def stop(self, session: SessionId, *, reason: str, detail: str, actor: str) -> Durable:
        """End a session, whatever the policy; returns when that is durable.

        Raises:
            AlreadyEnded, UnknownSession: it cannot be ended (again).
        """
        at, progress = self._clock.now(), self._observe(session)
        command = Stop(at=at, session=session, reason=reason, detail=detail, progress=progress)
        ended = self.report(command, actor=actor)
        assert ended is not None, "a stop always ends an open session"
        return self._of(session, await asyncio.shield(ended))

    async def disconnect(
        self, session: SessionId, *, reason: str, detail: str, actor: str
    ) -> Durable:
        """A program reports a session's disconnect; the policy decides what it means.

        Raises:
            AlreadyEnded, UnknownSession: there is nothing to disconnect.
        """
        command = DisconnectCommand(
            at=self._clock.now(),
            session=session,
            connection=None,
            reason=reason,
            detail=detail,
            progress=self._observe(session),
        )
        happened = self.report(command, actor=actor)
        assert happened is not None, "a disconnect of an open session is always an event"
        return self._of(session, await asyncio.shield(happened))

    def _of(self, session: SessionId, rows: Durable) -> Durable:
        if rows:
            return rows
        # The log failed meanwhile: the session was never given, or has ended otherwise.
        raise AlreadyEnded(session) if session in self.world.ended else UnknownSession(session)

    async def note(self, stream: str, type: str, payload: Mapping[str, object]) -> Durable:
        """Record a fact that no session depends on."""
        command = Note(
            at=self._clock.now(), stream=stream, type=type, payload=tuple(payload.items())
        )
        stored = self.report(command)
        return () if stored is None else await asyncio.shield(stored)

    # What is asked ---------------------------------------------------------------------------

    async def tune(self, ask: Callable[[], Tune]) -> SessionId:
        """Admit a player, waiting for a release where that helps.

        `ask` makes the command anew at each attempt, with the time it has then. Returns when the
        session's events are durable. When cancelled, what was given is taken back.

        Raises:
            Refused: with the rule and the holders.
        """
        await self._waiters.behind_who_was_woken()
        while True:
            command = ask()
            if self._outage:
                raise LogCannotStore(self.waiting_facts)
            decision = decide(command, self.world)
            if not decision.wait:
                return await self._answer(command, decision)
            left_ms = self.world.policy.admission_wait_ms - (command.at - command.asked_at) // 1_000
            await self._waiters.wait(left_ms / 1_000)

    def refuse(self, command: AlwaysRefused) -> Refused:
        """Record that a player asked for what nobody gets: no such channel, or too often."""
        decision = decide(command, self.world)
        assert decision.refusal is not None, "it is refused in every state"
        if decision.drafts and not self._outage:
            self._take(command, decision, "player")
        return decision.refusal

    async def _answer(self, command: Tune, decision: Decision) -> SessionId:
        if decision.granted is None:
            assert decision.refusal is not None, "a tune is granted, waits, or is refused"
            if decision.drafts:
                self._take(command, decision, "player")
            raise decision.refusal
        session = decision.granted
        pending = self._take(command, decision, "player")
        try:
            async with asyncio.timeout(STORED_WITHIN_S):
                await asyncio.shield(pending.durable)
        except LogUnavailable as unavailable:
            raise LogCannotStore(self.waiting_facts) from unavailable
        except TimeoutError as late:
            self._take_back(command)
            raise LogCannotStore(len(self._pending)) from late
        except asyncio.CancelledError:
            self._take_back(command)
            raise
        return session

    def _take_back(self, command: Tune) -> None:
        """The player left, or was refused, while its grant was on its way to the disk."""
        sessions = self.world.sessions.values()
        granted = next((one for one in sessions if one.connection == command.connection), None)
        if granted is None:
            return
        self.report(gone(granted.id, command.connection, self._clock.now()), actor="player")

    # Deciding and storing --------------------------------------------------------------------

    def _take(self, command: Command, decision: Decision, actor: str) -> Pending:
        events = self._stamper.stamp(decision.drafts, self.world, actor=actor)
        for event in events:
            evolve(self.world, event)
        durable = asyncio.get_running_loop().create_future()
        # A failure is told to the door itself; nobody else needs to look at this future.
        durable.add_done_callback(lambda done: done.cancelled() or done.exception())
        pending = Pending(command, actor, events, durable)
        if self._outage:
            self._backlog.append(pending)
        else:
            self._submit(pending)
        if any(event.type in _FREEING or event.dst == ENDED for event in events):
            self._waiters.wake()
        return pending

    def _carry_out(self, pending: Pending) -> None:
        self._apply(pending.at_once, self.world)
        if self._outage:
            self._closed_meanwhile |= pending.releases()

    def _submit(self, pending: Pending) -> None:
        self._pending.append(pending)
        stored = self._log.append(pending.events)
        stored.add_done_callback(lambda done: self._settled(pending, done))

    def _became_durable(self, rows: Durable) -> None:
        for row in rows:
            evolve(self._durable_world, row)
        if self._outage:
            self._stored_meanwhile += rows

    def _settled(self, pending: Pending, stored: "asyncio.Future[Durable]") -> None:
        fault = stored.exception()
        if fault is None:
            assert self._pending[0] is pending, "appends become durable in the order of the calls"
            self._pending.popleft()
            self._apply(pending.when_durable, self.world)
            pending.resolve(stored.result())
            return
        if not isinstance(fault, LogUnavailable):
            raise fault  # a version conflict: with one door that is our own broken promise
        if pending in self._pending:
            self._begin_outage(fault)

    # Outage ----------------------------------------------------------------------------------

    def _begin_outage(self, fault: LogUnavailable) -> None:
        """Nothing that is on its way was stored: fold anew, keep what happened, give nothing."""
        if not self._outage:
            _log.error("The event log cannot store: nothing new is given", why=str(fault))
        self._outage = True
        lost = [*self._pending, *self._backlog]
        self._pending.clear()
        self._backlog.clear()
        before, self.world = self.world, deepcopy(self._durable_world)
        for pending in lost:
            pending.unheard.append(pending.events)
            if isinstance(pending.command, Tune | AlwaysRefused):
                self._not_given.append(pending)
                if not pending.durable.done():
                    pending.durable.set_exception(fault)
            else:
                self._keep(pending)
        for left in left_behind(before, self.world, self._observe, self._clock.now()):
            self.report(left)
        if self._retry is None:
            self._retry = asyncio.get_running_loop().create_task(self._keep_retrying())
            self._retry.add_done_callback(_retrying_ended)

    def _keep(self, pending: Pending) -> None:
        """Decide a fact again on the state without what was never stored."""
        try:
            decision = decide(pending.command, self.world)
        except (UnknownSession, AlreadyEnded):
            decision = Decision()  # it spoke of a session that was never given
        if not decision.drafts:
            self._not_given.append(pending)  # its answer waits until it is known what was stored
            return
        pending.events = self._stamper.stamp(decision.drafts, self.world, actor=pending.actor)
        for event in pending.events:
            evolve(self.world, event)
        self._backlog.append(pending)
        # Without what was never given, an end may now also be a release.
        pending.at_once, pending.when_durable = pending.events, ()
        self._carry_out(pending)

    async def _keep_retrying(self) -> None:
        while self._outage:
            await asyncio.sleep(self._retry_s)
            self._log.resume()
            try:
                await self._log.append(())  # by its answer all is told that was stored unheard
                self._put_right()
                await self._store_backlog()
            except LogUnavailable:
                continue
            self._outage = False
        _log.info("The event log stores again")
        for pending in self._not_given:
            pending.resolve(())
        self._not_given.clear()
        self._stored_meanwhile.clear()
        self._closed_meanwhile.clear()
        self._retry = None
        self._waiters.wake()

    def _put_right(self) -> None:
        """After a commit of unknown outcome: what was stored after all is neither stored again nor
        forgotten, and a tune that was refused meanwhile is taken back."""
        if not self._stored_meanwhile:
            return
        rows = tuple(self._stored_meanwhile)
        self._stored_meanwhile.clear()
        waiting, self._backlog = self._backlog, deque()
        self.world = deepcopy(self._durable_world)
        for pending in waiting:
            if not self._was_stored(pending, rows):
                self._keep(pending)
        for pending in self._not_given:
            if self._was_stored(pending, rows) and isinstance(pending.command, Tune):
                self._take_back(pending.command)
        for closed in closed_without(self.world, self._closed_meanwhile, self._clock.now()):
            self.report(closed)

    def _was_stored(self, pending: Pending, rows: Durable) -> bool:
        """Whether these rows are one of its attempts; if so, what follows from it is done."""
        heard = pending.heard_in(rows)
        if heard:
            self._apply(pending.waited_for(heard), self.world)
            ids = {event.id for event in heard}
            pending.resolve(tuple(row for row in rows if row.id in ids))
        return bool(heard)

    async def _store_backlog(self) -> None:
        """Store what waits, oldest first.

        Raises:
            LogUnavailable: the log cannot, again; what is left waits on.
        """
        while self._backlog:
            pending = self._backlog[0]
            try:
                rows = await self._log.append(pending.events)
            except LogUnavailable:
                pending.unheard.append(pending.events)
                raise
            self._backlog.popleft()
            pending.resolve(rows)

    def _may_be_left_out(self, command: Command) -> bool:
        return isinstance(command, Accepted | Note) and self.waiting_facts >= FACTS_WAITING_MAX

    async def settled(self) -> None:
        """Return when all that is on its way to the disk now is there, or cannot be stored."""
        waiting = [pending.durable for pending in self._pending]
        if waiting:
            await asyncio.wait(waiting)

    async def close(self) -> None:
        """Store what is on its way; for the end of the bridge."""
        if self._retry is not None:
            self._retry.cancel()
        await self.settled()


def _retrying_ended(retry: asyncio.Task[None]) -> None:
    """It ends when everything is stored; with a fault only by a bug of ours, which is said."""
    if not retry.cancelled() and (fault := retry.exception()) is not None:
        _log.error("Storing what waits has failed", exc_info=fault)
