"""Where in a ring a reader may begin in the middle of a stream, and what it must be told first.

Pure. Knows the ring and the tables; not who the reader is.
"""

from typing import NamedTuple

from plexbridge.relay.mpegts import (
    PAT_PID,
    counter_of,
    packet_at,
    packets_of,
    with_counters,
)
from plexbridge.relay.ring import Ring
from plexbridge.relay.tables import Tables


class Entry(NamedTuple):
    """A place to begin at."""

    offset: int
    preamble: bytes
    """PAT and PMT, to be written before the bytes at `offset`; empty while none were seen."""


def newest_entry(ring: Ring, tables: Tables | None, *, not_before: int = 0) -> Entry:
    """The newest random access point of the video, or the live edge where none is held.

    `not_before` keeps a reader out of what an earlier attempt delivered.
    """
    pid = tables.video_pid if tables is not None else None
    offset = ring.join_point(pid=pid, not_before=not_before)
    if offset is None:
        offset = ring.end
    if tables is None:
        return Entry(offset, b"")
    return Entry(
        offset,
        continued(ring, offset, PAT_PID, tables.pat)
        + continued(ring, offset, tables.pmt_pid, tables.pmt),
    )


def continued(ring: Ring, offset: int, pid: int, packets: bytes) -> bytes:
    """The packets of a table with the counters that the stream goes on from at `offset`.

    A player checks the counters of the tables too: a table from a second ago would look like loss.
    """
    for block in ring.after(offset):
        for index in packets_of(block, pid):
            return with_counters(packets, counter_of(packet_at(block, index)) - 1)
    for placed in ring.backwards(offset):
        indexes = list(packets_of(placed.block, pid))
        if indexes:
            return with_counters(packets, counter_of(packet_at(placed.block, indexes[-1])))
    return packets
