"""One stream to many readers: who is at the live edge, who lags, who has to skip.

Knows sinks, the ring and the tables; nothing of upstreams, sessions' states or time. A reader at
the live edge costs one `write` per block; one that does not take it costs nothing until it asks.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from events.ids import SessionId
from plexbridge.relay.entry import continued, newest_entry
from plexbridge.relay.mpegts import PAT_PID, Block
from plexbridge.relay.ports import Sink
from plexbridge.relay.ring import Ring
from plexbridge.relay.tables import Tables

_TIDY_EVERY_BYTES = 200_000
"""Between two looks for what the ring may let go of: as often as a segment is filled, or less."""

_KEPT_BYTES_MIN = 256 * 1024
"""Held where no access point is known, so that the counters of the tables are."""


class Reader:
    """One session's place in a relay. Made by the relay; looked at by others."""

    __slots__ = ("_base", "_ring", "key", "position", "sink", "skipped_bytes", "skips")

    def __init__(self, key: SessionId, sink: Sink, ring: Ring) -> None:
        self.key = key
        self.sink = sink
        self.skips = 0
        """How often it fell out of the ring and was set to a newer access point."""
        self.skipped_bytes = 0
        """What it missed by that."""
        self.position: int | None = None
        """Offset of the next byte for it while it lags; None at the live edge."""
        self._ring = ring
        # What was handed over is `_base` + the place in the stream. So a reader at the live edge
        # needs no counting of its own, however many blocks pass.
        self._base = -ring.end

    def accepted(self) -> int:
        """Programme bytes the player's socket has accepted."""
        return self.sink.accepted()

    @property
    def handed_bytes(self) -> int:
        """Bytes given to its connection so far, tables included."""
        return self._base + self._place

    @property
    def lag_bytes(self) -> int:
        """How far behind the live edge it is."""
        return self._ring.end - self._place

    @property
    def waiting(self) -> bool:
        """Whether bytes are to be had for it that it has not taken."""
        return self.lag_bytes > 0 or self.handed_bytes > self.sink.accepted()

    @property
    def _place(self) -> int:
        return self._ring.end if self.position is None else self.position

    def begin_at(self, offset: int) -> None:
        """Go on from another place in the stream; nothing is handed over by that."""
        self._base += self._place - offset
        self.position = offset

    def hand(self, extra: bytes) -> None:
        """Write bytes that are not from the stream at its place (tables)."""
        self._base += len(extra)
        self.sink.write(extra)


