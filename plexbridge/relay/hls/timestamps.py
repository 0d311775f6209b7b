"""Clock references and time stamps in packets: where they are, what they say, how to move them.

Pure. All times are ticks of 90 kHz, 33 bits wide, which wrap after 26.5 hours (ISO/IEC 13818-1
sections 2.4.3.5 and 2.4.3.7). Works in place on blocks of packets, without cutting them up.
"""

from typing import Final, NamedTuple

from plexbridge.relay.mpegts import PACKET_BYTES

TICKS_PER_S: Final = 90_000
WRAP_TICKS: Final = 1 << 33
_MASK: Final = WRAP_TICKS - 1
_HALF: Final = WRAP_TICKS >> 1

_WITHOUT_STAMPS: Final = frozenset({0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF})
"""Stream ids whose PES packets have no optional header (table 2-22)."""


class Stamps(NamedTuple):
    """A PES packet's times and where in the block they are."""

    pts: int
    pts_at: int
    dts: int
    """The PTS where there is no DTS of its own."""
    dts_at: int | None


def ticks_after(later: int, earlier: int) -> int:
    """How far `later` is after `earlier`, negative when it is before; exact within 13 hours."""
    return (later - earlier + _HALF & _MASK) - _HALF


def moved(time: int, ticks: int) -> int:
    """The time so many ticks on."""
    return time + ticks & _MASK


def clock_base_at(block: bytes | bytearray, start: int) -> int | None:
    """The PCR's 90 kHz part in the packet that begins at `start`."""
    if not block[start + 3] & 0x20 or block[start + 4] < 7 or not block[start + 5] & 0x10:
        return None
    return int.from_bytes(block[start + 6 : start + 10], "big") << 1 | block[start + 10] >> 7


def stamps_at(block: bytes | bytearray, start: int) -> Stamps | None:
    """The time stamps of the PES packet whose first packet begins at `start`.

    None where none are, or where the header does not fit into the first packet: no muxer in use
    writes such a packet.
    """
    control = block[start + 3]
    if not control & 0x10:
        return None
    at = start + (5 + block[start + 4] if control & 0x20 else 4)
    end = start + PACKET_BYTES
    if at + 14 > end or block[at : at + 3] != b"\x00\x00\x01" or block[at + 3] in _WITHOUT_STAMPS:
        return None
    flags = block[at + 7]
    if not flags & 0x80:
        return None
    pts = _stamp(block, at + 9)
    if not flags & 0x40 or at + 19 > end:
        return Stamps(pts, at + 9, pts, None)
    return Stamps(pts, at + 9, _stamp(block, at + 14), at + 14)


def move_clock(block: bytearray, start: int, ticks: int) -> None:
    """Move the PCR of the packet that begins at `start`; the 27 MHz extension stays."""
    base = int.from_bytes(block[start + 6 : start + 10], "big") << 1 | block[start + 10] >> 7
    base = moved(base, ticks)
    block[start + 6 : start + 10] = (base >> 1).to_bytes(4, "big")
    block[start + 10] = block[start + 10] & 0x7F | (base & 1) << 7


def move_stamps(block: bytearray, stamps: Stamps, ticks: int) -> None:
    """Move PTS and DTS."""
    _write(block, stamps.pts_at, moved(stamps.pts, ticks))
    if stamps.dts_at is not None:
        _write(block, stamps.dts_at, moved(stamps.dts, ticks))


def _stamp(block: bytes | bytearray, at: int) -> int:
    return (
        (block[at] & 0x0E) << 29
        | block[at + 1] << 22
        | (block[at + 2] & 0xFE) << 14
        | block[at + 3] << 7
        | block[at + 4] >> 1
    )


def _write(block: bytearray, at: int, time: int) -> None:
    block[at] = block[at] & 0xF1 | time >> 29 & 0x0E
    block[at + 1] = time >> 22 & 0xFF
    block[at + 2] = time >> 14 & 0xFE | 1
    block[at + 3] = time >> 7 & 0xFF
    block[at + 4] = time << 1 & 0xFE | 1
