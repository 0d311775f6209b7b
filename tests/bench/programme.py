"""A television programme made of numbers: any piece of it can be made without what was before.

As much MPEG-TS as a relay looks at: PAT and PMT, a clock reference every 24 ms at 8 Mbit/s, an
access point about once a second, continuity. Each packet of sound and picture ends with its place
in the programme, so that two providers of one programme can be compared. Pure.
"""

from functools import lru_cache
from itertools import accumulate
from typing import Final

from tests.service.ts_maker import AUDIO_PID, PACKET_BYTES, VIDEO_PID, TsMaker

CELL: Final = 512
"""Packets from one PAT to the next: 96 ms at 8 Mbit/s."""
ACCESS_CELLS: Final = 10
"""Cells from one access point to the next: 0.96 s at 8 Mbit/s."""
LOOP_CELLS: Final = 80
"""Of a film shown over and over: a multiple of ACCESS_CELLS and, for the counters, of 16."""

_PCR_EVERY: Final = 128
_PIDS: Final = tuple(
    None if place < 2 else AUDIO_PID if place % 16 == 15 else VIDEO_PID for place in range(CELL)
)
"""Of each packet of a cell; the first two are the tables."""
_BEFORE: Final = {
    pid: (0, *accumulate(int(found == pid) for found in _PIDS)) for pid in (AUDIO_PID, VIDEO_PID)
}
"""How many packets of a PID stand before each place of a cell."""
_PAT, _PMT = (TsMaker().packets(1), TsMaker().packets(2)[PACKET_BYTES:])


def film(bits_per_s: float) -> bytes:
    """Some seconds that can be shown over and over: the clock's jump back is marked."""
    first = bytearray(cell(0, bits_per_s))
    assert first[2 * PACKET_BYTES + 3] & 0x20, "the first packet of picture has the clock"
    first[2 * PACKET_BYTES + 5] |= 0x80
    return bytes(first) + b"".join(cell(number, bits_per_s) for number in range(1, LOOP_CELLS))


@lru_cache(maxsize=64)
def cell(number: int, bits_per_s: float) -> bytes:
    """The cell of this number, counted from the beginning of the programme."""
    tables = b"".join(
        table[:3] + bytes([table[3] & 0xF0 | number & 0x0F]) + table[4:] for table in (_PAT, _PMT)
    )
    return tables + b"".join(_packet(number, place, bits_per_s) for place in range(2, CELL))


def _packet(number: int, place: int, bits_per_s: float) -> bytes:
    pid = _PIDS[place]
    assert pid is not None, "tables are made apart"
    counter = number * _BEFORE[pid][CELL] + _BEFORE[pid][place] & 0x0F
    serial = number * CELL + place
    starts = place == 2 and number % ACCESS_CELLS == 0
    field = b""
    if pid == VIDEO_PID and place % _PCR_EVERY == 2:
        ticks = round(serial * PACKET_BYTES * 8 * 27_000_000 / bits_per_s)
        base, extension = divmod(ticks, 300)
        clock = (base & (1 << 33) - 1) << 15 | 0x3F << 9 | extension
        field = bytes([7, 0x50 if starts else 0x10]) + clock.to_bytes(6, "big")
    control = (0x30 if field else 0x10) | counter
    head = bytes([0x47, 0x40 * starts | pid >> 8, pid & 0xFF, control]) + field
    return (
        head + bytes([serial & 0x7F]) * (PACKET_BYTES - len(head) - 8) + serial.to_bytes(8, "big")
    )