class Fanout:
    """The readers of one relay, and the ring they read."""

    def __init__(self, *, ring_bytes: int, on_room: Callable[[], None]) -> None:
        """`on_room` is called when a reader caught up, came or went."""
        self.ring = Ring(ring_bytes)
        self.tables: Tables | None = None
        """PAT and PMT of the present attempt; None while they were not seen."""
        self.epoch = 0
        """Where the present attempt's bytes begin."""
        self._on_room = on_room
        self._readers: dict[SessionId, Reader] = {}
        # Replaced, never changed in place: whoever comes or goes while a block is being handed
        # round does not disturb the round.
        self._live: tuple[Reader, ...] = ()
        self._ever_joined = False
        self._tidy_at = 0

    @property
    def readers(self) -> tuple[Reader, ...]:
        """Everyone, in the order of coming."""
        return tuple(self._readers.values())

    @property
    def caught_up(self) -> bool:
        """Whether every reader was handed everything."""
        return len(self._live) == len(self._readers)

    @property
    def crowded(self) -> bool:
        """Whether nobody would miss anything if the upstream waited: every reader lags by more
        than half the ring, or the first one has not come yet."""
        return self._least_lag() * 2 > self.ring.limit_bytes

    @property
    def roomy(self) -> bool:
        """Whether there is a reader (or a lingering relay) to read on for. Less than `crowded`
        would say, so that an upstream is not paused and resumed with every block."""
        return self._least_lag() * 4 <= self.ring.limit_bytes

    @property
    def begun(self) -> bool:
        """Whether some reader was given bytes that another attempt's would have to follow on."""
        return any(reader.handed_bytes > 0 for reader in self._readers.values())

    def begin_epoch(self, tables: Tables | None) -> None:
        """What is delivered from now on is another attempt's: nobody joins before it."""
        self.epoch = self.ring.end
        self.tables = tables

    def last_tables(self) -> tuple[bytes, bytes]:
        """PAT and PMT as they were last shown at the live edge; empty where none were seen."""
        if self.tables is None:
            return b"", b""
        end = self.ring.end
        return (
            continued(self.ring, end, PAT_PID, self.tables.pat),
            continued(self.ring, end, self.tables.pmt_pid, self.tables.pmt),
        )

    def fill(self, packets: bytes) -> None:
        """Give readers that wait at the live edge packets that are no programme."""
        for reader in self._live:
            if reader.handed_bytes > 0 and reader.sink.writable:
                self._guarded(reader, self.ring.end, partial(reader.sink.fill, packets))

    def deliver(self, block: Block) -> None:
        """Hand a block of whole packets to everyone at the live edge; the others find it later."""
        start = self.ring.end
        self.ring.append(block)
        for reader in self._live:
            sink = reader.sink
            try:
                if sink.writable:
                    sink.write(block)
                else:
                    self._fall_behind(reader, start)
            except Exception as fault:
                self._expel(reader, start, fault)
        if start >= self._tidy_at:
            self._tidy()

    def join(self, key: SessionId, sink: Sink, *, flowing: bool) -> Reader:
        """Add a reader; it may be written to before this returns.

        The relay's first reader gets everything from the first packet on. Another gets the tables
        and the newest access point of the present attempt when bytes are `flowing`; when they are
        not, it waits for the next attempt's first packet.
        """
        assert key not in self._readers, "a session joins once"
        reader = Reader(key, sink, self.ring)
        first, self._ever_joined = not self._ever_joined, True
        self._readers[key] = reader
        self._live = (*self._live, reader)
        sink.on_writable = lambda: self._drain(reader)
        if first and self.ring.start == 0:
            self._begin(reader, 0, b"")
        elif flowing:
            entry = newest_entry(self.ring, self.tables, not_before=self.epoch)
            self._begin(reader, entry.offset, entry.preamble)
        self._drain(reader)
        self._on_room()
        return reader

    def leave(self, key: SessionId) -> None:
        """Forget a reader; unknown keys are no fault (it may have been expelled)."""
        reader = self._readers.pop(key, None)
        if reader is None:
            return
        self._settle(reader)
        self._on_room()

    def clear(self) -> None:
        """Forget everyone and every byte."""
        for reader in self._readers.values():
            self._settle(reader)
        self._readers.clear()
        self.ring.close()

    def _settle(self, reader: Reader) -> None:
        """Take a reader out of the round; its sink is not called again."""
        reader.sink.on_writable = None
        self._live = tuple(other for other in self._live if other is not reader)
        if reader.position is None:
            reader.position = self.ring.end

    def _begin(self, reader: Reader, offset: int, preamble: bytes) -> None:
        self._live = tuple(other for other in self._live if other is not reader)
        reader.begin_at(offset)
        if preamble:
            self._guarded(reader, offset, lambda: reader.hand(preamble))

    def _fall_behind(self, reader: Reader, offset: int) -> None:
        if self._readers.get(reader.key) is not reader:
            return  # It left during this very round.
        self._live = tuple(other for other in self._live if other is not reader)
        reader.position = offset

    def _drain(self, reader: Reader) -> None:
        """Hand over what a lagging reader takes now."""
        if reader.position is None or self._readers.get(reader.key) is not reader:
            return
        if reader.position < self.ring.start and reader.sink.writable:
            self._skip(reader)
        self._guarded(reader, reader.position, lambda: self._hand_over(reader))
        if reader.position == self.ring.end and self._readers.get(reader.key) is reader:
            reader.position = None
            self._live = (*self._live, reader)
        self._on_room()

    def _hand_over(self, reader: Reader) -> None:
        assert reader.position is not None, "only a lagging reader is drained"
        sink = reader.sink
        if reader.position < self.ring.start:
            return  # It fell out and takes nothing: it skips when it does.
        blocks = self.ring.after(reader.position)
        while sink.writable and (block := next(blocks, None)) is not None:
            sink.write(block)
            reader.position += len(block)

    def _skip(self, reader: Reader) -> None:
        """The ring went past it: on to the newest access point, tables first, and counted."""
        assert reader.position is not None, "only a lagging reader skips"
        entry = newest_entry(self.ring, self.tables, not_before=self.epoch)
        reader.skips += 1
        reader.skipped_bytes += entry.offset - reader.position
        self._begin(reader, entry.offset, entry.preamble)

    def _guarded(self, reader: Reader, offset: int, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as fault:
            self._expel(reader, offset, fault)

    def _expel(self, reader: Reader, offset: int, fault: Exception) -> None:
        """A sink raised, which it promised not to: our own fault. It must not reach the others.

        The reader keeps its place, so its session is seen to take nothing and ends by its deadline.
        """
        self._fall_behind(reader, offset)
        self._readers.pop(reader.key, None)
        reader.sink.on_writable = None
        asyncio.get_running_loop().call_exception_handler(
            {
                "message": f"session {reader.key}: its sink raised and was detached from the relay",
                "exception": fault,
            }
        )

    def _tidy(self) -> None:
        """Let go of what nobody will ask for: older than the newest access point, and than the
        place of every reader. Before the first reader came, everything is for it."""
        self._tidy_at = self.ring.end + _TIDY_EVERY_BYTES
        if not self._ever_joined:
            return
        pid = self.tables.video_pid if self.tables is not None else None
        point = self.ring.join_point(pid=pid, not_before=self.epoch)
        needed = self.ring.end - _KEPT_BYTES_MIN if point is None else point
        for reader in self._readers.values():
            if reader.position is not None:
                needed = min(needed, reader.position)
        self.ring.let_go_before(needed)

    def _least_lag(self) -> int:
        if self._live:
            return 0
        if self._readers:
            return min(reader.lag_bytes for reader in self._readers.values())
        return 0 if self._ever_joined else self.ring.end - self.ring.start
