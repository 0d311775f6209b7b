"""MPEG-TS segments in, one MPEG-TS out: one programme, one timeline, counters without a jump.

Pure. Knows nothing of playlists, only that a segment begins, and whether it is declared to go on
from the last one. What it finds wrong with the declaration (other tables, other PIDs, a time that
jumps) it mends all the same. While nothing has to be mended, blocks pass through as they are: then
the work is a few slices per block and a look at the packets that begin a frame.

The rules are those of `reference/hdhomerun.md` section 7.
"""

from typing import Final

from plexbridge.relay.alignment import Aligner, NotMpegTs
from plexbridge.relay.hls.codebook import UNKNOWN, count_on, marked, places
from plexbridge.relay.hls.faults import SegmentUnusable
from plexbridge.relay.hls.opening import find_tables, first_times
from plexbridge.relay.hls.programme import PAT_KIND, PMT_KIND, STREAM_KIND, Programme, Run
from plexbridge.relay.hls.timeline import Timeline
from plexbridge.relay.hls.timestamps import clock_base_at, move_clock, move_stamps, stamps_at
from plexbridge.relay.mpegts import PACKET_BYTES, PAT_PID, payload_of
from plexbridge.relay.sections import (
    PAT_TABLE,
    PMT_TABLE,
    Pat,
    Pmt,
    SectionReader,
    packets_with,
    parse_pmt,
)

HOLD_BYTES_MAX: Final = 512 * 1024
"""How much is held back at a join to see where its streams begin: 0.5 s at 8 Mbit/s."""
_FIRST_LOOK_BYTES: Final = 8 * PACKET_BYTES
_KNOWN_PAYLOADS_MAX: Final = 16
_DISCONTINUITY: Final = 0x80


