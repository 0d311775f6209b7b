"""What a relay knows of MPEG-TS: sync, tables, access points, the clock; and how it cuts a body."""

import random

import pytest

from plexbridge.relay.alignment import SYNC_LIMIT_BYTES, Aligner, NotMpegTs
from plexbridge.relay.mpegts import (
    NULL_PACKET,
    PACKET_BYTES,
    find_sync,
    newest_random_access,
    packet_at,
    packets_of,
    payload_of,
    pcr_of,
    with_counters,
)
from plexbridge.relay.tables import TableReader
from tests.service.ts_checker import TsChecker
from tests.service.ts_maker import AUDIO_PID, PMT_PID, VIDEO_PID, TsMaker, serial_of

GARBAGE = b"<html>G G no stream here</html>" * 20


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


def test_the_synthetic_stream_is_clean_and_the_checker_sees_a_lost_packet() -> None:
    """The judge of all other tests is itself judged."""
    stream = TsMaker().packets(1_000)
    assert TsChecker().feed(stream).finish() == []
    holed = stream[: 500 * PACKET_BYTES] + stream[501 * PACKET_BYTES :]
    assert len(TsChecker().feed(holed).finish()) == 1
    assert TsChecker().feed(stream[:-1]).finish() == ["187 bytes after the last whole packet"]


def test_a_sync_is_three_packets_in_a_row() -> None:
    """One sync byte, or two at the right distance, is chance."""
    stream = TsMaker().packets(4)
    assert find_sync(stream) == 0
    assert find_sync(GARBAGE + stream) == len(GARBAGE)
    assert find_sync(GARBAGE + stream[: 2 * PACKET_BYTES]) is None
    assert find_sync(stream[: 2 * PACKET_BYTES + 1]) == 0
    assert find_sync(b"") is None


