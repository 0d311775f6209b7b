"""The two tables of a programme, read from sections and written as sections and packets.

Pure. Numbers and layouts are those of ISO/IEC 13818-1 section 2.4.4; nothing of what a table is
for, nor of the packets around it.
"""

from typing import Final, NamedTuple

from plexbridge.relay.mpegts import PACKET_BYTES, SYNC

PAT_TABLE: Final = 0x00
PMT_TABLE: Final = 0x02
SECTION_BYTES_MAX: Final = 1024
"""The longest PAT or PMT section the standard allows, header included."""
_HEAD_BYTES: Final = 8
_CRC_BYTES: Final = 4
_PAYLOAD_BYTES: Final = PACKET_BYTES - 4


def _crc_table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x8000_0000 else 0)) & 0xFFFF_FFFF
        table.append(value)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def crc_of(section: bytes) -> int:
    """CRC-32/MPEG-2; 0 over a whole section that is right."""
    value = 0xFFFF_FFFF
    for byte in section:
        value = (value << 8 & 0xFFFF_FFFF) ^ _CRC_TABLE[value >> 24 ^ byte]
    return value


class Stream(NamedTuple):
    """One elementary stream as a PMT lists it."""

    pid: int
    stream_type: int
    descriptors: bytes


class Pat(NamedTuple):
    """The programme a PAT leads to; of several the first."""

    section: bytes
    programme: int
    pmt_pid: int


class Pmt(NamedTuple):
    """One programme's streams."""

    section: bytes
    programme: int
    version: int
    pcr_pid: int
    descriptors: bytes
    streams: tuple[Stream, ...]


def parse_pat(section: bytes) -> Pat | None:
    """None where it names no programme; programme 0 is the network table, not a programme."""
    for at in range(_HEAD_BYTES, len(section) - _CRC_BYTES - 3, 4):
        number = int.from_bytes(section[at : at + 2], "big")
        if number:
            return Pat(section, number, _pid_at(section, at + 2))
    return None


def parse_pmt(section: bytes) -> Pmt | None:
    """None where its lengths do not fit into it."""
    end = len(section) - _CRC_BYTES
    if end < _HEAD_BYTES + 4:
        return None
    info_end = 12 + _length_at(section, 10)
    at = info_end
    streams: list[Stream] = []
    while at + 5 <= end:
        following = at + 5 + _length_at(section, at + 3)
        descriptors = section[at + 5 : following]
        streams.append(Stream(_pid_at(section, at + 1), section[at], descriptors))
        at = following
    if at != end:
        return None
    return Pmt(
        section=section,
        programme=int.from_bytes(section[3:5], "big"),
        version=section[5] >> 1 & 0x1F,
        pcr_pid=_pid_at(section, 8),
        descriptors=section[12:info_end],
        streams=tuple(streams),
    )


def build_pat(programme: int, pmt_pid: int) -> bytes:
    """A PAT section of one programme."""
    body = programme.to_bytes(2, "big") + (0xE000 | pmt_pid).to_bytes(2, "big")
    return _section(PAT_TABLE, 1, 0, body)


def build_pmt(
    programme: int, version: int, pcr_pid: int, descriptors: bytes, streams: tuple[Stream, ...]
) -> bytes:
    """A PMT section. The caller sees to it that it is not too long."""
    body = (0xE000 | pcr_pid).to_bytes(2, "big")
    body += (0xF000 | len(descriptors)).to_bytes(2, "big") + descriptors
    for stream in streams:
        body += bytes([stream.stream_type]) + (0xE000 | stream.pid).to_bytes(2, "big")
        body += (0xF000 | len(stream.descriptors)).to_bytes(2, "big") + stream.descriptors
    return _section(PMT_TABLE, programme, version, body)


def packets_with(section: bytes, pid: int) -> list[bytes]:
    """The packets that carry a section, with continuity counters of 0."""
    whole = b"\x00" + section
    packets: list[bytes] = []
    for at in range(0, len(whole), _PAYLOAD_BYTES):
        start = 0x40 if at == 0 else 0
        head = bytes([SYNC, start | pid >> 8, pid & 0xFF, 0x10])
        packets.append(head + whole[at : at + _PAYLOAD_BYTES].ljust(_PAYLOAD_BYTES, b"\xff"))
    return packets


class SectionReader:
    """Gathers sections of one table from the packets of one PID, given in order."""

    def __init__(self, table: int) -> None:
        self._table = table
        self._body: bytes | None = None

    def feed(self, payload: bytes, *, starts: bool) -> bytes | None:
        """One packet's payload; the section that is whole with it and right, or None."""
        if starts:
            self._body = payload[1 + payload[0] :] if payload else None
        elif self._body is not None:
            self._body += payload
        body = self._body
        if body is None or len(body) < 3:
            return None
        size = 3 + _length_at(body, 1)
        if body[0] != self._table or size > SECTION_BYTES_MAX or size < _HEAD_BYTES + _CRC_BYTES:
            self._body = None
            return None
        if len(body) < size:
            return None
        self._body = None
        section = body[:size]
        is_current = section[5] & 1
        return section if is_current and section[6] == 0 and crc_of(section) == 0 else None


def _section(table: int, number: int, version: int, body: bytes) -> bytes:
    length = len(body) + _HEAD_BYTES - 3 + _CRC_BYTES
    head = bytes([table]) + (0xB000 | length).to_bytes(2, "big") + number.to_bytes(2, "big")
    section = head + bytes([0xC1 | version << 1, 0, 0]) + body
    return section + crc_of(section).to_bytes(4, "big")


def _pid_at(data: bytes, at: int) -> int:
    return (data[at] & 0x1F) << 8 | data[at + 1]


def _length_at(data: bytes, at: int) -> int:
    return (data[at] & 0x0F) << 8 | data[at + 1]
