"""Checks MPEG-TS packet by packet, written apart from the code it judges.

The rules are those of `reference/hdhomerun.md` section 9.
"""

from tests.service.ts_maker import PACKET_BYTES, serial_of

_NULL_PID = 0x1FFF
_PCR_WRAP = (1 << 33) * 300
_PCR_STEP_TICKS_MAX = 27_000_000


def media_of(data: bytes | bytearray) -> bytes:
    """The whole media packets among these: no tables, no filler, no discontinuity marks."""
    whole = len(data) - len(data) % PACKET_BYTES
    packets = (bytes(data[at : at + PACKET_BYTES]) for at in range(0, whole, PACKET_BYTES))
    return b"".join(p for p in packets if p[3] & 0x10 and serial_of(p) is not None)


class TsChecker:
    """Feed it bytes in any cuts; `problems` says what was wrong, in words."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.packets = 0
        self.jumps: list[int] = []
        """Places (in packets) at which a serial number does not follow the one before."""
        self.pids: list[int] = []
        """PID of every packet, in order."""
        self._serial: int | None = None
        self._tail = b""
        self._last: dict[int, bytes] = {}
        self._pcr: dict[int, int] = {}

    def feed(self, data: bytes | bytearray) -> "TsChecker":
        """Check what is whole; the rest waits."""
        data = self._tail + bytes(data)
        whole = len(data) - len(data) % PACKET_BYTES
        self._tail = data[whole:]
        for at in range(0, whole, PACKET_BYTES):
            self._packet(data[at : at + PACKET_BYTES])
        return self

    def finish(self) -> list[str]:
        """The problems, with that of a remainder."""
        if self._tail:
            self.problems.append(f"{len(self._tail)} bytes after the last whole packet")
        return self.problems

    def _packet(self, packet: bytes) -> None:
        number, self.packets = self.packets, self.packets + 1
        if packet[0] != 0x47:
            self.problems.append(f"packet {number}: sync byte is {packet[0]:#x}")
            return
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        self.pids.append(pid)
        if packet[1] & 0x80:
            self.problems.append(f"packet {number}: transport error")
        if pid == _NULL_PID:
            return
        serial = serial_of(packet) if packet[3] & 0x10 else None
        if serial is not None:
            if self._serial is not None and serial != self._serial + 1:
                self.jumps.append(number)
            self._serial = serial
        has_field = bool(packet[3] & 0x20 and packet[4])
        discontinuity = has_field and bool(packet[5] & 0x80)
        if discontinuity:
            self._pcr.pop(pid, None)
        self._counter(number, pid, packet, discontinuity)
        if has_field and packet[5] & 0x10:
            self._clock(number, pid, packet, discontinuity)

    def _counter(self, number: int, pid: int, packet: bytes, discontinuity: bool) -> None:
        before = self._last.get(pid)
        self._last[pid] = packet
        if before is None or discontinuity or packet == before:
            return
        step = 1 if packet[3] & 0x10 else 0
        expected = (before[3] + step) & 0x0F
        if packet[3] & 0x0F != expected:
            self.problems.append(
                f"packet {number}: PID {pid:#x} counter {packet[3] & 15}, expected {expected}"
            )

    def _clock(self, number: int, pid: int, packet: bytes, discontinuity: bool) -> None:
        packed = int.from_bytes(packet[6:12], "big")
        pcr = (packed >> 15) * 300 + (packed & 0x1FF)
        before = self._pcr.get(pid)
        self._pcr[pid] = pcr
        if before is None or discontinuity:
            return
        step = (pcr - before) % _PCR_WRAP
        if not 0 < step < _PCR_STEP_TICKS_MAX:
            self.problems.append(f"packet {number}: PCR step of {step} ticks")
