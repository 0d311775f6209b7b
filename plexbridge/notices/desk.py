"""The desk where notices are written: follows the log, decides, and hands on to the outboxes.

The log is its queue: whoever appends only wakes it, and it reads on from its own position in a
thread, so that nothing it does is awaited by a relay or held in memory. Its position is kept beside
the targets before anything is sent: a notice may be lost with a crash, none is told twice. Without
a target it follows nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Final

import structlog

from plexbridge.clock import Clock
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import Durable, EventLog
from plexbridge.notices.deciding import Deciding
from plexbridge.notices.files import NoticeFiles, TargetsUnusable
from plexbridge.notices.kinds import TEST, Kind, Notice
from plexbridge.notices.outbox import RETRY_S, Counts, Outbox, Row
from plexbridge.notices.sending import Outcome, Sender
from plexbridge.notices.surroundings import Surroundings
from plexbridge.notices.targets import TARGETS_MAX, Target, TargetInvalid, wanted_target

_log = structlog.get_logger(__name__)

PAGE_EVENTS: Final = 500
"""Read from the log at once."""

SETTLE_S: Final = 0.5
"""After each look: a busy log is read in pages and not event by event."""

LOOK_EVERY_S: Final = 60.0
"""Without an event: what has to last may have lasted; and the position is kept."""


class UnknownTarget(Exception):
    """No target has this id."""


class TooManyTargets(Exception):
    """There are `TARGETS_MAX` already."""


class Desk:
    """Used on the event loop only; what blocks runs in threads."""

    def __init__(
        self,
        *,
        log: EventLog,
        files: NoticeFiles,
        sender: Sender,
        surroundings: Callable[[], Surroundings],
        link_base: str,
        clock: Clock,
        random: Random,
        retry_s: tuple[float, ...] = RETRY_S,
    ) -> None:
        """`link_base`: the address of the pages, where a setting says it."""
        self.counts = Counts()
        self.problem: str | None = None
        """Why the targets that were kept cannot be used, if so."""
        self._log = log
        self._files = files
        self._sender = sender
        self._surroundings = surroundings
        self._link_set, self._link_seen = link_base, ""
        self._clock = clock
        self._random = random
        self._retry_s = retry_s
        self._outboxes: dict[str, Outbox] = {}
        self._deciding: Deciding | None = None
        """None: there is nobody to tell."""
        self._kept_at, self._kept_position = 0.0, -1
        self._reading: asyncio.Task[bool] | None = None
        self._folded = True
        """Whether all that was folded was handed on: only then is it kept."""
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        """One at a time looks at the log, or changes whom it is told to."""

    async def open(self) -> None:
        """Before the start is recorded: what a crash ended is told, too."""
        self._log.subscribe(self._became_durable)
        try:
            targets, self._link_seen = await asyncio.to_thread(self._files.load_targets)
        except TargetsUnusable as unusable:
            self.problem = str(unusable)
            _log.error("Nobody is told anything", why=self.problem)
            return
        if not targets:
            return
        told = await asyncio.to_thread(self._files.load_told) or {}
        last = told.get("last", {})
        for target in targets:
            self._outboxes[target.id] = self._outbox(target, last.get(target.id))
        self._deciding = Deciding.load(told, self._clock.now())
        head = await asyncio.to_thread(lambda: self._log.reader.head().pos)
        if self._deciding is None or self._deciding.position > head:
            await self._follow_from_now()

    async def run(self) -> None:
        """Follow the log until cancelled."""
        while True:
            self._woken.clear()
            async with self._turn:
                await self._look()
            await asyncio.sleep(SETTLE_S)
            try:
                async with asyncio.timeout(self._wait_s()):
                    await self._woken.wait()
            except TimeoutError:
                continue  # something may be due

    async def close(self) -> None:
        """After `run` was cancelled: keep how far was told; what was not sent is given up."""
        if self._reading is not None:  # a thread is not cancelled
            await asyncio.wait((self._reading,))
        async with self._turn:
            for outbox in self._outboxes.values():
                await outbox.close()
            if self._folded:
                await self._keep()
        await self._sender.close()

    @property
    def position(self) -> int | None:
        """The last event that was looked at; None while there is nobody to tell."""
        return None if self._deciding is None else self._deciding.position

    def rows(self) -> list[Outbox]:
        """The targets, as they were added."""
        return list(self._outboxes.values())

    async def add(self, asked: object, link_base: str) -> Outbox:
        """Tell this one, too: `{way, address, name?, kinds?}`. `link_base`: the address of the
        pages, as whoever adds it sees it.

        Raises:
            TargetInvalid: that is none, or Apprise does not know the address.
            TooManyTargets, TargetsUnusable: nothing was added.
        """
        id_ = f"{self._random.getrandbits(64):016x}"
        target = wanted_target(asked, id_=id_, at_ms=self._clock.now() // 1_000)
        if not await self._sender.known(target):
            raise TargetInvalid("address", "Apprise does not know this address")
        async with self._turn:
            if len(self._outboxes) >= TARGETS_MAX:
                raise TooManyTargets
            outbox = self._outbox(target, None)
            await self._keep_targets({**self._outboxes, target.id: outbox}, link_base)
            if self._deciding is None:
                await self._follow_from_now()
        return outbox

    async def remove(self, id_: str) -> None:
        """Tell this one nothing more, and forget its address.

        Raises:
            UnknownTarget, TargetsUnusable: nothing was removed.
        """
        async with self._turn:
            outbox = self._one(id_)
            rest = {name: one for name, one in self._outboxes.items() if name != id_}
            await self._keep_targets(rest, self._link_seen)
            await outbox.close()
            if not rest:
                self._deciding = None
                await asyncio.to_thread(self._files.forget_told)

    async def choose(self, id_: str, kinds: frozenset[Kind]) -> Outbox:
        """Tell this one of these kinds from now on.

        Raises:
            UnknownTarget, TargetsUnusable: nothing was changed.
        """
        async with self._turn:
            outbox, before = self._one(id_), self._one(id_).target
            outbox.target = replace(before, kinds=kinds)
            try:
                await self._keep_targets(self._outboxes, self._link_seen)
            except TargetsUnusable:
                outbox.target = before
                raise
        return outbox

    async def test(self, id_: str) -> Outcome:
        """Send something now, once.

        Raises:
            UnknownTarget: there is nobody to send it to.
        """
        outbox = self._one(id_)
        base = self._link_set or self._link_seen
        return await outbox.test(
            {
                "kind": TEST,
                "title": "A test from PlexBridge",
                "text": "Notices of PlexBridge arrive here.",
                "at": self._clock.now() // 1_000,
                "position": self.position or 0,
                "more": 0,
                "url": f"{base}/notifications" if base else "",
            }
        )

    def _became_durable(self, rows: Durable) -> None:
        if self._deciding is not None:
            self._woken.set()

    def _outbox(self, target: Target, last: Row | None) -> Outbox:
        return Outbox(
            target,
            send=self._sender.send,
            counts=self.counts,
            clock=self._clock,
            random=self._random,
            retry_s=self._retry_s,
            last=last,
        )

    def _one(self, id_: str) -> Outbox:
        try:
            return self._outboxes[id_]
        except KeyError:
            raise UnknownTarget(id_) from None

    async def _follow_from_now(self) -> None:
        """Nothing that was is told; who watches now is known by name."""
        head = await asyncio.to_thread(lambda: self._log.reader.head().pos)
        around = self._surroundings()
        deciding = Deciding(head if around.position is None else around.position)
        deciding.watch.seed(around.sessions)
        deciding.begin(self._clock.now())
        self._deciding = deciding
        self._woken.set()

    def _wait_s(self) -> float:
        due = None if self._deciding is None else self._deciding.next_due()
        if due is None:
            return LOOK_EVERY_S
        return min(max(0.0, (due - self._clock.now()) / 1_000_000), LOOK_EVERY_S)

    async def _look(self) -> None:
        deciding = self._deciding
        if deciding is None:
            return
        self._know_surroundings(deciding)
        notices: list[Notice] = []
        self._folded = False
        more = True
        try:
            while more:
                reading = asyncio.to_thread(self._read_on, deciding, notices)
                self._reading = asyncio.get_running_loop().create_task(reading)
                more = await asyncio.shield(self._reading)
        except StorageFailed as failed:
            _log.warning("The log cannot be read; notices wait", why=str(failed))
        notices += deciding.due(self._clock.now())
        monotonic = self._clock.monotonic()
        if notices or monotonic - self._kept_at >= LOOK_EVERY_S:
            await self._keep()
        for notice in notices:
            for outbox in self._outboxes.values():
                outbox.put(notice, self._link_set or self._link_seen)
        self._folded = True

    def _know_surroundings(self, deciding: Deciding) -> None:
        around = self._surroundings()
        if around.sources is not None:
            deciding.watch.sources.only(around.sources)
        if around.guides is not None:
            deciding.watch.guides.only([guide.key for guide in around.guides])
            for guide in around.guides:
                deciding.watch.guides.seed(guide.key, guide.latest_s, guide.matched)

    def _read_on(self, deciding: Deciding, notices: list[Notice]) -> bool:
        """Fold a page; whether there may be another one. Blocks."""
        page = self._log.reader.read(deciding.position, PAGE_EVENTS)
        for event in page:
            try:
                notices += deciding.fold([event], self._clock.now())
            except Exception:
                # Our own fault, whatever it is: one event is not told of, the next ones are.
                _log.exception("An event could not be told of", position=event.pos)
                deciding.position = event.pos
        return len(page) == PAGE_EVENTS

    async def _keep(self) -> None:
        deciding = self._deciding
        if deciding is None:
            return
        last = {id_: one.last for id_, one in self._outboxes.items() if one.last is not None}
        document: dict[str, Any] = {**deciding.dump(), "last": last}
        self._kept_at = self._clock.monotonic()
        try:
            await asyncio.to_thread(self._files.keep_told, document)
        except OSError as error:
            # What was told may be told again after a crash; better than not at all.
            _log.warning("How far people were told cannot be kept", why=error.strerror)

    async def _keep_targets(self, outboxes: dict[str, Outbox], link_base: str) -> None:
        if self.problem is not None:
            raise TargetsUnusable(self.problem)
        targets = [one.target for one in outboxes.values()]
        await asyncio.to_thread(self._files.keep_targets, targets, link_base)
        self._outboxes, self._link_seen = outboxes, link_base
