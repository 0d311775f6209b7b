"""The one programme that goes out, whatever programmes come in: its PIDs and its two tables.

Pure. The first programme that comes in is taken over as it is. Each later one is fitted into it:
its streams get the PIDs of streams of the same type in the same order. The outgoing PMT changes,
and its version with it, only where stream types do. Nothing here of packets or time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plexbridge.relay.hls.codebook import PIDS_MAX, Codebook, Renaming, table_of
from plexbridge.relay.mpegts import NULL_PID, PAT_PID
from plexbridge.relay.sections import Pat, Pmt, Stream, build_pat, build_pmt
from plexbridge.relay.tables import VIDEO_TYPES

PAT_KIND: Final = 1
PMT_KIND: Final = 2
NULL_KIND: Final = 3
SDT_KIND: Final = 4
STREAM_KIND: Final = 5
"""The first kind of the streams."""
SDT_PID: Final = 0x11
"""Names the service; DVB, ETSI EN 300 468. Kept while the programme is the provider's own."""
STREAMS_MAX: Final = PIDS_MAX - STREAM_KIND
"""Further streams of a programme are dropped; the one place left is for a clock of its own."""

_FIRST_FREE_PID: Final = 0x100
_PRIVATE: Final = 0x06
_AUDIO: Final = frozenset({0x03, 0x04, 0x0F, 0x11, 0x1C, 0x81, 0x87})
"""MPEG-1, MPEG-2, AAC (ADTS, LATM, raw), AC-3 and E-AC-3 of ATSC."""
_AUDIO_TAGS: Final = frozenset({0x6A, 0x7A, 0x7B, 0x7C})
"""Descriptors that say a private stream is AC-3, E-AC-3, DTS or AAC (ETSI EN 300 468)."""


def is_timed(stream: Stream) -> bool:
    """Whether a frame of it comes at least every few seconds, so that its time can be followed."""
    return _class_of(stream) != "other"


def _class_of(stream: Stream) -> str:
    if stream.stream_type in VIDEO_TYPES:
        return "video"
    if stream.stream_type in _AUDIO or (
        stream.stream_type == _PRIVATE and _tags(stream) & _AUDIO_TAGS
    ):
        return "audio"
    return "other"


def _tags(stream: Stream) -> frozenset[int]:
    tags: set[int] = set()
    at = 0
    while at + 2 <= len(stream.descriptors):
        tags.add(stream.descriptors[at])
        at += 2 + stream.descriptors[at + 1]
    return frozenset(tags)


def _key(stream: Stream) -> tuple[int, frozenset[int]]:
    """What makes two streams the same for a decoder that was set up for one of them."""
    is_private = stream.stream_type == _PRIVATE
    return stream.stream_type, _tags(stream) if is_private else frozenset()


def streams_of(pmt: Pmt) -> tuple[Stream, ...]:
    """The streams that are carried on: each PID once, and not too many."""
    taken = {PAT_PID, NULL_PID, SDT_PID}
    kept: list[Stream] = []
    for stream in pmt.streams:
        if stream.pid not in taken and len(kept) < STREAMS_MAX:
            taken.add(stream.pid)
            kept.append(stream)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Run:
    """How the packets of one incoming programme become those of the outgoing one."""

    pat: Pat
    pmt: Pmt
    codebook: Codebook
    given: Mapping[int, int]
    """The outgoing PID of each incoming stream."""
    out_pids: tuple[int, ...]
    """By kind; 0 for unknown."""
    renaming: Renaming | None
    """None: the PIDs stay."""
    own_tables: bool
    """The incoming tables are the outgoing ones, byte for byte, and may stay."""
    timed: frozenset[int]
    """Kinds whose time is followed."""
    clock_kind: int | None
    tables: bytes
    """Translation table: kinds that are PAT or PMT."""
    removed: bytes
    """Translation table: kinds that do not go out as they are."""
    counted: tuple[int, ...]
    """Kinds whose counters are kept in step."""


