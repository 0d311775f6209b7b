"""Looking through a whole block of packets at once: which PID each is, and which need a look.

Pure. A step in Python per packet is what this module avoids: it takes every 188th byte as one slice
and works on that by translation tables and big integers, which are loops in C. A PID has 13 bits in
two bytes; the few PIDs of a programme have few different values in each, so both fit into one.
"""

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Final

from plexbridge.relay.mpegts import PACKET_BYTES

UNKNOWN: Final = 0
"""The kind of a packet whose PID is not in the book."""
PIDS_MAX: Final = 15
"""Four bits for each half of a PID, without 0."""

_IS_START: Final = bytes(bool(byte & 0x40) for byte in range(256))
_HAS_FIELD: Final = bytes(bool(byte & 0x20) for byte in range(256))
_HAS_ROOM_FOR_CLOCK: Final = bytes(byte >= 7 for byte in range(256))
_HAS_CLOCK: Final = bytes(bool(byte & 0x10) for byte in range(256))
_FLAGS_ONLY: Final = bytes(byte & 0xE0 for byte in range(256))
_COUNTED_ON: Final = tuple(
    bytes(byte & 0xF0 | byte + delta & 0x0F for byte in range(256)) for delta in range(16)
)
_ONLY: Final = tuple(
    bytes(0xFF if byte == kind else 0 for byte in range(256)) for kind in range(PIDS_MAX + 1)
)


class Codebook:
    """The PIDs of one programme, numbered from 1: `kinds` of packets."""

    def __init__(self, pids: Sequence[int]) -> None:
        assert len(pids) <= PIDS_MAX, "a book has few PIDs"
        assert len(set(pids)) == len(pids), "a PID has one kind"
        highs = _numbered([pid >> 8 for pid in pids])
        lows = _numbered([pid & 0xFF for pid in pids])
        self._high = bytes(highs.get(byte & 0x1F, 0) << 4 for byte in range(256))
        self._low = bytes(lows.get(byte, 0) for byte in range(256))
        kinds = bytearray(256)
        for kind, pid in enumerate(pids, 1):
            kinds[highs[pid >> 8] << 4 | lows[pid & 0xFF]] = kind
        self._kinds = bytes(kinds)

    def kinds(self, block: bytes) -> bytes:
        """The kind of every packet of an aligned block, one byte each."""
        high = _number(block[1::PACKET_BYTES].translate(self._high))
        low = _number(block[2::PACKET_BYTES].translate(self._low))
        return _bytes(high | low, len(block) // PACKET_BYTES).translate(self._kinds)


class Renaming:
    """Other PIDs for the kinds of a book."""

    def __init__(self, pids: Sequence[int]) -> None:
        """`pids`: the new PID of kind 1, 2, …"""
        rest = bytes(255 - len(pids))
        self._high = b"\x00" + bytes(pid >> 8 for pid in pids) + rest
        self._low = b"\x00" + bytes(pid & 0xFF for pid in pids) + rest

    def apply(self, block: bytearray, kinds: bytes) -> None:
        """Write the new PIDs; packets of unknown kind get PID 0 and must not be passed on."""
        flags = _number(block[1::PACKET_BYTES].translate(_FLAGS_ONLY))
        high = flags | _number(kinds.translate(self._high))
        block[1::PACKET_BYTES] = _bytes(high, len(kinds))
        block[2::PACKET_BYTES] = kinds.translate(self._low)


def count_on(block: bytearray, kinds: bytes, deltas: dict[int, int]) -> None:
    """Add to the continuity counters of each kind its delta (0 to 15)."""
    controls = bytes(block[3::PACKET_BYTES])
    value = _number(controls)
    for kind, delta in deltas.items():
        if delta:
            counted = _number(controls.translate(_COUNTED_ON[delta]))
            value ^= (value ^ counted) & _number(kinds.translate(_ONLY[kind]))
    block[3::PACKET_BYTES] = _bytes(value, len(kinds))


def marked(block: bytes, kinds: bytes, always: bytes) -> list[int]:
    """Indexes of packets that begin something, carry a clock reference, or are of a kind to which
    the table `always` gives 1."""
    count = len(kinds)
    clocks = (
        _number(block[3::PACKET_BYTES].translate(_HAS_FIELD))
        & _number(block[4::PACKET_BYTES].translate(_HAS_ROOM_FOR_CLOCK))
        & _number(block[5::PACKET_BYTES].translate(_HAS_CLOCK))
    )
    starts = _number(block[1::PACKET_BYTES].translate(_IS_START))
    wanted = starts | clocks | _number(kinds.translate(always))
    return list(compress(range(count), _bytes(wanted, count)))


def places(kinds: bytes, table: bytes) -> Iterator[int]:
    """Indexes of the packets to whose kind `table` gives anything but 0."""
    return compress(range(len(kinds)), kinds.translate(table))


def table_of(kinds: Sequence[int]) -> bytes:
    """A translation table that gives 1 to these kinds and 0 to all others."""
    return bytes(kind in kinds for kind in range(256))


def _numbered(values: Sequence[int]) -> dict[int, int]:
    return {value: number for number, value in enumerate(dict.fromkeys(values), 1)}


def _number(data: bytes | bytearray) -> int:
    return int.from_bytes(data, "little")


def _bytes(number: int, count: int) -> bytes:
    return number.to_bytes(count, "little")
