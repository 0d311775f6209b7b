"""The live feed's heart: what is durable, handed to whoever watches.

Publishing is synchronous, cannot raise and is awaited by nobody: a subscriber that stalls fills its
own queue, and then catches up from the log. Two adapters stand over it, server-sent events and
WebSockets.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final

import structlog

from plexbridge.audit.event_json import event_json
from plexbridge.log.port import Durable, EventLog, LogReader

_log = structlog.get_logger(__name__)

QUEUE_EVENTS: Final = 256
"""Events that wait for one subscriber; with more it reads the log from where it was."""

PAGE_EVENTS: Final = 500
"""Read from the log at once."""

GAUGES_EVERY_S: Final = 1.0
"""Gauges are told once a second: quick enough for the eye."""

GAP: Final = "gap"

Gauges = Callable[[], dict[str, Any]]


def gap(after: int, next_: int) -> dict[str, Any]:
    """In the place of events that are not in the log any more: those between these two."""
    return {GAP: {"after": after, "next": next_}}


def kind_of(position: int | None, told: dict[str, Any]) -> str:
    """What a subscriber is told: `event`, `gauges` or `gap`."""
    if position is None:
        return "gauges"
    return GAP if GAP in told else "event"


class Subscription:
    """One subscriber's place in the log, and what waits for it."""

    def __init__(self, after: int) -> None:
        self.position = after
        """The last event it was given."""
        self.queue: deque[dict[str, Any]] = deque()
        self.behind = True
        """Its queue does not follow its position: it has to read the log first."""
        self.woken = asyncio.Event()


class Feed:
    """Used on the event loop only."""

    def __init__(self, log: EventLog) -> None:
        self.errors = 0
        """Emissions that failed since the start."""
        self.closed = asyncio.Event()
        self._reader: LogReader = log.reader
        self._subscriptions: set[Subscription] = set()
        self._head = 0
        log.subscribe(self._publish)

    @property
    def subscribers(self) -> int:
        """How many watch now."""
        return len(self._subscriptions)

    def close(self) -> None:
        """End every subscription; for a stop."""
        self.closed.set()
        for subscription in self._subscriptions:
            subscription.woken.set()

    def failed(self, error: Exception, event: str) -> None:
        """An emission failed: counted and said, and that is all that comes of it."""
        self.errors += 1
        _log.error("Failed to emit WebSocket event", event_type=event, error=repr(error))

    def emitted(self, event: str) -> None:
        """An emission went out."""
        _log.debug("WebSocket event emitted successfully", event_type=event)

    async def follow(
        self, after: int | None, gauges: Gauges | None, gone: "asyncio.Future[None]"
    ) -> AsyncGenerator[tuple[int | None, dict[str, Any]], None]:
        """Events after a position (None: from now on) as (position, event), without gap or
        repetition; between them (None, gauges) once a second, if asked for. Ends with the feed,
        and when its subscriber is `gone`. Whoever iterates closes it.

        A position that the log does not have is another log's: then it is from now on, too. Where
        events after it were pruned, that is told first, as (the last of them, a gap).
        """
        head = await asyncio.to_thread(self._head_position)
        subscription = Subscription(head if after is None else min(after, head))
        self._subscriptions.add(subscription)
        due_at = 0.0
        try:
            while not self.closed.is_set() and not gone.done():
                subscription.woken.clear()
                async for position, event in self._take(subscription):
                    yield position, event
                now = asyncio.get_running_loop().time()
                if gauges is not None and now >= due_at:
                    due_at = now + GAUGES_EVERY_S
                    yield None, gauges()
                left_s = max(0.0, due_at - now) if gauges is not None else None
                await self._woken(subscription, gone, left_s)
        finally:
            self._subscriptions.discard(subscription)

    async def _take(self, subscription: Subscription) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        while subscription.behind or subscription.queue:
            if subscription.behind:
                subscription.behind = False
                subscription.queue.clear()
                while page := await asyncio.to_thread(
                    self._reader.read, subscription.position, PAGE_EVENTS
                ):
                    if page[0].pos > subscription.position + 1:
                        yield page[0].pos - 1, gap(subscription.position, page[0].pos)
                    for row in page:
                        subscription.position = row.pos
                        yield row.pos, event_json(row)
            while subscription.queue and not subscription.behind:
                event = subscription.queue.popleft()
                if event["pos"] > subscription.position:
                    subscription.position = event["pos"]
                    yield event["pos"], event

    async def _woken(
        self, subscription: Subscription, gone: "asyncio.Future[None]", timeout_s: float | None
    ) -> None:
        waiter = asyncio.ensure_future(subscription.woken.wait())
        try:
            await asyncio.wait(
                (waiter, gone), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiter.cancel()

    def _head_position(self) -> int:
        return self._reader.head().pos

    def _publish(self, rows: Durable) -> None:
        if not self._subscriptions:
            return
        events = [event_json(row) for row in rows]
        for subscription in self._subscriptions:
            if len(subscription.queue) + len(events) > QUEUE_EVENTS:
                subscription.behind = True
                subscription.queue.clear()
            elif not subscription.behind:
                subscription.queue.extend(events)
            subscription.woken.set()
