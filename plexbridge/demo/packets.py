"""What is written in the MPEG-TS packets of a clip, and where.

Knows ISO/IEC 13818-1 as far as repeating a clip needs it: packet headers, PCR, PES timestamps, and
which PID carries what. Refuses to know why anyone asks, and to repair anything.
"""

from collections.abc import Iterator
from typing import NamedTuple

PACKET_BYTES = 188
TICKS_WRAP = 1 << 33
"""PCR base, PTS and DTS count 90 kHz in 33 bits."""
PAT_PID = 0
NULL_PID = 0x1FFF
_SYNC = 0x47


class ClipUnusable(Exception):
    """A clip cannot be looped: it is damaged, or was not made for it."""

    def __init__(self, fault: str, *, packet: int) -> None:
        super().__init__(f"demo clip unusable at packet {packet}: {fault}")
        self.fault = fault
        self.packet = packet
        """0-based."""


class Pcr(NamedTuple):
    """A programme clock reference."""

    offset: int
    """Of its six bytes within the clip."""
    base: int
    rest: int
    """Reserved bits and the 27 MHz extension: untouched by a move of whole ticks."""

    def moved(self, ticks_90k: int) -> bytes:
        """The six bytes that say `ticks_90k` later."""
        return ((self.base + ticks_90k) % TICKS_WRAP << 15 | self.rest).to_bytes(6, "big")


class Stamp(NamedTuple):
    """A PTS or DTS."""

    offset: int
    """Of its five bytes within the clip."""
    value: int
    prefix: int
    """The four bits before it, which say whether it is a PTS or a DTS."""

    def moved(self, ticks_90k: int) -> bytes:
        """The five bytes that say `ticks_90k` later, each part with its marker bit."""
        ticks = (self.value + ticks_90k) % TICKS_WRAP
        high = self.prefix << 4 | (ticks >> 29 & 0x0E) | 1
        return (high << 32 | (ticks >> 14 & 0xFFFE | 1) << 16 | (ticks << 1 & 0xFFFE | 1)).to_bytes(
            5, "big"
        )


class Packet(NamedTuple):
    """One packet's header, read."""

    number: int
    """0-based place in the clip."""
    pid: int
    starts_unit: bool
    counter: int
    has_payload: bool
    adaptation: bytes
    """The adaptation field behind its length byte; empty when there is none."""
    payload: int
    """Offset of the payload within the clip."""

    @property
    def random_access(self) -> bool:
        """Decoding can begin here."""
        return bool(self.adaptation) and bool(self.adaptation[0] & 0x40)

    @property
    def pcr(self) -> Pcr | None:
        """The clock reference it carries."""
        if len(self.adaptation) < 7 or not self.adaptation[0] & 0x10:
            return None
        field = int.from_bytes(self.adaptation[1:7], "big")
        return Pcr(self.number * PACKET_BYTES + 6, field >> 15, field & 0x7FFF)


def read_packets(clip: bytes) -> Iterator[Packet]:
    """Every packet of a clip, in order.

    Raises:
        ClipUnusable: no packets, a piece of one at the end, a lost sync byte, a field too long.
    """
    count, left = divmod(len(clip), PACKET_BYTES)
    if left or not count:
        raise ClipUnusable(f"{len(clip)} bytes are not whole packets", packet=count)
    for number in range(count):
        at = number * PACKET_BYTES
        sync, high, low, flags, length = clip[at : at + 5]
        if sync != _SYNC:
            raise ClipUnusable("no sync byte", packet=number)
        adapted = bool(flags & 0x20)
        payload = at + 5 + length if adapted else at + 4
        if payload > at + PACKET_BYTES:
            raise ClipUnusable("an adaptation field longer than its packet", packet=number)
        yield Packet(
            number=number,
            pid=(high & 0x1F) << 8 | low,
            starts_unit=bool(high & 0x40),
            counter=flags & 0x0F,
            has_payload=bool(flags & 0x10),
            adaptation=clip[at + 5 : payload] if adapted else b"",
            payload=payload,
        )


def read_stamps(clip: bytes, packet: Packet) -> list[Stamp]:
    """PTS, then DTS, of the PES header that begins in this packet; empty when none does."""
    at = packet.payload
    end = (packet.number + 1) * PACKET_BYTES
    if not (packet.starts_unit and packet.has_payload) or clip[at : at + 3] != b"\0\0\1":
        return []
    present = clip[at + 7] >> 6 if at + 14 <= end else 0
    offsets = {2: (at + 9,), 3: (at + 9, at + 14)}.get(present, ())
    if offsets and offsets[-1] + 5 > end:
        raise ClipUnusable("a PES header that goes on in the next packet", packet=packet.number)
    return [_read_stamp(clip, offset) for offset in offsets]


def _read_stamp(clip: bytes, offset: int) -> Stamp:
    field = int.from_bytes(clip[offset : offset + 5], "big")
    value = (field >> 3 & 0x7 << 30) | (field >> 2 & 0x7FFF << 15) | (field >> 1 & 0x7FFF)
    return Stamp(offset, value, field >> 36)


def pmt_pid(clip: bytes, pat: Packet) -> int:
    """Where the only programme's map is, says the PAT that begins in this packet."""
    first = _section(clip, pat) + 8
    return int.from_bytes(clip[first + 2 : first + 4], "big") & 0x1FFF


def pcr_pid(clip: bytes, pmt: Packet) -> int:
    """Whose packets carry the clock, says the PMT that begins in this packet."""
    at = _section(clip, pmt) + 8
    return int.from_bytes(clip[at : at + 2], "big") & 0x1FFF


def _section(clip: bytes, packet: Packet) -> int:
    """Offset of the section behind the pointer field; it must fit its packet."""
    at = packet.payload + 1 + clip[packet.payload]
    end = (packet.number + 1) * PACKET_BYTES
    if at + 3 > end or at + 3 + (int.from_bytes(clip[at + 1 : at + 3], "big") & 0xFFF) > end:
        raise ClipUnusable("a table that goes on in the next packet", packet=packet.number)
    return at
