"""Segments of different encoders become one stream: checked packet by packet."""

from collections.abc import Iterable
from itertools import pairwise

import pytest

from plexbridge.relay.hls.faults import SegmentUnusable
from plexbridge.relay.hls.stitch import HOLD_BYTES_MAX, Stitcher
from tests.service.hls_maker import (
    AC3,
    FRAME_TICKS,
    HEVC,
    MUX_DELAY_TICKS,
    TIME_WRAP,
    HlsMaker,
    Serial,
    decoding_times,
)
from tests.service.ts_checker import TsChecker
from tests.service.ts_maker import PACKET_BYTES

CUTS = (65_536, 1_000, 7)


def stitched(segments: Iterable[tuple[bytes, bool]], cut: int = 65_536) -> bytes:
    """Segments, each with whether it is declared fresh, fed in pieces of `cut` bytes."""
    stitcher = Stitcher()
    out: list[bytes] = []
    for segment, fresh in segments:
        stitcher.begin(fresh=fresh)
        out += [stitcher.feed(segment[at : at + cut]) for at in range(0, len(segment), cut)]
        out.append(stitcher.finish())
    return b"".join(out)


def check(out: bytes) -> TsChecker:
    """No problem, and no packet lost, doubled or moved."""
    checker = TsChecker().feed(out)
    assert checker.finish() == []
    assert checker.jumps == []
    return checker


def steps(times: list[int]) -> set[int]:
    """The distances between times that follow one another."""
    return {(after - before) % TIME_WRAP for before, after in pairwise(times)}


def pmts(out: bytes, pid: int = 0x1000) -> list[bytes]:
    """The PMT packets that differ from the one before, without their counters."""
    found: list[bytes] = []
    for at in range(0, len(out), PACKET_BYTES):
        packet = out[at : at + PACKET_BYTES]
        if (packet[1] & 0x1F) << 8 | packet[2] == pid and packet[4:] not in found[-1:]:
            found.append(packet[4:])
    return found


@pytest.mark.parametrize("cut", CUTS)
def test_what_one_encoder_goes_on_with_passes_byte_for_byte(cut: int) -> None:
    """Nothing has to be mended, so nothing is touched."""
    maker = HlsMaker()
    segments = [maker.segment() for _ in range(4)]
    assert stitched([(part, False) for part in segments], cut) == b"".join(segments)


def test_a_steady_block_is_not_even_copied() -> None:
    """The very object that came in goes out."""
    maker, stitcher = HlsMaker(), Stitcher()
    stitcher.begin(fresh=True)
    stitcher.feed(maker.segment())
    block = maker.segment(tables=False)
    assert stitcher.feed(block) is block


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("cut", CUTS)
def test_another_encoder_is_fitted_in(cut: int, declared: bool) -> None:
    """Other PIDs, programme, counters and time, whether the playlist says so or not: the PIDs, the
    programme and the tables stay, time goes on frame by frame, and no packet is lost."""
    serial = Serial()
    main = HlsMaker(serial)
    other = HlsMaker(
        serial,
        pmt_pid=0x20,
        video_pid=0x101,
        audio_pid=0x200,
        programme=7,
        first_counter=9,
        decoding=8_000_000_000,
    )
    segments = [
        (main.segment(), False),
        (main.segment(), False),
        (other.segment(), declared),
        (other.segment(), False),
        (main.segment(), declared),
    ]
    out = stitched(segments, cut)
    checker = check(out)
    assert set(checker.pids) == {0, 0x1000, 0x100, 0x101}
    assert len(pmts(out)) == 1
    times = decoding_times(out)
    assert steps(times[0x100]) == {FRAME_TICKS}
    assert steps(times[0x101]) == {FRAME_TICKS}


def test_counters_that_restart_with_each_segment_go_on() -> None:
    """Otherwise a player takes every join for a loss."""
    maker = HlsMaker(restarts_counters=True)
    out = stitched([(maker.segment(frames=10), False) for _ in range(5)])
    check(out)
    assert steps(decoding_times(out)[0x100]) == {FRAME_TICKS}


