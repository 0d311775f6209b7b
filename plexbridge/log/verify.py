"""Whether a log is what the bridge wrote: dense, in order, and every hash in its place.

Knows the rules a log must keep by itself. It cannot see a tail cut off cleanly, nor a log written
anew from the start: for those an anchor kept elsewhere is needed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from struct import error as StructError
from typing import Literal, Protocol

from events.codec import NotCanonical, canonical, chain, hash_of
from events.envelope import Recorded
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import Head, LogReader

PAGE_EVENTS = 2_000
"""Events held in memory at once, some 2 MB."""

MAX_UNREADABLE_IN_A_ROW = 100
"""Then the file is taken to be gone, not damaged."""

_UNWRITABLE = (NotCanonical, StructError, TypeError)
"""What a field raises that no bridge can have written."""

Rule = Literal["unreadable", "position", "version", "hash", "anchor"]


class ChainReader(LogReader, Protocol):
    """A reader that also tells what the log's first event is chained to."""

    def base(self) -> Head: ...
    def base_version(self, stream: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong, at one position."""

    pos: int
    rule: Rule
    text: str


def verify_chain(
    reader: ChainReader,
    *,
    after: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Finding]:
    """Check every event behind `after`, in order; yields what is wrong, ends with the log.

    `progress` is told the last position checked, once per page. Blocking; reads pages.

    Raises:
        StorageFailed: not even a single event can be read any more.
    """
    base = reader.base()
    start = max(after, base.pos)
    previous = base.hash
    if start > base.pos:
        before = reader.read(start - 1, 1)
        if not before or before[0].pos != start:
            yield Finding(start, "position", f"there is no event at position {start}")
            return
        previous = before[0].hash
    check = _Check(reader, start, previous)
    limit, failures = PAGE_EVENTS, 0
    while True:
        try:
            page = reader.read(check.pos, limit)
        except StorageFailed as failed:
            if limit > 1:  # Narrow it down to the one event that cannot be read.
                limit //= 2
                continue
            failures += 1
            if failures > MAX_UNREADABLE_IN_A_ROW:
                raise
            yield Finding(check.pos + 1, "unreadable", str(failed))
            check.go_on_behind(check.pos + 1)
            continue
        if not page:
            return
        limit, failures = min(2 * limit, PAGE_EVENTS), 0
        place = 0
        while place < len(page):
            place += check.fitting(page, place)
            if place < len(page):
                finding = check.event(page[place])
                place += 1
                if finding is not None:
                    yield finding
        if progress is not None:
            progress(check.pos)


class _Check:
    """What is known of the events so far."""

    def __init__(self, reader: ChainReader, pos: int, previous: bytes) -> None:
        self._reader = reader
        self.pos = pos
        self._start = pos
        self._previous: bytes | None = previous
        """The hash the next event is chained to; None: unknown, the event before is missing."""
        self._recomputed: bytes | None = None
        """What the hash of the event before should have been, if it was wrong: when that hash was
        altered and nothing else, the next event is chained to this one, and is right."""
        self._versions: dict[str, int] = {}

    def go_on_behind(self, pos: int) -> None:
        """Start afresh behind an event that is missing."""
        self.pos = self._start = pos
        self._previous = self._recomputed = None
        self._versions.clear()

    def fitting(self, page: Sequence[Recorded], place: int) -> int:
        """How many events from `place` on keep every rule in the plainest way: nearly all of
        nearly every log, so this is written for speed. The next one is for `event` to judge."""
        previous, pos, versions = self._previous, self.pos, self._versions
        if previous is None or self._recomputed is not None:
            return 0
        count = 0
        for row in islice(page, place, None):
            stream, ver = row[1], row[2]
            if row[0] != pos + 1 or ver != versions.get(stream, 0) + 1:
                break
            try:
                right = chain(previous, row[0], canonical(*row[1:-1]))
            except _UNWRITABLE:
                break
            if right != row[-1]:
                break
            pos, previous, versions[stream] = pos + 1, right, ver
            count += 1
        self.pos, self._previous = pos, previous
        return count

    def event(self, row: Recorded) -> Finding | None:
        """The first rule that the next event breaks; its own place in the chain is then lost."""
        finding = None
        if row.pos <= self.pos:
            return Finding(row.pos, "position", f"position {row.pos} is there twice")
        if row.pos != self.pos + 1:
            text = f"events {self.pos + 1} to {row.pos - 1} are missing"
            finding = Finding(row.pos, "position", text)
            self.go_on_behind(row.pos - 1)
        self.pos = row.pos
        wrong_hash = self._hash(row)
        wrong_version = self._version(row)
        return finding or wrong_hash or wrong_version

    def _hash(self, row: Recorded) -> Finding | None:
        previous, recomputed = self._previous, self._recomputed
        self._previous, self._recomputed = row.hash, None
        if previous is None:
            return None
        try:
            right = hash_of(previous, row)
            if right == row.hash:
                return None
            if recomputed is not None and hash_of(recomputed, row) == row.hash:
                return None
        except _UNWRITABLE as error:
            return Finding(row.pos, "hash", f"a field cannot have been written so: {error}")
        self._recomputed = right
        return Finding(row.pos, "hash", "the event was altered: its hash does not fit")

    def _version(self, row: Recorded) -> Finding | None:
        stream, ver = row.stream, row.ver
        before = self._versions.get(stream)
        self._versions[stream] = ver
        if before is None:
            if ver == 1 or self._continues(stream, ver):
                return None
        elif ver == before + 1:
            return None
        after = "nothing" if before is None else f"version {before}"
        return Finding(row.pos, "version", f"stream {stream}: version {ver} follows {after}")

    def _continues(self, stream: str, ver: int) -> bool:
        """Whether the version before, from before the start of this check, is there."""
        if self._reader.base_version(stream) == ver - 1:
            return True
        try:
            earlier = self._reader.read_stream(stream, ver - 2, 1)
        except StorageFailed:
            return True  # It cannot be read, which is a finding of its own.
        return bool(earlier) and earlier[0].ver == ver - 1 and earlier[0].pos <= self._start
