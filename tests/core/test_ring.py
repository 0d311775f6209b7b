"""The ring: bounded, addressed by place in the stream; and where a newcomer may begin in it."""

import itertools

import pytest

from plexbridge.relay.entry import newest_entry
from plexbridge.relay.mpegts import PACKET_BYTES, SYNC
from plexbridge.relay.policy import RelayPolicy, pause_ms
from plexbridge.relay.ring import Ring
from plexbridge.relay.segments import SEGMENT_BYTES, Segments
from plexbridge.relay.tables import TableReader
from tests.service.ts_checker import TsChecker
from tests.service.ts_maker import GROUP, VIDEO_PID, TsMaker


def filled(stream: bytes, *, limit_bytes: int = 10_000_000, block_packets: int = 30) -> Ring:
    """A ring that was given this stream in blocks."""
    ring = Ring(limit_bytes)
    step = block_packets * PACKET_BYTES
    for at in range(0, len(stream), step):
        ring.append(stream[at : at + step])
    return ring


def test_every_held_byte_is_found_from_any_offset() -> None:
    """Offsets are places in the stream, however it was cut into blocks."""
    stream = TsMaker().packets(100)
    ring = filled(stream, block_packets=7)
    assert (ring.start, ring.end) == (0, len(stream))
    for offset in (0, 1, 188, 7 * 188 - 1, 7 * 188, 50 * 188, len(stream) - 1, len(stream)):
        assert b"".join(ring.after(offset)) == stream[offset:]
        before = [placed.block for placed in ring.backwards(offset)]
        assert b"".join(reversed(before)) == stream[:offset]


