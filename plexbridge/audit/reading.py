"""The recorded events of a log, page by page, up to where it ended when reading began.

Knows how to read a log that a running bridge goes on writing; holds one page in memory.
"""

from collections.abc import Callable, Iterator
from typing import Final

from events.envelope import Recorded
from plexbridge.log.port import LogReader

PAGE_EVENTS: Final = 2_000
"""Events held in memory at once, some 2 MB; each page is one short snapshot of the file."""

Progress = Callable[[int], None]
"""Told the last position done, once per page."""


def recorded(
    reader: LogReader,
    *,
    after: int = 0,
    until: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Recorded]:
    """Events behind position `after`, up to position `until` (the head as it is now). Blocks.

    Raises:
        StorageFailed: the file cannot be read.
    """
    last = reader.head().pos if until is None else until
    pos = after
    while pos < last:
        page = reader.read(pos, min(PAGE_EVENTS, last - pos))
        if not page:
            return
        yield from page
        pos = page[-1].pos
        if progress is not None:
            progress(pos)
