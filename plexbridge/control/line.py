"""The line of players that wait for a release: the longest waiting asks first."""

import asyncio
from collections import deque


class Line:
    """Used on the event loop only."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._asking_again = 0

    def __len__(self) -> int:
        return len(self._waiting)

    async def behind_who_was_woken(self) -> None:
        """Return when everyone who was woken has asked; that is within this turn of the loop."""
        while self._asking_again:  # noqa: ASYNC110 (nobody tells: they run before us)
            await asyncio.sleep(0)

    async def wait(self, timeout_s: float) -> None:
        """Return at the next release, or when the time is over."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await asyncio.wait((waiter,), timeout=max(timeout_s, 0.001))
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            else:
                self._asking_again -= 1

    def wake(self) -> None:
        """Something was released: everyone asks again."""
        while self._waiting:
            self._waiting.popleft().set_result(None)
            self._asking_again += 1
