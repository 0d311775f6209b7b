"""Telling: first those who listen to everything that became durable, then those who asked."""

import asyncio

from plexbridge.log.batch import Settlement
from plexbridge.log.port import Durable, Listener


class Audience:
    """The listeners of a log. Lives on the loop; a listener that raises harms nobody else."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Tell `listener` of everything from the next batch on."""
        self._listeners.append(listener)

    def tell(self, loop: asyncio.AbstractEventLoop, rows: Durable, answers: Settlement) -> None:
        """Hand `rows` to every listener, then settle the futures, in order."""
        if rows:
            for listener in self._listeners:
                try:
                    listener(rows)
                except Exception as error:
                    loop.call_exception_handler(
                        {"message": "a listener of the event log failed", "exception": error}
                    )
        for future, answer in answers:
            if future.done():
                continue  # The asker gave up waiting; what was stored stays stored.
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
