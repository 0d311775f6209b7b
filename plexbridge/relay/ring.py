"""The bounded memory of one relay: the newest bytes of its stream, by their place in the stream.

Upstreams are read straight into it, so that only the kernel copies. It consists of segments; the
oldest go when nobody needs them, and their memory is used again, so that a steady stream allocates
nothing. Hence the one rule for whoever is handed a block: it holds until the caller returns to the
loop, and what is to be kept is copied.

Knows segments, offsets and a bound; nothing of readers, and of packets only that each segment
begins with one. Offsets count every byte ever appended and never repeat.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

from plexbridge.relay.mpegts import PACKET_BYTES, SYNC, Block, newest_random_access
from plexbridge.relay.segments import SEGMENT_BYTES, SEGMENTS, Segments


class Placed(NamedTuple):
    """A block and where it begins."""

    offset: int
    block: Block


class _Segment:
    """Some memory; its first `used` bytes are the stream's from `offset` on."""

    __slots__ = ("memory", "offset", "used", "view")

    def __init__(self, memory: mmap, offset: int) -> None:
        self.memory = memory
        self.view = memoryview(memory)
        self.offset = offset
        self.used = 0


def _offset(segment: _Segment) -> int:
    return segment.offset


class Ring:
    """What was appended, in order; the oldest goes when there is more than `limit_bytes`.

    Behind the stream wait bytes that were read but are not part of it yet: `room` and `filled` add
    to them, `waiting` shows them, and `append` of what it showed makes them part of the stream.
    """

    def __init__(self, limit_bytes: int, segments: Segments = SEGMENTS) -> None:
        assert limit_bytes > 0, "a ring holds something"
        self.limit_bytes = limit_bytes
        self.start = 0
        """Offset of the oldest byte held."""
        self.end = 0
        """Offset after the newest byte held: the live edge."""
        self.waiting_bytes = 0
        """Bytes that were read and are not part of the stream yet."""
        self._memory = segments
        self._current = _Segment(segments.take(), 0)
        self._segments = deque((self._current,))
        self._closed = False
        self._shown: memoryview | None = None
        self._last_read_bytes = 1
        self._point: int | None = None
        self._point_pid: int | None = None
        self._searched_to = 0

    def room(self) -> memoryview:
        """Memory to read the next bytes into: enough for as many as came the last time."""
        assert not self._closed, "the memory is not ours any more"
        segment = self._current
        at = segment.used + self.waiting_bytes
        # A read that fills its room is followed by a second one at once: twice the work.
        if segment.used and SEGMENT_BYTES - at < self._last_read_bytes:
            segment = self._turn_over()
            at = self.waiting_bytes
        return segment.view[at:]

    def filled(self, count: int) -> None:
        """That many bytes were read into `room`; they wait."""
        self._last_read_bytes = count
        self.waiting_bytes += count

    def waits_in_sync(self, count: int) -> bool:
        """Whether the first `count` bytes that wait, whole packets, are in sync."""
        at = self._current.used
        # A strided slice of a mapping is one loop in C; of a memoryview it costs six times that.
        syncs = self._current.memory[at : at + count : PACKET_BYTES].count(SYNC)
        return syncs * PACKET_BYTES == count

    def waiting(self, count: int) -> memoryview:
        """The first `count` bytes that wait."""
        assert count <= self.waiting_bytes, "asked for more than waits"
        at = self._current.used
        self._shown = self._current.view[at : at + count]
        return self._shown

    def drop_waiting(self, count: int) -> None:
        """The first `count` bytes that wait are no part of the stream."""
        if count < self.waiting_bytes:
            rest = bytes(self.waiting(self.waiting_bytes)[count:])
            self.waiting_bytes = 0
            self.wait(rest)
        else:
            self.waiting_bytes = 0
        self._shown = None

    def wait(self, rest: Block) -> None:
        """Let bytes (fewer than a segment has) wait behind those that do."""
        assert len(rest) + self.waiting_bytes <= SEGMENT_BYTES, "what waits is one piece"
        segment = self._current
        if SEGMENT_BYTES - segment.used - self.waiting_bytes < len(rest):
            segment = self._turn_over()
        at = segment.used + self.waiting_bytes
        segment.view[at : at + len(rest)] = rest
        self.waiting_bytes += len(rest)

    def append(self, block: Block) -> None:
        """Add to the stream: what `waiting` showed, where it is, or a copy of anything else."""
        assert not self._closed, "the memory is not ours any more"
        if block is self._shown:
            self._current.used += len(block)
            self.waiting_bytes -= len(block)
            self.end += len(block)
        else:
            waits = bytes(self.waiting(self.waiting_bytes))
            self.waiting_bytes = 0
            self._copy(memoryview(block))
            self.wait(waits)
        self._shown = None
        if self.end - self.start > self.limit_bytes:
            self.let_go_before(self.end - self.limit_bytes)

    def let_go_before(self, offset: int) -> None:
        """Nobody asks for older bytes any more. Segments go whole, the newest one never."""
        segments = self._segments
        while len(segments) > 1 and segments[1].offset <= offset:
            self._memory.give_back(segments.popleft().memory)
            self.start = segments[0].offset

    def after(self, offset: int) -> Iterator[Block]:
        """The bytes from `offset` (not older than `start`) to the live edge, block by block.

        Nothing may be appended while the iteration goes on.
        """
        assert self.start <= offset <= self.end, "asked for bytes the ring does not hold"
        if offset == self.end:
            return
        index = bisect_right(self._segments, offset, key=_offset) - 1
        while index < len(self._segments):
            segment = self._segments[index]
            if segment.used:
                yield segment.view[max(0, offset - segment.offset) : segment.used]
            index += 1

    def backwards(self, offset: int) -> Iterator[Placed]:
        """The blocks before `offset`, newest first; the one around it is cut there."""
        for segment in reversed(self._segments):
            count = min(segment.used, offset - segment.offset)
            if count > 0:
                yield Placed(segment.offset, segment.view[:count])

    def join_point(self, *, pid: int | None, not_before: int = 0) -> int | None:
        """Offset of the newest packet marked as a random access point; None when none is held.

        Looks backwards, and only at what was not looked at before.
        """
        if pid != self._point_pid:
            self._point, self._point_pid, self._searched_to = None, pid, 0
        for segment in reversed(self._segments):
            if segment.offset + segment.used <= self._searched_to:
                break
            index = newest_random_access(segment.memory, pid, end=segment.used)
            if index is not None:
                self._point = segment.offset + index * PACKET_BYTES
                break
        self._searched_to = self.end
        if self._point is None or self._point < max(self.start, not_before):
            return None
        return self._point

    def close(self) -> None:
        """Give back all memory. Offsets stay as they are; nothing may be read or added any more."""
        if self._closed:
            return
        self._closed = True
        for segment in self._segments:
            self._memory.give_back(segment.memory)
        self._segments.clear()
        self._shown = None
        self.waiting_bytes = 0
        self.start = self.end

    def _turn_over(self) -> _Segment:
        """Go on in another segment; what waits moves there."""
        waits = self.waiting(self.waiting_bytes)
        self._current = _Segment(self._memory.take(), self.end)
        self._current.view[: len(waits)] = waits
        self._segments.append(self._current)
        self._shown = None
        return self._current

    def _copy(self, block: memoryview) -> None:
        while block:
            segment = self._current
            room = SEGMENT_BYTES - segment.used
            count = min(len(block), room - room % PACKET_BYTES)
            if count == 0:
                self._turn_over()
                continue
            segment.view[segment.used : segment.used + count] = block[:count]
            segment.used += count
            self.end += count
            block = block[count:]
