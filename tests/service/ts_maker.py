"""Synthetic MPEG-TS in which every packet can be told from every other.

Valid where a relay looks: sync, continuity, PAT and PMT with CRC, PCR, random access points. What
the elementary streams would carry is a serial number.
"""

from typing import Final

PACKET_BYTES: Final = 188
PMT_PID: Final = 0x1000
VIDEO_PID: Final = 0x100
AUDIO_PID: Final = 0x101
GROUP: Final = 100
"""Packets from one access point to the next, tables included."""


def _crc(section: bytes) -> bytes:
    value = 0xFFFFFFFF
    for byte in section:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


def _section(table: int, number: int, body: bytes) -> bytes:
    head = bytes([table, 0xB0 | (len(body) + 9) >> 8, (len(body) + 9) & 0xFF])
    start = head + number.to_bytes(2, "big") + b"\xc1\x00\x00" + body
    return start + _crc(start)


def _pid_bytes(pid: int) -> bytes:
    return (0xE000 | pid).to_bytes(2, "big")


def serial_of(packet: bytes) -> int | None:
    """The serial number of a media packet; None for tables and null packets."""
    pid = (packet[1] & 0x1F) << 8 | packet[2]
    return int.from_bytes(packet[-8:], "big") if pid in (VIDEO_PID, AUDIO_PID) else None


class TsMaker:
    """An endless stream; each call goes on where the last one ended."""

    def __init__(
        self,
        *,
        bits_per_s: int = 8_000_000,
        serial: int = 0,
        access_points: bool = True,
        descriptor_bytes: int = 0,
    ) -> None:
        """`descriptor_bytes` pads the PMT: 200 and more make it two packets."""
        self.serial = serial
        self._access_points = access_points
        self._ticks_per_packet = PACKET_BYTES * 8 * 27_000_000 // bits_per_s
        self._count = 0
        self._counters: dict[int, int] = {}
        pat = _section(0, 1, b"\x00\x00" + _pid_bytes(0x10) + b"\x00\x01" + _pid_bytes(PMT_PID))
        padding = b"".join(b"\x05\xfa" + b"\x00" * 250 for _ in range(descriptor_bytes // 252))
        left = descriptor_bytes % 252
        if left:
            padding += bytes([5, left - 2]) + b"\x00" * (left - 2)
        pmt = _section(
            2,
            1,
            _pid_bytes(VIDEO_PID)
            + (0xF000 | len(padding)).to_bytes(2, "big")
            + padding
            + b"\x0f"
            + _pid_bytes(AUDIO_PID)
            + b"\xf0\x00\x1b"
            + _pid_bytes(VIDEO_PID)
            + b"\xf0\x00",
        )
        self._tables = [(0, part) for part in _split(pat)] + [
            (PMT_PID, part) for part in _split(pmt)
        ]

    def packets(self, count: int) -> bytes:
        """The next packets."""
        return b"".join(self._next() for _ in range(count))

    def chunk(self, about_bytes: int = 65_536) -> bytes:
        """Whole packets of at most about this size."""
        return self.packets(max(1, about_bytes // PACKET_BYTES))

    def _next(self) -> bytes:
        place = self._count % GROUP
        self._count += 1
        half = place % (GROUP // 2)
        if half < len(self._tables):
            pid, payload = self._tables[half]
            return self._head(pid, start=payload[0] == 1, field=b"") + payload[1:]
        is_access = place == len(self._tables)
        pid = AUDIO_PID if place % 4 == 3 and not is_access else VIDEO_PID
        field = b""
        if pid == AUDIO_PID:
            field = b"\x01\x40"  # As common muxers do: every audio frame is a random access point.
        elif is_access or half == len(self._tables):
            mark = 0x40 if is_access and self._access_points else 0
            field = bytes([7, 0x10 | mark]) + self._pcr()
        head = self._head(pid, start=is_access, field=field)
        self.serial += 1
        filler = bytes([self.serial & 0xFF]) * (PACKET_BYTES - len(head) - 8)
        return head + filler + self.serial.to_bytes(8, "big")

    def _head(self, pid: int, *, start: bool, field: bytes) -> bytes:
        counter = self._counters[pid] = (self._counters.get(pid, -1) + 1) & 0x0F
        control = 0x30 if field else 0x10
        return bytes([0x47, 0x40 * start | pid >> 8, pid & 0xFF, control | counter]) + field

    def _pcr(self) -> bytes:
        ticks = self._count * self._ticks_per_packet
        base, extension = divmod(ticks, 300)
        packed = (base & (1 << 33) - 1) << 15 | 0x3F << 9 | extension
        return packed.to_bytes(6, "big")


def _split(section: bytes) -> list[bytes]:
    """Payloads of a section's packets, each after a byte that says whether it is the first."""
    whole = b"\x00" + section
    parts = [whole[at : at + 184] for at in range(0, len(whole), 184)]
    return [bytes([at == 0]) + part.ljust(184, b"\xff") for at, part in enumerate(parts)]
