"""What the beginning of a run of packets says: its tables, and where its time begins.

Pure. Looks through packets that are held back because a new programme or time base may begin with
them, and says whether enough of them are there to join it to what went before.
"""

from typing import NamedTuple

from plexbridge.relay.hls.codebook import Codebook, marked, table_of
from plexbridge.relay.hls.programme import is_timed, streams_of
from plexbridge.relay.hls.timestamps import clock_base_at, stamps_at
from plexbridge.relay.mpegts import (
    NULL_PID,
    PACKET_BYTES,
    PAT_PID,
    packet_at,
    packets_of,
    payload_of,
)
from plexbridge.relay.sections import (
    PAT_TABLE,
    PMT_TABLE,
    Pat,
    Pmt,
    SectionReader,
    parse_pat,
    parse_pmt,
)

_NONE = table_of(())


class Firsts(NamedTuple):
    """The first times of a run, as they come in."""

    decoding: dict[int, int]
    """By incoming PID."""
    clock: int | None
    complete: bool
    """Every stream that has a time was seen, and the clock."""


def find_tables(block: bytes) -> tuple[Pat, Pmt] | None:
    """The first PAT of an aligned block and the first PMT it leads to, before or after it."""
    pat = _find_pat(block)
    if pat is None:
        return None
    reader = SectionReader(PMT_TABLE)
    for index in packets_of(block, pat.pmt_pid):
        packet = packet_at(block, index)
        section = reader.feed(payload_of(packet), starts=bool(packet[1] & 0x40))
        pmt = None if section is None else parse_pmt(section)
        if pmt is not None and pmt.programme == pat.programme:
            return pat, pmt
    return None


def _find_pat(block: bytes) -> Pat | None:
    reader = SectionReader(PAT_TABLE)
    for index in packets_of(block, PAT_PID):
        packet = packet_at(block, index)
        section = reader.feed(payload_of(packet), starts=bool(packet[1] & 0x40))
        pat = None if section is None else parse_pat(section)
        if pat is not None:
            return pat
    return None


def first_times(block: bytes, pmt: Pmt) -> Firsts:
    """Where the time of each stream begins in an aligned block."""
    timed = [stream.pid for stream in streams_of(pmt) if is_timed(stream)]
    has_clock = pmt.pcr_pid != NULL_PID
    pids = [*timed, *([pmt.pcr_pid] if has_clock and pmt.pcr_pid not in timed else [])]
    kinds = Codebook(pids).kinds(block)
    decoding: dict[int, int] = {}
    clock: int | None = None
    for index in marked(block, kinds, _NONE):
        if not kinds[index]:
            continue
        pid = pids[kinds[index] - 1]
        start = index * PACKET_BYTES
        if pid == pmt.pcr_pid and clock is None:
            clock = clock_base_at(block, start)
        if pid in timed and pid not in decoding and block[start + 1] & 0x40:
            stamps = stamps_at(block, start)
            if stamps is not None:
                decoding[pid] = stamps.dts
        if len(decoding) == len(timed) and (clock is not None or not has_clock):
            return Firsts(decoding, clock, True)
    return Firsts(decoding, clock, False)