def test_a_loss_within_a_segment_stays_visible() -> None:
    """A player must know that the frame is broken."""
    maker = HlsMaker()
    first, second = maker.segment(), maker.segment()
    cut = 40 * PACKET_BYTES
    out = stitched([(first, False), (second[:cut] + second[cut + PACKET_BYTES :], False)])
    checker = TsChecker().feed(out)
    assert len(checker.finish()) == 1
    assert "counter" in checker.problems[0]


def test_time_that_goes_on_over_a_declared_discontinuity_is_left_alone() -> None:
    """The encoder is exact, we would estimate; here it left out a frame."""
    maker = HlsMaker()
    segments = [maker.segment()]
    maker.decoding += FRAME_TICKS
    segments.append(maker.segment())
    assert stitched([(segments[0], True), (segments[1], True)]) == b"".join(segments)


def test_a_segment_that_did_not_come_leaves_no_hole_in_time() -> None:
    """What follows is moved to where the lost one would have begun."""
    maker = HlsMaker()
    first = maker.segment()
    maker.segment(frames=100)
    out = stitched([(first, False), (maker.segment(), True)])
    assert TsChecker().feed(out).finish() == []
    assert steps(decoding_times(out)[0x100]) == {FRAME_TICKS}


@pytest.mark.parametrize(
    "ahead",
    [FRAME_TICKS * 10, 1, MUX_DELAY_TICKS, MUX_DELAY_TICKS + FRAME_TICKS * 5],
    ids=["at once", "in a stamp", "in the clock", "both"],
)
def test_time_wraps(ahead: int) -> None:
    """After 26.5 hours, on both sides of a join, moved or not."""
    start = (TIME_WRAP - ahead) % TIME_WRAP
    maker = HlsMaker(decoding=start)
    segments = [maker.segment(), maker.segment()]
    assert stitched([(part, False) for part in segments]) == b"".join(segments)
    serial = Serial()
    out = stitched(
        [
            (HlsMaker(serial, decoding=start).segment(), False),
            (HlsMaker(serial, decoding=77).segment(), True),
            (HlsMaker(serial, decoding=start).segment(), True),
        ]
    )
    check(out)
    assert steps(decoding_times(out)[0x100]) == {FRAME_TICKS}


def test_a_jump_of_time_within_a_segment_is_mended_where_it_is() -> None:
    """A provider that splices without saying so."""
    serial = Serial()
    before, after = HlsMaker(serial), HlsMaker(serial, decoding=90_000_000, first_counter=3)
    out = stitched([(before.segment() + after.segment() + after.segment(), True)])
    check(out)
    assert steps(decoding_times(out)[0x100]) == {FRAME_TICKS}


def test_another_type_of_stream_changes_the_table_and_its_version() -> None:
    """Before the first packet of that type, and not again."""
    serial = Serial()
    main = HlsMaker(serial)
    hevc = HlsMaker(serial, video_type=HEVC, audio_type=AC3, decoding=5)
    out = stitched(
        [
            (main.segment(), True),
            (hevc.segment(), True),
            (hevc.segment(), False),
            (main.segment(), True),
        ]
    )
    checker = check(out)
    assert set(checker.pids) == {0, 0x1000, 0x100, 0x101}
    tables = pmts(out)
    assert [table[6] >> 1 & 0x1F for table in tables] == [0, 1, 2]
    assert [(table[13], table[18]) for table in tables] == [
        (0x1B, 0x0F),
        (0x24, 0x81),
        (0x1B, 0x0F),
    ]


def test_a_changed_table_comes_before_what_it_describes() -> None:
    """Also where the segment has its own only after some frames."""
    serial = Serial()
    main, hevc = HlsMaker(serial), HlsMaker(serial, video_type=HEVC, decoding=5)
    first, second = main.segment(), hevc.segment()
    late = 2 * PACKET_BYTES
    moved = second[late : 10 * PACKET_BYTES] + second[:late] + second[10 * PACKET_BYTES :]
    out = stitched([(first, True), (moved, True)])
    check(out)
    announced = out[len(first) : len(first) + 2 * PACKET_BYTES]
    assert pmts(announced) == pmts(out)[1:]