class Programme:
    """The outgoing programme."""

    def __init__(self) -> None:
        self.pat = b""
        """Its PAT section."""
        self.pmt = b""
        """Its PMT section; empty before the first programme came in."""
        self.pmt_pid = 0
        self._number = 0
        self._version = 0
        self._pcr_pid = NULL_PID
        self._slots: dict[int, Stream] = {}
        self._listed: frozenset[int] = frozenset()

    def join(self, pat: Pat, pmt: Pmt) -> Run:
        """Fit an incoming programme in. `pmt` (the section) has changed afterwards if it had to."""
        streams = streams_of(pmt)
        if not self.pmt:
            self._take_over(pat, pmt, streams)
        given = self._given(streams)
        pcr_pid = self._clock_pid(pmt, given)
        fits = all(
            given[stream.pid] in self._listed
            and _key(self._slots[given[stream.pid]]) == _key(stream)
            for stream in streams
        )
        if not fits or pcr_pid != self._pcr_pid:
            self._change(pmt, streams, given, pcr_pid)
        return self._run(pat, pmt, streams, given)

    def _take_over(self, pat: Pat, pmt: Pmt, streams: tuple[Stream, ...]) -> None:
        has_others = len(pat.section) > 16  # 8 of header, 4 of CRC, 4 for one programme
        self.pat = build_pat(pat.programme, pat.pmt_pid) if has_others else pat.section
        self.pmt = pmt.section
        self.pmt_pid = pat.pmt_pid
        self._number, self._version, self._pcr_pid = pmt.programme, pmt.version, pmt.pcr_pid
        self._slots = {stream.pid: stream for stream in streams}
        self._listed = frozenset(self._slots)

    def _given(self, streams: tuple[Stream, ...]) -> dict[int, int]:
        """An outgoing PID for each incoming one: of the same type, else class, else a new one."""
        given: dict[int, int] = {}
        free = dict(self._slots)
        for same in (_key, _class_of):
            for stream in streams:
                if stream.pid in given:
                    continue
                found = [pid for pid, slot in free.items() if same(slot) == same(stream)]
                if found:
                    pid = stream.pid if stream.pid in found else found[0]
                    given[stream.pid] = pid
                    del free[pid]
        for stream in streams:
            if stream.pid not in given:
                given[stream.pid] = self._free_pid(stream.pid, given)
        return given

    def _clock_pid(self, pmt: Pmt, given: dict[int, int]) -> int:
        """The outgoing PID of the clock reference, which may have a PID of its own."""
        if pmt.pcr_pid == NULL_PID or pmt.pcr_pid in given:
            return given.get(pmt.pcr_pid, NULL_PID)
        has_own = self._pcr_pid != NULL_PID and self._pcr_pid not in self._slots
        given[pmt.pcr_pid] = self._pcr_pid if has_own else self._free_pid(pmt.pcr_pid, given)
        return given[pmt.pcr_pid]

    def _free_pid(self, wanted: int, given: dict[int, int]) -> int:
        taken = {PAT_PID, SDT_PID, NULL_PID, self.pmt_pid, self._pcr_pid}
        taken |= self._slots.keys() | given.values()
        if wanted not in taken:
            return wanted
        return next(pid for pid in range(_FIRST_FREE_PID, NULL_PID) if pid not in taken)

    def _change(
        self, pmt: Pmt, streams: tuple[Stream, ...], given: dict[int, int], pcr_pid: int
    ) -> None:
        listed = tuple(stream._replace(pid=given[stream.pid]) for stream in streams)
        self._version = (self._version + 1) % 32
        self._pcr_pid = pcr_pid
        self.pmt = build_pmt(self._number, self._version, pcr_pid, pmt.descriptors, listed)
        self._slots |= {stream.pid: stream for stream in listed}
        self._listed = frozenset(stream.pid for stream in listed)

    def _run(self, pat: Pat, pmt: Pmt, streams: tuple[Stream, ...], given: dict[int, int]) -> Run:
        ins = [PAT_PID, pat.pmt_pid, NULL_PID, SDT_PID, *given]
        outs = [PAT_PID, self.pmt_pid, NULL_PID, SDT_PID, *given.values()]
        own_tables = (
            pat.section == self.pat and pmt.section == self.pmt and pat.pmt_pid == self.pmt_pid
        )
        tables = (PAT_KIND, PMT_KIND)
        timed_pids = {stream.pid for stream in streams if is_timed(stream)}
        kinds_of_streams = range(STREAM_KIND, STREAM_KIND + len(given))
        return Run(
            pat=pat,
            pmt=pmt,
            codebook=Codebook(ins),
            given=given,
            out_pids=(PAT_PID, *outs),
            renaming=None if ins == outs else Renaming(outs),
            own_tables=own_tables,
            timed=frozenset(kind for kind in kinds_of_streams if ins[kind - 1] in timed_pids),
            clock_kind=ins.index(pmt.pcr_pid) + 1 if pmt.pcr_pid in given else None,
            tables=table_of(tables),
            removed=table_of((0,) if own_tables else (0, *tables, SDT_KIND)),
            counted=(*tables, SDT_KIND, *kinds_of_streams)
            if own_tables
            else tuple(kinds_of_streams),
        )
