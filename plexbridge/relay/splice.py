"""Where one upstream ends and another begins: cut at packets, marked, entered at an access point.

ISO/IEC 13818-1, 2.4.3.5: a packet whose adaptation field has the discontinuity indicator tells a
decoder that counters, and on the PCR's PID the time base, do not go on from what was before. One
such packet per PID, without payload, then the tables, then the stream. Pure.
"""

from typing import Final, NamedTuple

from plexbridge.relay.mpegts import (
    PACKET_BYTES,
    PAT_PID,
    SYNC,
    Block,
    counter_of,
    packet_at,
    packets_of,
    with_counters,
)
from plexbridge.relay.tables import TableReader, Tables

SPLICE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Held back at most while an access point is looked for: 4 s at 8 Mbit/s, more than any distance
between two of them, and reached only by an upstream that delivers faster than real time."""


class Spliced(NamedTuple):
    """What follows the last byte of the upstream before."""

    marks: bytes
    """Discontinuity marks and tables; empty when no tables were found."""
    stream: bytes
    tables: Tables | None


class Splice:
    """Gathers the beginning of an attempt until it can be joined to what players have."""

    def __init__(self, *, until: float) -> None:
        """`until`: monotonic seconds after which the stream goes on as well as it can."""
        self._until = until
        self._reader = TableReader()
        self._tables: Tables | None = None
        self._held = bytearray()

    def feed(self, block: Block, now: float) -> Spliced | None:
        """One more block of whole packets; the join once it can be made."""
        self._held += block
        if self._tables is None:
            self._tables = self._reader.feed(block)
        late = now >= self._until or len(self._held) >= SPLICE_BYTES_MAX
        if self._tables is None:
            return Spliced(b"", bytes(self._held), None) if late else None
        held = bytes(self._held)
        entry = first_random_access(held, self._tables.video_pid)
        if entry is None and not late:
            return None
        start = (entry or 0) * PACKET_BYTES
        dropped, stream = held[:start], held[start:]
        goes_on = {pid: next_counter(stream, pid) for pid in self._tables.pids}
        known = [counter for counter in goes_on.values() if counter is not None]
        if not late and len(known) < min(2, len(goes_on)):
            return None  # of subtitles nothing may come for long; of sound something does
        marks, tables = b"", b""
        for pid, packets in ((PAT_PID, self._tables.pat), (self._tables.pmt_pid, self._tables.pmt)):
            shown = _before(stream, dropped, pid, packets)
            marks += discontinuity(pid, counter_of(shown))
            tables += shown
        for pid, counter in goes_on.items():
            if counter is not None:
                marks += discontinuity(pid, counter)
        return Spliced(marks + tables, stream, self._tables)


def first_random_access(block: bytes, pid: int | None) -> int | None:
    """Index of the first packet marked as a random access point, of `pid` or of any PID."""
    controls, lengths, flags = (
        block[3::PACKET_BYTES],
        block[4::PACKET_BYTES],
        block[5::PACKET_BYTES],
    )
    for index in range(len(flags)):
        if flags[index] & 0x40 and controls[index] & 0x20 and lengths[index]:
            at = index * PACKET_BYTES
            if pid is None or (block[at + 1] & 0x1F) << 8 | block[at + 2] == pid:
                return index
    return None


def next_counter(stream: bytes, pid: int) -> int | None:
    """The continuity counter of the first packet of this PID; None where there is none."""
    for index in packets_of(stream, pid):
        return counter_of(packet_at(stream, index))
    return None


def _before(stream: bytes, dropped: bytes, pid: int, packets: bytes) -> bytes:
    """A table's packets, counted so that those in the stream go on from them."""
    following = next_counter(stream, pid)
    if following is not None:
        return with_counters(packets, following - 1)
    shown = list(packets_of(dropped, pid))
    return with_counters(packets, counter_of(packet_at(dropped, shown[-1]))) if shown else packets


def discontinuity(pid: int, following: int) -> bytes:
    """A packet without payload that says: this PID goes on with counter `following`."""
    # Counters do not advance for packets without payload, so it carries the one before.
    head = bytes(
        [SYNC, pid >> 8, pid & 0xFF, 0x20 | (following - 1) & 0x0F, PACKET_BYTES - 5, 0x80]
    )
    return head + b"\xff" * (PACKET_BYTES - len(head))
