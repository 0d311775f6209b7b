"""One short clip, played for ever.

Knows how to repeat a clip so that no receiver sees the seam: loop `n` is the clip with every PCR,
PTS and DTS moved by `n` durations and every continuity counter carried on (ISO/IEC 13818-1).
Refuses to know sockets, files and the time of day: bytes and positions in, packets out.

Decision: the places to patch are found once per clip, and a loop is a patched copy (about 1 ms for
eight seconds of programme), shared by everybody who watches the same moment.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from plexbridge.demo.packets import (
    NULL_PID,
    PACKET_BYTES,
    PAT_PID,
    ClipUnusable,
    Packet,
    Pcr,
    Stamp,
    pcr_pid,
    pmt_pid,
    read_packets,
    read_stamps,
)

TICKS_PER_SECOND = 90_000
_COUNTER_WRAP = 16
_LOOPS_KEPT = 2
"""Viewers are a second or two apart at most, so never on more than two sides of a seam."""


class Piece(NamedTuple):
    """Packets to hand over together."""

    due_90k: int
    """Where in the endless programme they belong, in ticks of 90 kHz."""
    packets: bytes | memoryview


class _Segment(NamedTuple):
    """The packets from one PCR to the next; the first also holds what stands before the PCR."""

    start: int
    pcr_packet: int
    end: int
    after_90k: int
    """How long after the loop's first PCR."""
    tables: tuple[int, int] | None
    """Where the newest PAT and PMT stand, if a receiver can begin here (random access)."""


class LoopingClip:
    """A clip of one programme whose frames fill its duration exactly, with its PCR on video."""

    def __init__(self, clip: bytes) -> None:
        """Find what has to be patched.

        Raises:
            ClipUnusable: not whole packets, counters broken, no tables or random access at the
                beginning, frames of unequal length.
        """
        packets = list(read_packets(clip))
        self._clip = clip
        self._pids = [packet.pid for packet in packets]
        self._steps = _counter_steps(packets)
        self._columns: dict[int, bytes] = {}
        self._rendered: dict[int, bytes] = {}
        stamps = [read_stamps(clip, packet) for packet in packets]
        self._moments: list[Pcr | Stamp] = [p.pcr for p in packets if p.pcr is not None]
        self._moments += [stamp for found in stamps for stamp in found]
        tables_pid = pmt_pid(clip, _first(packets, PAT_PID))
        clock_pid = pcr_pid(clip, _first(packets, tables_pid))
        decoded = [stamps[p.number][-1] for p in packets if p.pid == clock_pid and stamps[p.number]]
        self.duration_90k = _duration([stamp.value for stamp in decoded])
        """Length of one loop in ticks of 90 kHz."""
        self._segments = _segments(packets, tables_pid, clock_pid)

    def render(self, loop: int) -> bytes:
        """The whole clip as its `loop`-th repetition (0 is the clip as it was made)."""
        assert loop >= 0, "the programme has a beginning"
        if loop not in self._rendered:
            self._rendered[loop] = self._patched(loop)
            while len(self._rendered) > _LOOPS_KEPT:
                del self._rendered[next(iter(self._rendered))]
        return self._rendered[loop]

    def play(self, from_90k: int) -> Iterator[Piece]:
        """The endless programme from the newest random access point at or before `from_90k`.

        Begins with PAT, PMT and that point; what follows is continuous in every counter.
        """
        loop, within_90k = divmod(from_90k, self.duration_90k)
        at = max(
            number
            for number, segment in enumerate(self._segments)
            if segment.tables is not None and segment.after_90k <= within_90k
        )
        yield self._joined(loop, self._segments[at])
        for segment in self._segments[at + 1 :]:
            yield self._piece(loop, segment)
        while True:
            loop += 1
            for segment in self._segments:
                yield self._piece(loop, segment)

    def _joined(self, loop: int, entry: _Segment) -> Piece:
        packets = self.render(loop)
        assert entry.tables is not None, "only a random access point is joined at"
        parts = [_cut(packets, table, table + 1) for table in entry.tables]
        parts.append(_cut(packets, entry.pcr_packet, entry.end))
        return Piece(loop * self.duration_90k + entry.after_90k, b"".join(parts))

    def _piece(self, loop: int, segment: _Segment) -> Piece:
        due_90k = loop * self.duration_90k + segment.after_90k
        return Piece(due_90k, _cut(self.render(loop), segment.start, segment.end))

    def _patched(self, loop: int) -> bytes:
        out = bytearray(self._clip)
        out[3::PACKET_BYTES] = self._headers(loop % _COUNTER_WRAP)
        moved_90k = loop * self.duration_90k
        for moment in self._moments:
            field = moment.moved(moved_90k)
            out[moment.offset : moment.offset + len(field)] = field
        return bytes(out)

    def _headers(self, turn: int) -> bytes:
        """The byte of every packet that holds its counter; there are only 16 different columns."""
        if turn not in self._columns:
            self._columns[turn] = bytes(
                byte & 0xF0 | (byte + turn * self._steps[pid]) % _COUNTER_WRAP
                for byte, pid in zip(self._clip[3::PACKET_BYTES], self._pids, strict=True)
            )
        return self._columns[turn]


