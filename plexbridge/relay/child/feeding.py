"""Bytes of our own fetching into a child: one task per feed, which waits while the pipe is full.

Knows an iterator of bytes and a pipe's end; nothing of processes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from plexbridge.relay.child.pipes import WritingEnd
from plexbridge.relay.ports import UpstreamFailed


class Feeding:
    """Pumps feeds into pipes until they end, one of them fails, or it is stopped."""

    def __init__(
        self,
        feeds: list[tuple[AsyncIterator[bytes], WritingEnd]],
        failed: Callable[[UpstreamFailed], None],
    ) -> None:
        """Takes iterators and ends over. `failed` is told of a feed that raised
        `UpstreamFailed`; what else it raises is our own fault and goes to the loop's handler."""
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        """Resolves when every feed is closed."""
        self._failed = failed
        self._ends = [end for _, end in feeds]
        self._tasks = [
            loop.create_task(self._pump(feed, end), name="feed of a child") for feed, end in feeds
        ]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    @property
    def whole(self) -> bool:
        """Whether every feed was read to its end and handed over."""
        return all(
            task.done() and not task.cancelled() and task.exception() is None and task.result()
            for task in self._tasks
        )

    def stop(self) -> None:
        """Feed nothing more; the iterators are closed."""
        for task in self._tasks:
            task.cancel()
        for end in self._ends:
            # A task that has not begun does not come to its `finally`.
            end.close()

    async def _pump(self, feed: AsyncIterator[bytes], end: WritingEnd) -> bool:
        """Whether the feed was handed over whole."""
        room = asyncio.Event()
        end.on_writable = room.set
        try:
            async for chunk in feed:
                end.write(chunk)
                while not end.writable and not end.closed:
                    room.clear()
                    await room.wait()
                if end.closed:
                    return False
            return True
        except UpstreamFailed as failure:
            self._failed(failure)
            return False
        finally:
            end.on_writable = None
            end.close()
            close = getattr(feed, "aclose", None)
            if close is not None:
                await close()

    def _task_ended(self, task: asyncio.Task[bool]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            task.get_loop().call_exception_handler(
                {"message": "a feed of a child failed", "exception": fault, "task": task}
            )
        if not self.over.done() and all(each.done() for each in self._tasks):
            self.over.set_result(None)