class Stitcher:
    """`begin`, `feed` as often as bytes come, `finish` or `abandon`; then the next segment."""

    def __init__(self) -> None:
        self._aligner = Aligner()
        self._programme = Programme()
        self._timeline = Timeline()
        self._run: Run | None = None
        self._counters: dict[int, int] = {}
        self._deltas: dict[int, int] = {}
        self._held = bytearray()
        self._holding = True
        self._look_at_bytes = _FIRST_LOOK_BYTES
        self._readers = {PAT_KIND: SectionReader(PAT_TABLE), PMT_KIND: SectionReader(PMT_TABLE)}
        self._known_payloads: set[bytes] = set()
        self._mark_clock = False
        self._own_packets: dict[int, list[bytes]] = {}
        self._to_announce = False

    def begin(self, *, fresh: bool) -> None:
        """A segment begins. `fresh`: declared not to go on from the one before."""
        assert not self._held, "a segment is finished or abandoned before the next begins"
        self._aligner = Aligner()
        self._deltas = {}
        if fresh or self._run is None:
            self._hold(b"")

    def feed(self, chunk: bytes) -> bytes:
        """More bytes of the segment; whole packets to pass on, maybe none.

        Raises:
            SegmentUnusable: `hls_not_mpeg_ts`, `hls_no_tables`.
        """
        try:
            block = self._aligner.feed(chunk)
        except NotMpegTs:
            raise SegmentUnusable("hls_not_mpeg_ts") from None
        return self._take(block, last=False) if block else b""

    def finish(self) -> bytes:
        """The segment is over: what was held back. A packet that is not whole is dropped.

        Raises:
            SegmentUnusable: `hls_not_mpeg_ts`, `hls_no_tables`.
        """
        try:
            rest = self._aligner.flush()
        except NotMpegTs:
            raise SegmentUnusable("hls_not_mpeg_ts") from None
        return self._take(rest[: len(rest) - len(rest) % PACKET_BYTES], last=True)

    def abandon(self) -> None:
        """The segment broke off: drop what was held back. The next one begins afresh."""
        self._held.clear()

    def _take(self, block: bytes, *, last: bool) -> bytes:
        out: list[bytes] = []
        while block or self._held:
            joined = self._holding
            if joined:
                self._held += block
                if not self._joined(last=last):
                    break
                block = bytes(self._held)
                self._held.clear()
                self._holding = False
                out.append(self._announcement())
            run = self._run
            assert run is not None, "packets are let through when their programme is known"
            kinds = run.codebook.kinds(block)
            marks = marked(block, kinds, run.tables)
            cut = self._first_change(run, block, kinds, marks)
            if cut == 0 and joined:
                # Tables that lead nowhere: the join could do nothing with them, nor would another.
                cut = self._first_change(run, block, kinds, [mark for mark in marks if mark])
            if cut is None:
                out.append(self._passed(run, block, kinds, marks))
                break
            # Tables right before a change are those of what follows.
            while cut > 1 and run.tables[kinds[cut - 1]]:
                cut -= 1
            if cut:
                kept = [mark for mark in marks if mark < cut]
                out.append(self._passed(run, block[: cut * PACKET_BYTES], kinds[:cut], kept))
            self._hold(block[cut * PACKET_BYTES :])
            block = b""
        return b"".join(out)

    def _hold(self, block: bytes) -> None:
        """Hold back this and what follows, until it is known how to join it."""
        self._holding = True
        self._held += block
        self._look_at_bytes = _FIRST_LOOK_BYTES

    def _joined(self, *, last: bool) -> bool:
        """Join what is held to what went before; False while too little of it is there."""
        if not last and len(self._held) < self._look_at_bytes:
            return False
        held = bytes(self._held)
        enough = last or len(held) >= HOLD_BYTES_MAX
        # Each look is a pass over all that is held: few of them, at growing sizes.
        self._look_at_bytes = min(2 * len(held), HOLD_BYTES_MAX)
        before = self._run
        tables = find_tables(held)
        if tables is None and before is not None and enough:
            tables = before.pat, before.pmt
        if tables is None:
            if enough:
                self._held.clear()
                raise SegmentUnusable("hls_no_tables")
            return False
        if before is None:
            self._enter(*tables)
            return True
        firsts = first_times(held, tables[1])
        if not firsts.complete and not enough:
            return False
        given = self._enter(*tables).given
        decoding = {given[pid]: dts for pid, dts in firsts.decoding.items()}
        self._mark_clock = self._timeline.rebase(decoding, firsts.clock)
        return True

    def _enter(self, pat: Pat, pmt: Pmt) -> Run:
        """From here on packets are those of this programme."""
        before = self._programme.pmt
        run = self._programme.join(pat, pmt)
        if self._programme.pmt != before:
            self._own_packets = {
                PAT_KIND: packets_with(self._programme.pat, PAT_PID),
                PMT_KIND: packets_with(self._programme.pmt, self._programme.pmt_pid),
            }
            self._to_announce = bool(before)
        self._run = run
        self._deltas = {}
        self._known_payloads.clear()
        return run

    def _announcement(self) -> bytes:
        """The tables, where they have changed: before the first packet they describe."""
        if not self._to_announce:
            return b""
        self._to_announce = False
        return b"".join((*self._own(PAT_KIND), *self._own(PMT_KIND)))

    def _first_change(self, run: Run, block: bytes, kinds: bytes, marks: list[int]) -> int | None:
        """Index of the packet with which another programme or time base begins; None: none does.
        Notes the times of all packets before it."""
        timeline = self._timeline
        for index in marks:
            kind = kinds[index]
            start = index * PACKET_BYTES
            if kind in (PAT_KIND, PMT_KIND):
                if self._is_another_table(run, kind, block[start : start + PACKET_BYTES]):
                    return index
                continue
            if kind == run.clock_kind:
                base = clock_base_at(block, start)
                if base is not None and not timeline.ticks(base):
                    return index
            if kind in run.timed and block[start + 1] & 0x40:
                stamps = stamps_at(block, start)
                if stamps is not None and not timeline.decodes(run.out_pids[kind], stamps.dts):
                    return index
        return None

    def _is_another_table(self, run: Run, kind: int, packet: bytes) -> bool:
        payload = packet[4:]
        if payload in self._known_payloads:
            return False
        starts = bool(packet[1] & 0x40)
        section = self._readers[kind].feed(payload_of(packet), starts=starts)
        if section is None:
            return False
        if kind == PMT_KIND:
            pmt = parse_pmt(section)
            if pmt is None or pmt.programme != run.pat.programme:
                return False
        if section != (run.pat.section if kind == PAT_KIND else run.pmt.section):
            return True
        if starts and len(self._known_payloads) < _KNOWN_PAYLOADS_MAX:
            self._known_payloads.add(payload)
        return False

    def _passed(self, run: Run, block: bytes, kinds: bytes, marks: list[int]) -> bytes:
        """Packets of one programme and time base, as they go out."""
        self._count(run, block, kinds)
        ticks = self._timeline.offset
        is_right = (
            run.own_tables
            and run.renaming is None
            and not ticks
            and not self._mark_clock
            and not any(self._deltas.values())
            and UNKNOWN not in kinds
        )
        if is_right:
            return block
        changed = bytearray(block)
        if run.renaming is not None:
            run.renaming.apply(changed, kinds)
        if any(self._deltas.values()):
            count_on(changed, kinds, self._deltas)
        if ticks or self._mark_clock:
            self._move(run, changed, kinds, marks, ticks)
        return self._spliced(run, changed, kinds)

    def _count(self, run: Run, block: bytes, kinds: bytes) -> None:
        """What to add to the counters of each PID in this segment. Within a segment a jump is the
        provider's loss, and stays visible."""
        for kind in run.counted:
            last = kinds.rfind(kind)
            if last < 0:
                continue
            pid = run.out_pids[kind]
            if kind not in self._deltas:
                control = block[kinds.find(kind) * PACKET_BYTES + 3]
                step = 1 if control & 0x10 else 0
                before = self._counters.get(pid)
                self._deltas[kind] = 0 if before is None else (before + step - control) & 0x0F
            self._counters[pid] = block[last * PACKET_BYTES + 3] + self._deltas[kind] & 0x0F

    def _move(self, run: Run, block: bytearray, kinds: bytes, marks: list[int], ticks: int) -> None:
        for index in marks:
            kind = kinds[index]
            start = index * PACKET_BYTES
            if kind < STREAM_KIND:
                continue
            if clock_base_at(block, start) is not None:
                move_clock(block, start, ticks)
                if self._mark_clock and kind == run.clock_kind:
                    block[start + 5] |= _DISCONTINUITY
                    self._mark_clock = False
            if block[start + 1] & 0x40:
                stamps = stamps_at(block, start)
                if stamps is not None:
                    move_stamps(block, stamps, ticks)

    def _spliced(self, run: Run, block: bytearray, kinds: bytes) -> bytes:
        """Without the packets that do not go out, and with our tables in the place of others."""
        pieces: list[bytes | bytearray] = []
        at = 0
        for index in places(kinds, run.removed):
            start = index * PACKET_BYTES
            pieces.append(block[at:start])
            at = start + PACKET_BYTES
            kind = kinds[index]
            if kind in self._own_packets and block[start + 1] & 0x40:
                pieces += self._own(kind)
        pieces.append(block[at:])
        return b"".join(pieces)

    def _own(self, kind: int) -> list[bytes]:
        """Our PAT or PMT, counted on."""
        pid = PAT_PID if kind == PAT_KIND else self._programme.pmt_pid
        stamped: list[bytes] = []
        for packet in self._own_packets[kind]:
            counter = self._counters.get(pid, 15) + 1 & 0x0F
            self._counters[pid] = counter
            stamped.append(packet[:3] + bytes([packet[3] | counter]) + packet[4:])
        return stamped
