"""MPEG-TS segments as an encoder makes them: PES packets with times, in which none is like another.

The last 8 bytes of every media packet are a serial number that goes on from maker to maker, so that
`ts_checker` sees each packet that is lost, doubled or out of order.
"""

from dataclasses import dataclass, field

from plexbridge.relay.sections import Stream, build_pat, build_pmt, packets_with
from tests.service.ts_maker import PACKET_BYTES

H264, HEVC, AAC, AC3 = 0x1B, 0x24, 0x0F, 0x81
FRAME_TICKS = 3_600
"""25 frames a second, in ticks of 90 kHz."""
MUX_DELAY_TICKS = 63_000
"""How much later than the clock reference a frame is decoded."""
PACKETS_PER_FRAME = 4
TIME_WRAP = 1 << 33


@dataclass
class Serial:
    """The next serial number; shared by makers whose segments follow one another."""

    value: int = 0

    def take(self) -> int:
        self.value += 1
        return self.value


@dataclass
class HlsMaker:
    """One encoder: goes on from segment to segment."""

    serial: Serial = field(default_factory=Serial)
    pmt_pid: int = 0x1000
    video_pid: int = 0x100
    audio_pid: int | None = 0x101
    programme: int = 1
    video_type: int = H264
    audio_type: int = AAC
    decoding: int = 900_000
    """Decoding time of the next frame, in ticks of 90 kHz."""
    first_counter: int = 0
    restarts_counters: bool = False
    """As some packagers do at each segment."""
    extra_pid: int | None = None
    """One packet a frame of a PID that no table names."""

    def __post_init__(self) -> None:
        self._counters: dict[int, int] = {}

    def segment(self, frames: int = 25, *, tables: bool = True) -> bytes:
        """The next segment."""
        if self.restarts_counters:
            self._counters.clear()
        parts: list[bytes] = self._tables() if tables else []
        for number in range(frames):
            parts += self._frame(is_first=number == 0)
        return b"".join(parts)

    def _tables(self) -> list[bytes]:
        streams = [Stream(self.video_pid, self.video_type, b"")]
        if self.audio_pid is not None:
            streams.append(Stream(self.audio_pid, self.audio_type, b"\x0a\x04eng\x00"))
        pmt = build_pmt(self.programme, 0, self.video_pid, b"", tuple(streams))
        pat = build_pat(self.programme, self.pmt_pid)
        packets = packets_with(pat, 0) + packets_with(pmt, self.pmt_pid)
        return [self._counted(packet) for packet in packets]

    def _frame(self, *, is_first: bool) -> list[bytes]:
        clock = (self.decoding - MUX_DELAY_TICKS) % TIME_WRAP
        flags = 0x50 if is_first else 0x10
        field_ = bytes([7, flags]) + (clock << 15 | 0x3F << 9).to_bytes(6, "big")
        pes = b"\x00\x00\x01\xe0\x00\x00\x80\xc0\x0a"
        pes += stamp(3, (self.decoding + FRAME_TICKS) % TIME_WRAP) + stamp(1, self.decoding)
        packets = [self._packet(self.video_pid, field_, pes)]
        packets += [self._packet(self.video_pid) for _ in range(PACKETS_PER_FRAME - 1)]
        if self.audio_pid is not None:
            pes = b"\x00\x00\x01\xc0\x00\xa0\x80\x80\x05" + stamp(2, self.decoding)
            packets.append(self._packet(self.audio_pid, payload=pes))
        if self.extra_pid is not None:
            head = bytes([0x47, self.extra_pid >> 8, self.extra_pid & 0xFF, 0x10])
            packets.append(self._counted(head.ljust(PACKET_BYTES, b"\x55")))
        self.decoding = (self.decoding + FRAME_TICKS) % TIME_WRAP
        return packets

    def _packet(self, pid: int, field_: bytes = b"", payload: bytes = b"") -> bytes:
        head = bytes([0x47, 0x40 * bool(payload) | pid >> 8, pid & 0xFF, 0x30 if field_ else 0x10])
        serial = self.serial.take()
        body = head + field_ + payload
        filler = bytes([serial & 0xFF]) * (PACKET_BYTES - len(body) - 8)
        return self._counted(body + filler + serial.to_bytes(8, "big"))

    def _counted(self, packet: bytes) -> bytes:
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        counter = self._counters[pid] = (self._counters.get(pid, self.first_counter - 1) + 1) & 15
        return packet[:3] + bytes([packet[3] | counter]) + packet[4:]


def stamp(prefix: int, time: int) -> bytes:
    """A PTS or DTS as it stands in a PES header."""
    return bytes(
        [
            prefix << 4 | time >> 29 & 0x0E | 1,
            time >> 22 & 0xFF,
            time >> 14 & 0xFE | 1,
            time >> 7 & 0xFF,
            time << 1 & 0xFE | 1,
        ]
    )


def decoding_times(data: bytes) -> dict[int, list[int]]:
    """The DTS, or else PTS, of every PES packet by PID, read bit by bit."""
    found: dict[int, list[int]] = {}
    for start in range(0, len(data), PACKET_BYTES):
        packet = data[start : start + PACKET_BYTES]
        if not packet[1] & 0x40:
            continue
        payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if payload[:3] != b"\x00\x00\x01" or not payload[7] & 0x80:
            continue
        bits = "".join(f"{byte:08b}" for byte in payload[9:19])
        if payload[7] & 0x40:
            bits = bits[40:]
        time = int(bits[4:7] + bits[8:23] + bits[24:39], 2)
        found.setdefault((packet[1] & 0x1F) << 8 | packet[2], []).append(time)
    return found
