"""An event loop in virtual time, in which a seed decides what comes when.

Knows callbacks, timers and what arrives from outside (a socket's word, the disk's answer, a person
or a player that acts). Refuses to know any of them. Time stands still while anything can run, and
jumps to the next timer when nothing can. What the loop itself is asked to call soon is called in
the order of asking: asyncio promises that, and code may build on it. What arrives from outside
comes in an order, and at a turn, that the seed chooses; and so do timers that are due together.
"""

import asyncio
import contextlib
import heapq
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from random import Random
from typing import Any, Final, TypeVar, cast

from events.ids import UnixMicros
from plexbridge.clock import MANUAL_START

TURNS_MAX: Final = 2_000_000
"""A simulation that runs longer than this is in a circle."""

_FINALLYS_MAX: Final = 9
"""`finally` parts that wait, one inside the other."""

T = TypeVar("T")


class Deadlock(Exception):
    """Something is waited for that nothing will bring."""


class _Handle:
    """A callback that is due now, or at a time."""

    __slots__ = ("args", "callback", "dead", "when")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback = callback
        self.args = args
        self.dead = False
        self.when = 0.0

    def cancel(self) -> None:
        self.dead = True

    def cancelled(self) -> bool:
        return self.dead


class VirtualLoop:
    """As much of an event loop as asyncio asks for where nobody uses sockets or threads."""

    def __init__(self, random: Random, *, now: float = 0.0) -> None:
        """`now`: virtual seconds at which it begins."""
        self.faults: list[dict[str, Any]] = []
        """What reached the exception handler: of ours, there is never any."""
        self.turns = 0
        self._random = random
        self._now = now
        self._ready: deque[_Handle] = deque()
        self._arrivals: list[_Handle] = []
        self._timers: list[tuple[float, float, int, _Handle]] = []
        self._numbers = count()
        self._tasks: list[asyncio.Task[Any]] = []
        self._crashed = False

    # What asyncio asks of a loop ---------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._crashed

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        handle = _Handle(callback, args)
        if not self._crashed:
            self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self._now + delay, callback, *args)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = _Handle(callback, args)
        handle.when = when
        # Of timers that are due together the seed chooses which comes first.
        entry = (when, self._random.random(), next(self._numbers), handle)
        heapq.heappush(self._timers, entry)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.arrives(callback, *args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast(Any, self))

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        if self._crashed:
            coro.close()
            return self.create_future()
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=cast(Any, self), name=name)
        self._tasks.append(task)
        if len(self._tasks) > 64:
            self._tasks = [one for one in self._tasks if not one.done()]
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._crashed:
            self.faults.append(context)

    # What a simulation asks of it --------------------------------------------------------------

    def arrives(self, callback: Callable[..., object], *args: Any) -> None:
        """This comes from outside: now, or some turns later, before or after the others."""
        self._arrivals.append(_Handle(callback, args))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run until `work` is done.

        Raises:
            Deadlock: nothing is left that could go on with it.
        """
        task: asyncio.Task[T] = self.create_task(work)
        self._run(lambda: task.done())
        return task.result()

    def settle(self) -> None:
        """Run until nothing can run and nothing is on its way; time stands still."""
        self._run(lambda: not self._ready and not self._arrivals)

    def sleep(self, seconds: float) -> None:
        """Let so much time pass, with everything that happens in it."""
        until = self._now + seconds
        over: list[None] = []
        self.call_at(until, over.append, None)
        self._run(lambda: bool(over))

    def run_turns(self, turns: int) -> bool:
        """At most so many turns; whether there was anything left to do."""
        with self._running():
            for _ in range(turns):
                if not self._turn():
                    return False
        return True

    def crash(self) -> None:
        """The process is killed: nothing of it runs any more."""
        self._crashed = True
        self._ready.clear()
        self._arrivals.clear()
        self._timers.clear()
        with self._running():
            for task in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _drop(task.get_coro())
        self._tasks.clear()

    def _run(self, over: Callable[[], bool]) -> None:
        with self._running():
            for _ in range(TURNS_MAX):
                if over():
                    return
                if not self._turn():
                    raise Deadlock(f"nothing can go on at {self._now:.3f} s")
        raise Deadlock(f"no end after {TURNS_MAX} turns, at {self._now:.3f} s")

    @contextlib.contextmanager
    def _running(self) -> Any:
        asyncio_events._set_running_loop(cast(Any, self))
        try:
            yield
        finally:
            asyncio_events._set_running_loop(None)

    def _turn(self) -> bool:
        """One round of the loop, as asyncio makes them; False when there is nothing at all."""
        self.turns += 1
        ready, arrivals, random = self._ready, self._arrivals, self._random
        while arrivals and (random.random() < 0.5 or not ready):
            index = int(random.random() * len(arrivals))
            arrivals[index], arrivals[-1] = arrivals[-1], arrivals[index]
            ready.append(arrivals.pop())
        if not ready:
            self._jump()
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[3])
        if not ready:
            return False
        for _ in range(len(ready)):
            if not ready:
                break  # a crash in the middle of a turn
            handle = ready.popleft()
            if not handle.dead:
                self._call(handle)
        return True

    def _call(self, handle: _Handle) -> None:
        try:
            handle.callback(*handle.args)
        except Exception as fault:
            self.call_exception_handler({"message": "a callback failed", "exception": fault})

    def _jump(self) -> None:
        """To the next timer that somebody still waits for."""
        timers = self._timers
        while timers and timers[0][3].dead:
            heapq.heappop(timers)
        if timers:
            self._now = max(self._now, timers[0][0])


def _drop(coroutine: Any) -> None:
    """A killed process runs no `finally`; here they run, against nothing."""
    for _ in range(_FINALLYS_MAX):
        with contextlib.suppress(Exception):
            coroutine.close()
            return


class VirtualClock:
    """The bridge's clock on such a loop. The system's clock may be set; whoever reads this one
    learns of it only at `resync`, as with the real one."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.system_us = 0
        """How far the system's clock was set off."""
        self._offset_us = int(MANUAL_START)

    def resync(self) -> None:
        """See `SteadyClock`."""
        self._offset_us = int(MANUAL_START) + self.system_us

    def now(self) -> UnixMicros:
        """See `Clock`."""
        return UnixMicros(self._offset_us + round(self.loop.time() * 1_000_000))

    def monotonic(self) -> float:
        """See `Clock`."""
        return self.loop.time()
