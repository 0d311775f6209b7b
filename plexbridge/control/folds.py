"""Folding what the log holds: pages of it into anything that takes events in order.

Everything here blocks: it runs in threads, or in commands.
"""

from collections.abc import Iterator
from typing import Final, Protocol, TypeVar

from events.envelope import Recorded
from plexbridge.log.port import LogReader

PAGE_EVENTS: Final = 1_000
"""Read at once: a reader holds no snapshot longer than a page takes."""


class Foldable(Protocol):
    """Anything that takes events in order."""

    @property
    def position(self) -> int:
        """The last one taken."""
        ...

    def fold(self, event: Recorded) -> None:
        """Take the next one."""
        ...


F = TypeVar("F", bound=Foldable)


def recorded(reader: LogReader, after: int, up_to: int) -> Iterator[Recorded]:
    """Events behind one position up to another, page by page."""
    while after < up_to:
        page = reader.read(after, min(PAGE_EVENTS, up_to - after))
        if not page:
            return
        yield from page
        after = page[-1].pos


def fold_on(folding: F, reader: LogReader, up_to: int) -> F:
    """Fold the log's events after the folding's position, up to a position."""
    for event in recorded(reader, folding.position, up_to):
        assert event.pos == folding.position + 1, f"event {event.pos} follows {folding.position}"
        folding.fold(event)
    return folding
