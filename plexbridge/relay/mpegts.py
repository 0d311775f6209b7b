"""What a relay must know of MPEG-TS packets: sync, PIDs, access points, the clock reference.

Pure. Knows whole 188-byte packets in blocks of bytes; nothing of sockets, rings or readers, and
nothing of tables, nor of what is inside the elementary streams. Numbers: ISO/IEC 13818-1.

Everything that looks through a block does so by strided slices (`block[1::188]`): one copy in C
instead of a step in Python per packet.
"""

from collections.abc import Iterator
from functools import lru_cache
from mmap import mmap
from typing import Final

PACKET_BYTES: Final = 188
SYNC: Final = 0x47
SYNC_BYTE: Final = b"\x47"
SYNC_RUN: Final = 3
"""Packets in a row that make a sync (`reference/transport.md`, fault 20)."""
SYNC_SPAN_BYTES: Final = (SYNC_RUN - 1) * PACKET_BYTES + 1
"""How many bytes it takes to see such a run."""

PAT_PID: Final = 0
NULL_PID: Final = 0x1FFF
NULL_PACKET: Final = bytes([SYNC, NULL_PID >> 8, NULL_PID & 0xFF, 0x10]) + b"\xff" * 184

HAS_FIELD: Final = bytes(1 if control & 0x20 else 0 for control in range(256))
"""Turns the fourth bytes of packets into a mark of those with an adaptation field."""

Block = bytes | memoryview
"""Bytes of a stream."""


def find_sync(data: bytes, start: int = 0) -> int | None:
    """Where the first run of `SYNC_RUN` packets begins, at or after `start`."""
    last = len(data) - SYNC_SPAN_BYTES
    at = data.find(SYNC_BYTE, start)
    while 0 <= at <= last:
        if data[at + PACKET_BYTES] == SYNC and data[at + 2 * PACKET_BYTES] == SYNC:
            return at
        at = data.find(SYNC_BYTE, at + 1)
    return None


def packets_of(block: Block, pid: int) -> Iterator[int]:
    """Indexes of the whole packets of one PID in an aligned block, in order."""
    whole = len(block) - len(block) % PACKET_BYTES
    is_high, is_low = _marks(pid)
    high = bytes(block[1:whole:PACKET_BYTES]).translate(is_high)
    low = bytes(block[2:whole:PACKET_BYTES]).translate(is_low)
    # Both at once, as two long numbers: many PIDs share one of the two bytes.
    both = int.from_bytes(high, "little") & int.from_bytes(low, "little")
    marks = both.to_bytes(len(low), "little")
    index = marks.find(1)
    while index >= 0:
        yield index
        index = marks.find(1, index + 1)


@lru_cache(maxsize=256)
def _marks(pid: int) -> tuple[bytes, bytes]:
    """Turn the second and the third bytes of packets into marks of those that fit the PID."""
    return (
        bytes(value & 0x1F == pid >> 8 for value in range(256)),
        bytes(value == pid & 0xFF for value in range(256)),
    )


def packet_at(block: Block, index: int) -> bytes:
    """One packet of an aligned block, copied."""
    return bytes(block[index * PACKET_BYTES : (index + 1) * PACKET_BYTES])


def payload_of(packet: bytes) -> bytes:
    """What follows the header and the adaptation field; empty when there is nothing."""
    control = packet[3] & 0x30
    if control == 0x10:
        return packet[4:]
    if control == 0x30:
        return packet[5 + packet[4] :]
    return b""


def newest_random_access(
    block: bytes | mmap, pid: int | None, *, end: int | None = None
) -> int | None:
    """Index of the last packet before byte `end` marked as a random access point, of `pid` or of
    any PID.

    The mark counts on the video PID only where there is one: common muxers set it on every
    audio frame too.
    """
    # Few packets have an adaptation field; a search in C goes from one to the next.
    fields = block[3:end:PACKET_BYTES].translate(HAS_FIELD)
    index = fields.rfind(1)
    while index >= 0:
        at = index * PACKET_BYTES
        marked = block[at + 4] and block[at + 5] & 0x40
        if marked and (pid is None or (block[at + 1] & 0x1F) << 8 | block[at + 2] == pid):
            return index
        index = fields.rfind(1, 0, index)
    return None


def pcr_of(packet: bytes) -> int | None:
    """The programme clock reference in ticks of 27 MHz, or None when the packet has none."""
    if not packet[3] & 0x20 or packet[4] < 7 or not packet[5] & 0x10:
        return None
    base = int.from_bytes(packet[6:10], "big") << 1 | packet[10] >> 7
    return base * 300 + ((packet[10] & 1) << 8 | packet[11])


def counter_of(packet: bytes) -> int:
    """The continuity counter."""
    return packet[3] & 0x0F


def with_counters(packets: bytes, last: int) -> bytes:
    """The same packets with consecutive continuity counters, the last of them being `last`."""
    stamped = bytearray(packets)
    count = len(packets) // PACKET_BYTES
    for index in range(count):
        at = index * PACKET_BYTES + 3
        stamped[at] = stamped[at] & 0xF0 | (last - (count - 1 - index)) & 0x0F
    return bytes(stamped)
