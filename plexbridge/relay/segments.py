"""Memory for rings, in pieces of one size that are used again.

Rings grow and shrink by turns, with each access point; what one lets go of the next one takes.
Used on the event loop only.
"""

import mmap
from typing import Final

SEGMENT_BYTES: Final = 256 * 1024
"""Room for one read of a fifth of a second at 8 Mbit/s, with some to spare: what a reader is handed
in one piece, and the grain in which memory is freed."""


def _new_memory() -> mmap.mmap:
    # Of its own, not of the heap: pages never written to take no memory, and what is let go of goes
    # back to the system at once.
    return mmap.mmap(-1, SEGMENT_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


class Segments:
    """Gives and takes back; keeps no more to spare than are in use."""

    def __init__(self) -> None:
        self.in_use = 0
        self._spare: list[mmap.mmap] = []

    @property
    def spare(self) -> int:
        """How many are kept for the next who asks."""
        return len(self._spare)

    def take(self) -> mmap.mmap:
        """`SEGMENT_BYTES` bytes, whatever they hold."""
        self.in_use += 1
        return self._spare.pop() if self._spare else _new_memory()

    def give_back(self, memory: mmap.mmap) -> None:
        """It is not used any more: it may be written to at once."""
        assert len(memory) == SEGMENT_BYTES, "all pieces are alike"
        self.in_use -= 1
        self._spare.append(memory)
        while len(self._spare) > self.in_use:
            self._spare.pop()


SEGMENTS: Final = Segments()
"""Those of this process."""
