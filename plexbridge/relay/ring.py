"""The bounded memory of one relay: the newest blocks, addressed by their place in the stream.

Pure. Knows blocks, offsets and a bound; nothing of readers, and of packets only that a block holds
whole ones. Offsets count every byte ever appended and never repeat.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from plexbridge.relay.mpegts import PACKET_BYTES, newest_random_access


class Placed(NamedTuple):
    """A block and where it begins."""

    offset: int
    block: bytes


def _offset(placed: Placed) -> int:
    return placed.offset


class Ring:
    """Blocks in order; the oldest go when there are more than `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        assert limit_bytes > 0, "a ring holds something"
        self.limit_bytes = limit_bytes
        self.start = 0
        """Offset of the oldest byte held."""
        self.end = 0
        """Offset after the newest byte held: the live edge."""
        self._held: deque[Placed] = deque()

    def append(self, block: bytes) -> None:
        """Add the newest block. It stays even if it alone is more than the bound."""
        held = self._held
        held.append(Placed(self.end, block))
        self.end += len(block)
        while self.end - self.start > self.limit_bytes and len(held) > 1:
            self.start += len(held.popleft().block)

    def after(self, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` (not older than `start`) to the live edge, block by block.

        Nothing may be appended while the iteration goes on.
        """
        assert self.start <= offset <= self.end, "asked for bytes the ring does not hold"
        if offset == self.end:
            return
        index = bisect_right(self._held, offset, key=_offset) - 1
        first = self._held[index]
        yield first.block[offset - first.offset :] if offset > first.offset else first.block
        for later in range(index + 1, len(self._held)):
            yield self._held[later].block

    def backwards(self, offset: int) -> Iterator[Placed]:
        """The blocks before `offset`, newest first; the one around it is cut there."""
        for placed in reversed(self._held):
            if placed.offset + len(placed.block) <= offset:
                yield placed
            elif placed.offset < offset:
                yield Placed(placed.offset, placed.block[: offset - placed.offset])

    def join_point(self, *, pid: int | None, not_before: int = 0) -> int | None:
        """Offset of the newest packet marked as a random access point; None when none is held.

        Looks through the ring from its end: a cost of whoever joins, not of every block.
        """
        for placed in reversed(self._held):
            if placed.offset < not_before:
                return None
            index = newest_random_access(placed.block, pid)
            if index is not None:
                return placed.offset + index * PACKET_BYTES
        return None

    def clear(self) -> None:
        """Let go of every block; offsets go on from where they were."""
        self._held.clear()
        self.start = self.end
