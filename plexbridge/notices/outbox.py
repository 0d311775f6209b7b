"""What waits to be sent to one target: bounded, in order, tried again a few times.

Each target has its own, so that one that hangs holds up no other; a full one drops what comes, and
counts it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

import structlog

from plexbridge.clock import Clock
from plexbridge.notices.kinds import TEST, Notice
from plexbridge.notices.sending import Outcome
from plexbridge.notices.targets import Target

_log = structlog.get_logger(__name__)

WAITING_MAX: Final = 50
"""More than coalescing lets through in half an hour; older news than that helps nobody."""

RETRY_S: Final = (5.0, 30.0, 120.0)
"""Waits between the attempts of one notice: a restart of the receiver, a router's, an update."""

RETRY_S_MAX: Final = 300.0
"""Whatever a service asks for: what comes behind must not wait for an hour."""

JITTER: Final = 0.25
"""Several targets on one machine do not come back all at once."""

SENT: Final = "sent"
FAILED: Final = "failed"
DROPPED: Final = "dropped"
RESULTS: Final = (SENT, FAILED, DROPPED)

Send = Callable[[Target, dict[str, Any]], Awaitable[Outcome]]
Counts = Counter[tuple[str, str]]
"""Notices by kind and result, over all targets."""

Row = dict[str, Any]


class Outbox:
    """Used on the event loop only."""

    def __init__(
        self,
        target: Target,
        *,
        send: Send,
        counts: Counts,
        clock: Clock,
        random: Random,
        retry_s: tuple[float, ...] = RETRY_S,
        last: Row | None = None,
    ) -> None:
        self.target = target
        self.last = last
        """The last result: `{at, kind, ok, words, attempts}`; `at` in Unix milliseconds."""
        self._send = send
        self._counts = counts
        self._clock = clock
        self._random = random
        self._retry_s = retry_s
        self._waiting: deque[tuple[str, Row]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Notices that are not sent yet."""
        return len(self._waiting)

    def put(self, notice: Notice, link_base: str) -> None:
        """To be sent, if it is of a kind that was chosen. Never waits."""
        kind = notice.what.kind
        if kind not in self.target.kinds:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._counts[kind, DROPPED] += 1
            _log.warning("A notice was dropped", target=self.target.id, kind=kind)
            return
        self._waiting.append((kind, notice.document(link_base)))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._empty(), name="notices out")
            self._task.add_done_callback(_say_fault)

    async def test(self, document: Row) -> Outcome:
        """Send this now, once; what came of it."""
        outcome = await self._send(self.target, document)
        self._ended(TEST, outcome, attempts=1)
        return outcome

    async def close(self) -> None:
        """What waits is not sent any more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _empty(self) -> None:
        while self._waiting:
            kind, document = self._waiting[0]
            outcome, attempts = await self._try(document)
            self._waiting.popleft()
            self._ended(kind, outcome, attempts)

    async def _try(self, document: Row) -> tuple[Outcome, int]:
        outcome = await self._send(self.target, document)
        attempts = 1
        for wait_s in self._retry_s:
            if outcome.ok or not outcome.again:
                break
            wait_s = max(wait_s, min(outcome.after_s, RETRY_S_MAX))
            await asyncio.sleep(wait_s * self._random.uniform(1.0, 1.0 + JITTER))
            outcome = await self._send(self.target, document)
            attempts += 1
        return outcome, attempts

    def _ended(self, kind: str, outcome: Outcome, attempts: int) -> None:
        self._counts[kind, SENT if outcome.ok else FAILED] += 1
        self.last = {
            "at": self._clock.now() // 1_000,
            "kind": kind,
            "ok": outcome.ok,
            "words": outcome.words,
            "attempts": attempts,
        }
        if not outcome.ok:
            _log.warning(
                "A notice could not be sent", target=self.target.id, kind=kind, why=outcome.words
            )


def _say_fault(task: "asyncio.Task[None]") -> None:
    """None of them ends with a fault: that is our bug, and it is said at once."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        _log.error("Notices to a target stop until the next one", fault=type(fault).__name__)