def test_a_stream_that_is_missing_changes_nothing_for_the_others() -> None:
    """A clip without sound."""
    serial = Serial()
    main = HlsMaker(serial)
    silent = HlsMaker(serial, audio_pid=None, decoding=5)
    out = stitched([(main.segment(), True), (silent.segment(), True), (main.segment(), True)])
    check(out)
    assert len(pmts(out)) == 1
    assert steps(decoding_times(out)[0x100]) == {FRAME_TICKS}


def test_a_stream_that_is_new_gets_a_pid_of_its_own() -> None:
    """And the table says so."""
    serial = Serial()
    silent = HlsMaker(serial, audio_pid=None)
    main = HlsMaker(serial, video_pid=0x101, audio_pid=0x100, decoding=5)
    out = stitched([(silent.segment(), True), (main.segment(), True)])
    checker = TsChecker().feed(out)
    assert checker.finish() == []
    assert len(pmts(out)) == 2
    assert set(checker.pids) == {0, 0x1000, 0x100, 0x101}
    assert steps(decoding_times(out)[0x101]) == {FRAME_TICKS}


def test_packets_that_no_table_names_are_dropped() -> None:
    """Nothing is known of them, and their PID may be one of ours."""
    maker = HlsMaker(extra_pid=0x1ABC)
    checker = check(stitched([(maker.segment(), True), (maker.segment(), False)]))
    assert 0x1ABC not in checker.pids


def test_junk_before_the_first_packet_and_a_part_of_one_at_the_end_are_dropped() -> None:
    """And the next segment begins with a whole packet."""
    maker = HlsMaker()
    first, second = maker.segment(), maker.segment()
    out = stitched([(b"junk\x47" * 20 + first + first[:100], True), (second, False)])
    assert out == first + second


def test_segments_without_tables_of_their_own_follow_the_last_ones() -> None:
    """Against the RFC, and seen; also where a discontinuity is declared."""
    serial = Serial()
    main, other = HlsMaker(serial), HlsMaker(serial, decoding=44, first_counter=5)
    segments = [
        (main.segment(), True),
        (main.segment(tables=False), False),
        (other.segment(tables=False), True),
    ]
    out = stitched(segments)
    check(out)
    assert steps(decoding_times(out)[0x100]) == {FRAME_TICKS}


def test_what_is_no_mpeg_ts_is_refused_and_the_next_segment_goes_on() -> None:
    """An error page with status 200; packets without any table."""
    maker, stitcher = HlsMaker(), Stitcher()
    first, second = maker.segment(), maker.segment()
    stitcher.begin(fresh=True)
    stitcher.feed(first)
    stitcher.finish()
    stitcher.begin(fresh=False)
    stitcher.feed(b"<html>" * 100)
    with pytest.raises(SegmentUnusable) as caught:
        stitcher.finish()
    assert caught.value.detail == "hls_not_mpeg_ts"
    stitcher.abandon()
    stitcher.begin(fresh=True)
    assert stitcher.feed(second) + stitcher.finish() == second


def test_packets_without_tables_are_no_programme() -> None:
    """At the end of a segment, or after half a megabyte."""
    stitcher = Stitcher()
    stitcher.begin(fresh=True)
    assert stitcher.feed(HlsMaker().segment(tables=False)) == b""
    with pytest.raises(SegmentUnusable) as caught:
        stitcher.finish()
    assert caught.value.detail == "hls_no_tables"
    stitcher.begin(fresh=True)
    with pytest.raises(SegmentUnusable):
        stitcher.feed(HlsMaker().segment(frames=HOLD_BYTES_MAX // 900, tables=False))


def test_tables_that_lead_nowhere_do_not_hold_the_stream_up() -> None:
    """A PAT whose PMT never comes: the packets are those of the programme before."""
    maker = HlsMaker()
    first, second = maker.segment(), maker.segment()
    lost = HlsMaker(pmt_pid=0x55, first_counter=1).segment()[:PACKET_BYTES]
    out = stitched([(first, True), (lost + second[PACKET_BYTES:], False)])
    check(out)
