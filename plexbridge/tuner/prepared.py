"""Documents of the lineup, made once for each address that players use, and given from memory.

Players ask for the lineup before each tune and wait for nothing. A long one is made in a thread;
knows nothing of what is written in it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from plexbridge.lineup.channels import Lineup

KEPT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of all documents together: three forms of 10,000 channels, at some addresses. Longer ones are
made for whoever asks."""

SHORT_CHANNELS: Final = 500
"""Made on the event loop: a few milliseconds."""

Key = tuple[str, str, bool]


class Prepared:
    """Documents by form, base URL and extent. Used on the event loop only."""

    def __init__(self) -> None:
        self._made: OrderedDict[Key, tuple[Lineup, bytes]] = OrderedDict()
        self._bytes = 0
        self._turn = asyncio.Lock()

    async def get(self, key: Key, lineup: Lineup, write: Callable[[], bytes]) -> bytes:
        """The document under `key` of this lineup; `write` makes it."""
        found = self._found(key, lineup)
        if found is not None:
            return found
        if len(lineup.everything) <= SHORT_CHANNELS:
            return self._keep(key, lineup, write())
        async with self._turn:  # one at a time: all players ask when a lineup is new
            found = self._found(key, lineup)
            return found or self._keep(key, lineup, await asyncio.to_thread(write))

    def _found(self, key: Key, lineup: Lineup) -> bytes | None:
        made_of, body = self._made.get(key, (None, b""))
        if made_of is not lineup:
            return None
        self._made.move_to_end(key)
        return body

    def _keep(self, key: Key, lineup: Lineup, body: bytes) -> bytes:
        _, before = self._made.pop(key, (None, b""))
        self._bytes += len(body) - len(before)
        self._made[key] = lineup, body
        while self._bytes > KEPT_BYTES_MAX:
            _, (_, dropped) = self._made.popitem(last=False)
            self._bytes -= len(dropped)
        return body