def pid_of(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def test_packets_of_one_pid_are_found_in_order() -> None:
    """Also where another PID shares the low byte (0 and 0x100)."""
    block = TsMaker().packets(200)
    everyone = [pid_of(packet_at(block, index)) for index in range(200)]
    for pid in (0, VIDEO_PID, AUDIO_PID, PMT_PID, 0x1FFF):
        assert list(packets_of(block, pid)) == [
            i for i, found in enumerate(everyone) if found == pid
        ]


@pytest.mark.parametrize("descriptor_bytes", [0, 300, 700])
@pytest.mark.parametrize("block_packets", [1, 7, 348])
def test_tables_are_found_whole_whatever_the_blocks(
    descriptor_bytes: int, block_packets: int
) -> None:
    """A PMT over several packets, split between blocks, comes back as the packets it came in."""
    stream = TsMaker(descriptor_bytes=descriptor_bytes).packets(400)[PACKET_BYTES:]
    reader = TableReader()
    for block in cut(stream, [block_packets * PACKET_BYTES]):
        tables = reader.feed(block)
        if tables is not None:
            break
    assert tables is not None
    assert (tables.pmt_pid, tables.video_pid) == (PMT_PID, VIDEO_PID)
    assert {pid_of(packet_at(tables.pat, i)) for i in range(len(tables.pat) // 188)} == {0}
    count = len(tables.pmt) // PACKET_BYTES
    assert count == (17 + descriptor_bytes + 13) // 184 + 1
    assert all(pid_of(packet_at(tables.pmt, i)) == PMT_PID for i in range(count))
    assert tables.pmt in b"".join(packet_at(stream, i) for i in packets_of(stream, PMT_PID))


def test_tables_of_noise_are_nothing() -> None:
    """Aligned packets with random contents raise nothing and yield no tables by accident."""
    noise = random.Random(7)
    reader = TableReader()
    for _ in range(200):
        block = b"".join(b"\x47" + noise.randbytes(187) for _ in range(50))
        reader.feed(block)
        newest_random_access(block, None)
        for index in range(50):
            pcr_of(packet_at(block, index))
            payload_of(packet_at(block, index))


def test_the_newest_access_point_is_that_of_the_video() -> None:
    """Audio frames carry the mark too; a player cannot begin there."""
    block = TsMaker().packets(250)
    assert newest_random_access(block, VIDEO_PID) == 202
    assert newest_random_access(block, None) == 247
    assert pid_of(packet_at(block, 247)) == AUDIO_PID
    assert newest_random_access(TsMaker(access_points=False).packets(250), VIDEO_PID) is None


def test_the_clock_reference_is_read() -> None:
    """PCR in ticks of 27 MHz, only where there is one."""
    block = TsMaker(bits_per_s=8_000_000).packets(100)
    assert pcr_of(packet_at(block, 2)) == 3 * 188 * 8 * 27_000_000 // 8_000_000
    assert pcr_of(packet_at(block, 4)) is None
    assert pcr_of(NULL_PACKET) is None
    assert len(NULL_PACKET) == PACKET_BYTES


def test_counters_are_restamped_backwards_from_the_last() -> None:
    """And wrap at sixteen."""
    block = with_counters(TsMaker().packets(3), 1)
    assert [packet_at(block, i)[3] & 15 for i in range(3)] == [15, 0, 1]


@pytest.mark.parametrize("sizes", [[1], [187, 3], [188], [1_316], [65_536], [100_000, 1, 7]])
def test_a_clean_body_comes_out_unaltered_in_whole_packets(sizes: list[int]) -> None:
    """Whatever the cuts: whole packets while it flows, the very bytes at the end."""
    body = TsMaker().packets(400) + b"\x47partial"
    aligner, out = Aligner(), b""
    for piece in cut(body, sizes):
        block = aligner.feed(piece)
        assert len(block) % PACKET_BYTES == 0
        out += block
    assert out == body[: 400 * PACKET_BYTES]
    assert out + aligner.flush() == body
    assert aligner.sync_losses == aligner.discarded_bytes == 0


@pytest.mark.parametrize("sizes", [[7], [1_316], [65_536]])
def test_what_is_no_packet_is_dropped_and_the_sync_found_again(sizes: list[int]) -> None:
    """Garbage before, and in the middle of, a stream reaches nobody."""
    maker = TsMaker()
    first, second = maker.packets(100), maker.packets(100)
    aligner = Aligner()
    out = b"".join(map(aligner.feed, cut(GARBAGE + first + GARBAGE + second, sizes)))
    assert out + aligner.flush() == first + second
    assert aligner.sync_losses == 1
    assert aligner.discarded_bytes == 2 * len(GARBAGE)


def test_bytes_missing_from_a_packet_cost_two_packets_at_most() -> None:
    """After a hole the sync is found again at the next run."""
    stream = TsMaker().packets(300)
    holed = stream[: 100 * PACKET_BYTES + 50] + stream[100 * PACKET_BYTES + 90 :]
    out = Aligner().feed(holed)
    assert len(out) % PACKET_BYTES == 0
    serials = [serial_of(packet_at(out, i)) for i in range(len(out) // PACKET_BYTES)]
    expected = [serial_of(packet_at(stream, i)) for i in range(300)]
    assert len(set(expected) - set(serials)) <= 2


def test_something_else_is_refused_within_the_limit() -> None:
    """An endless page is not searched for ever, and not one byte of it comes out."""
    aligner = Aligner()
    for _ in range(SYNC_LIMIT_BYTES // len(GARBAGE)):
        assert aligner.feed(GARBAGE) == b""
    with pytest.raises(NotMpegTs, match="no MPEG-TS sync"):
        aligner.feed(GARBAGE * 2)


def test_a_short_finite_body_is_judged_at_its_end() -> None:
    """Too short for a run of three: packets are let through, a page is not."""
    one = TsMaker().packets(1)
    aligner = Aligner()
    assert aligner.feed(one) == b""
    assert aligner.flush() == one
    page = Aligner()
    page.feed(b"<html>no</html>")
    with pytest.raises(NotMpegTs):
        page.flush()
    assert Aligner().flush() == b""