def test_the_oldest_segments_go_and_offsets_stay() -> None:
    """Never more than the bound and a segment."""
    stream = TsMaker().packets(8 * SEGMENT_BYTES // PACKET_BYTES)
    limit_bytes = 3 * SEGMENT_BYTES
    ring = filled(stream, limit_bytes=limit_bytes)
    assert limit_bytes <= ring.end - ring.start < limit_bytes + SEGMENT_BYTES
    assert b"".join(ring.after(ring.start)) == stream[ring.start :]
    with pytest.raises(AssertionError):
        next(ring.after(0))
    ring.append(stream)
    assert b"".join(ring.after(ring.start)) == stream[-(ring.end - ring.start) :]
    ring.let_go_before(ring.end)
    assert 0 < ring.end - ring.start <= SEGMENT_BYTES


def test_what_was_read_into_the_ring_is_appended_where_it_is() -> None:
    """In pieces of any size, over segments: the waiting end of a packet moves along."""
    stream = TsMaker().packets(4 * SEGMENT_BYTES // PACKET_BYTES)
    ring, at = Ring(10_000_000), 0
    for size in itertools.cycle((1, 70_001, 188, 120_000, 77)):
        room = ring.room()
        piece = stream[at : at + min(size, len(room))]
        room[: len(piece)] = piece
        ring.filled(len(piece))
        at += len(piece)
        whole = ring.waiting_bytes - ring.waiting_bytes % PACKET_BYTES
        assert ring.waits_in_sync(whole)
        block = ring.waiting(whole)
        ring.append(block)
        assert ring.end == at - at % PACKET_BYTES
        assert ring.waiting_bytes == at % PACKET_BYTES
        if at == len(stream):
            break
    assert b"".join(ring.after(0)) == stream[: ring.end]
    assert all(placed.block[0] == SYNC for placed in ring.backwards(ring.end))


def test_other_bytes_are_appended_before_those_that_wait() -> None:
    """What waits comes after, wherever the others ended."""
    maker = TsMaker()
    first, second = maker.packets(2 * SEGMENT_BYTES // PACKET_BYTES), maker.packets(100)
    ring = Ring(10_000_000)
    ring.wait(second)
    ring.append(first)
    assert b"".join(ring.after(0)) == first
    ring.append(ring.waiting(len(second)))
    assert b"".join(ring.after(0)) == first + second
    ring.wait(first[:1_000])
    ring.drop_waiting(990)
    assert bytes(ring.waiting(10)) == first[990:1_000]


def test_the_join_point_is_the_newest_access_point_held() -> None:
    """Of the video; none when the ring begins after it, or it is older than allowed."""
    maker = TsMaker()
    ring = filled(maker.packets(3 * GROUP + 60))
    newest = (3 * GROUP + 2) * PACKET_BYTES
    assert ring.join_point(pid=VIDEO_PID) == newest
    assert ring.join_point(pid=VIDEO_PID, not_before=newest + 61 * PACKET_BYTES) is None
    ring.append(maker.packets(GROUP))
    assert ring.join_point(pid=VIDEO_PID) == newest + GROUP * PACKET_BYTES
    ring.append(TsMaker(access_points=False).packets(2 * SEGMENT_BYTES // PACKET_BYTES))
    assert ring.join_point(pid=VIDEO_PID) == newest + GROUP * PACKET_BYTES
    ring.let_go_before(ring.end)
    assert ring.join_point(pid=VIDEO_PID) is None
    assert Ring(1).join_point(pid=None) is None


def test_memory_is_used_again_and_no_more_is_kept_than_is_in_use() -> None:
    """What one ring lets go of the next one takes; when all are closed nothing is kept."""
    memory = Segments()
    stream = TsMaker().packets(5 * SEGMENT_BYTES // PACKET_BYTES)
    first, second = Ring(10_000_000, memory), Ring(10_000_000, memory)
    first.append(stream)
    held = memory.in_use
    assert held > 5
    first.let_go_before(first.end)
    assert (memory.in_use, memory.spare) == (2, 2)
    second.append(stream[: 2 * SEGMENT_BYTES // PACKET_BYTES * PACKET_BYTES])
    assert (memory.in_use, memory.spare) == (3, 1)
    assert b"".join(second.after(0)) == stream[: second.end]
    first.close()
    second.close()
    second.close()
    assert (memory.in_use, memory.spare) == (0, 0)
    with pytest.raises(AssertionError):
        first.room()


@pytest.mark.parametrize("packets", [110, 160, 350, 399, 402, 1_234])
@pytest.mark.parametrize("descriptor_bytes", [0, 300])
def test_a_newcomer_sees_tables_then_an_access_point_and_no_gap(
    packets: int, descriptor_bytes: int
) -> None:
    """The counters of the tables it is given continue into those of the stream, wherever the
    tables were last seen: before the entry, after it, or no more at all."""
    maker = TsMaker(descriptor_bytes=descriptor_bytes)
    stream = maker.packets(packets)
    tables = TableReader().feed(stream)
    assert tables is not None
    ring = filled(stream, block_packets=11)
    entry = newest_entry(ring, tables)
    seen = TsChecker().feed(entry.preamble).feed(b"".join(ring.after(entry.offset)))
    seen.feed(maker.packets(300))
    table_packets = len(entry.preamble) // PACKET_BYTES
    assert seen.pids[:table_packets] == [0] + [tables.pmt_pid] * (table_packets - 1)
    assert seen.finish() == []
    assert seen.pids[table_packets] == VIDEO_PID


def test_without_access_points_or_tables_a_newcomer_begins_at_the_live_edge() -> None:
    """There is nothing better to give."""
    stream = TsMaker(access_points=False).packets(200)
    ring = filled(stream)
    tables = TableReader().feed(stream)
    assert newest_entry(ring, tables).offset == ring.end
    assert newest_entry(filled(TsMaker().packets(150)), None).preamble == b""


def test_the_pause_doubles_up_to_its_cap_with_jitter() -> None:
    """Within the upper half of its step; `Retry-After` lengthens it, up to its own cap."""
    policy = RelayPolicy()

    def pause(failures: int, chance: float, retry_after_s: float | None = None) -> float:
        return pause_ms(policy, failures=failures, chance=chance, retry_after_s=retry_after_s)

    assert [pause(n, 0.0) for n in (1, 2, 3, 4, 5, 6)] == [125, 250, 500, 1_000, 2_000, 2_000]
    assert pause(1, 0.999) == pytest.approx(250, abs=1)
    assert pause(5_000, 0.999) <= policy.backoff_cap_ms
    assert pause(1, 0.0, 7) == 7_000
    assert pause(1, 0.0, 3_600) == policy.retry_after_cap_ms
    assert pause(9, 0.5, 0) == 3_000
