"""PAT and PMT as an upstream sends them: found in blocks of packets, kept as packets.

Pure. What a table says is `sections`' business; here is where it comes from.
"""

from typing import Final, NamedTuple

from plexbridge.relay.mpegts import (
    NULL_PID,
    PAT_PID,
    Block,
    packet_at,
    packets_of,
    payload_of,
)
from plexbridge.relay.sections import (
    PAT_TABLE,
    PMT_TABLE,
    Pmt,
    SectionReader,
    parse_pat,
    parse_pmt,
)

VIDEO_TYPES: Final = frozenset({0x01, 0x02, 0x10, 0x1B, 0x20, 0x24, 0x33, 0x42, 0xD1, 0xEA})
"""MPEG-1, MPEG-2, MPEG-4, H.264 (and MVC), HEVC, VVC, AVS, Dirac, VC-1."""


class Tables(NamedTuple):
    """What a player must see before anything else, as the upstream sent it."""

    pat: bytes
    """Raw packets."""
    pmt: bytes
    """Raw packets."""
    pmt_pid: int
    programme: Pmt

    @property
    def video_pid(self) -> int | None:
        """The PID of the first video stream; None for radio."""
        streams = self.programme.streams
        return next((one.pid for one in streams if one.stream_type in VIDEO_TYPES), None)

    @property
    def pcr_pid(self) -> int | None:
        """The PID that carries the clock; None where the programme has none."""
        return None if self.programme.pcr_pid == NULL_PID else self.programme.pcr_pid

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the elementary streams in the table's order, and the clock's if it is none of them."""
        pids = dict.fromkeys(stream.pid for stream in self.programme.streams)
        if self.pcr_pid is not None:
            pids.setdefault(self.pcr_pid)
        return tuple(pids)


class _Found(NamedTuple):
    section: bytes
    packets: bytes


class _Finder:
    """Looks for one table on one PID, over as many packets and blocks as it takes."""

    def __init__(self, pid: int, table: int) -> None:
        self._pid = pid
        self._reader = SectionReader(table)
        self._packets = b""

    def feed(self, block: Block) -> _Found | None:
        """Look through one more block, which must follow the one before."""
        for index in packets_of(block, self._pid):
            packet = packet_at(block, index)
            starts = bool(packet[1] & 0x40)
            self._packets = packet if starts else self._packets + packet
            section = self._reader.feed(payload_of(packet), starts=starts)
            if section is not None:
                return _Found(section, self._packets)
        return None


class TableReader:
    """Finds PAT and PMT in consecutive blocks. Of several programmes it follows the first."""

    def __init__(self) -> None:
        self._pat_finder = _Finder(PAT_PID, PAT_TABLE)
        self._pat_packets = b""
        self._pmt_finder: _Finder | None = None
        self._pmt_pid = NULL_PID

    def feed(self, block: Block) -> Tables | None:
        """Both tables once both were seen whole; None until then."""
        if self._pmt_finder is None:
            found = self._pat_finder.feed(block)
            pat = None if found is None else parse_pat(found.section)
            if found is None or pat is None:
                return None
            self._pat_packets, self._pmt_pid = found.packets, pat.pmt_pid
            self._pmt_finder = _Finder(pat.pmt_pid, PMT_TABLE)
        found = self._pmt_finder.feed(block)
        pmt = None if found is None else parse_pmt(found.section)
        if found is None or pmt is None:
            return None
        return Tables(self._pat_packets, found.packets, self._pmt_pid, pmt)