def _cut(packets: bytes, start: int, end: int) -> memoryview:
    return memoryview(packets)[start * PACKET_BYTES : end * PACKET_BYTES]


def _first(packets: Sequence[Packet], pid: int) -> Packet:
    for packet in packets:
        if packet.pid == pid and packet.starts_unit and packet.has_payload:
            return packet
    raise ClipUnusable(f"no table on PID {pid}", packet=len(packets))


def _counter_steps(packets: Sequence[Packet]) -> dict[int, int]:
    """How far one loop moves each PID's counter: it counts packets with a payload only."""
    steps: dict[int, int] = {}
    newest: dict[int, int] = {}
    for packet in packets:
        step = int(packet.has_payload)
        before = newest.get(packet.pid)
        # Null packets' counters mean nothing (2.4.3.3); they are left as they are.
        if packet.pid == NULL_PID:
            step = 0
        elif before is not None and packet.counter != (before + step) % _COUNTER_WRAP:
            raise ClipUnusable(f"counter of PID {packet.pid} jumps", packet=packet.number)
        newest[packet.pid] = packet.counter
        steps[packet.pid] = steps.get(packet.pid, 0) + step
    return steps


def _duration(decoded_90k: Sequence[int]) -> int:
    """Frames are equally long, so the loop ends one frame after its last one began."""
    lengths = {later - earlier for earlier, later in pairwise(decoded_90k)}
    if len(lengths) != 1 or min(lengths) <= 0:
        raise ClipUnusable(f"video frames are not equally long: {sorted(lengths)}", packet=0)
    return len(decoded_90k) * lengths.pop()


def _segments(packets: Sequence[Packet], tables_pid: int, clock_pid: int) -> list[_Segment]:
    newest: dict[int, int] = {}
    found: list[tuple[int, int, tuple[int, int] | None]] = []
    for packet in packets:
        if packet.starts_unit and packet.pid in (PAT_PID, tables_pid):
            newest[packet.pid] = packet.number
        elif packet.pid == clock_pid and packet.pcr is not None:
            ready = packet.random_access and len(newest) == 2
            tables = (newest[PAT_PID], newest[tables_pid]) if ready else None
            found.append((packet.number, packet.pcr.base, tables))
    if not found or found[0][2] is None:
        raise ClipUnusable("does not begin with PAT, PMT and a key frame", packet=0)
    ends = [index for index, _, _ in found[1:]] + [len(packets)]
    return [
        _Segment(index if number else 0, index, end, base - found[0][1], tables)
        for number, ((index, base, tables), end) in enumerate(zip(found, ends, strict=True))
    ]
