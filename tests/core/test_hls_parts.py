"""The parts of the stitcher that can be judged by themselves."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from plexbridge.relay.hls.codebook import Codebook, Renaming, count_on, marked, table_of
from plexbridge.relay.hls.crypt import SegmentCipher, iv_of
from plexbridge.relay.hls.faults import SegmentUnusable
from plexbridge.relay.hls.opening import find_tables
from plexbridge.relay.hls.timeline import Timeline
from plexbridge.relay.hls.timestamps import WRAP_TICKS, ticks_after
from plexbridge.relay.sections import Stream, build_pat, build_pmt, crc_of, packets_with
from tests.service.ts_maker import AUDIO_PID, PACKET_BYTES, PMT_PID, VIDEO_PID, TsMaker

PIDS = st.integers(0, 0x1FFF)
KEY, IV = bytes(range(16)), bytes(range(16, 32))


def packet(pid: int, control: int = 0x10, start: bool = False) -> bytes:
    head = bytes([0x47, 0x40 * start | pid >> 8, pid & 0xFF, control])
    return head.ljust(PACKET_BYTES, b"\xaa")


def encrypted(plain: bytes, *, padded: bool = True) -> bytes:
    left = 16 - len(plain) % 16
    cipher = Cipher(algorithms.AES128(KEY), modes.CBC(IV)).encryptor()
    return cipher.update(plain + bytes([left]) * left * padded) + cipher.finalize()


@given(st.lists(PIDS, min_size=1, max_size=15, unique=True), st.lists(PIDS, max_size=40))
def test_a_book_tells_its_pids_from_all_others(pids: list[int], seen: list[int]) -> None:
    """Whatever bytes they share."""
    wanted = seen + pids
    block = b"".join(packet(pid) for pid in wanted)
    expected = [pids.index(pid) + 1 if pid in pids else 0 for pid in wanted]
    assert list(Codebook(pids).kinds(block)) == expected


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15), st.booleans()), min_size=1),
    st.dictionaries(st.integers(1, 3), st.integers(0, 15)),
)
def test_pids_and_counters_are_rewritten_and_nothing_else(
    seen: list[tuple[int, int, bool]], deltas: dict[int, int]
) -> None:
    """Against the same thing done packet by packet."""
    old, new = [0x100, 0x1FF, 0x021], [0x021, 0x1EEE, 0x100]
    block = b"".join(packet(old[which], 0x30 | count, start) for which, count, start in seen)
    kinds = Codebook(old).kinds(block)
    changed = bytearray(block)
    Renaming(new).apply(changed, kinds)
    count_on(changed, kinds, deltas)
    assert bytes(changed) == b"".join(
        packet(new[which], 0x30 | (count + deltas.get(which + 1, 0)) & 15, start)
        for which, count, start in seen
    )


def test_packets_that_need_a_look_are_found() -> None:
    """Those that begin something, those with a clock reference, and the kinds asked for."""
    clock = bytes([0x47, 1, 0, 0x30, 7, 0x10]).ljust(PACKET_BYTES, b"\0")
    no_clock = bytes([0x47, 1, 0, 0x30, 7, 0x40]).ljust(PACKET_BYTES, b"\0")
    payload = bytes([0x47, 1, 0, 0x10, 7, 0x10]).ljust(PACKET_BYTES, b"\0")
    block = packet(5) + clock + no_clock + payload + packet(6, start=True) + packet(7)
    kinds = Codebook([7]).kinds(block)
    assert marked(block, kinds, table_of((1,))) == [1, 4, 5]


def test_tables_are_written_as_others_write_them() -> None:
    """Byte for byte those of the test's own maker; and read back."""
    streams = (Stream(AUDIO_PID, 0x0F, b""), Stream(VIDEO_PID, 0x1B, b""))
    pmt = build_pmt(1, 0, VIDEO_PID, b"", streams)
    packets = TsMaker().packets(2)
    assert packets[PACKET_BYTES:] == packets_with(pmt, PMT_PID)[0]
    assert crc_of(pmt) == 0
    found = find_tables(packets)
    assert found is not None
    assert (found[0].programme, found[0].pmt_pid) == (1, PMT_PID)
    assert (found[1].pcr_pid, found[1].streams) == (VIDEO_PID, streams)


def test_tables_of_several_packets_are_read() -> None:
    """A PMT with long descriptors; one that is damaged is not believed."""
    packets = TsMaker(descriptor_bytes=300).packets(3)
    found = find_tables(packets)
    assert found is not None
    assert len(found[1].section) > 184
    broken = bytearray(packets)
    broken[-100] ^= 1
    assert find_tables(bytes(broken)) is None
    assert find_tables(packets_with(build_pat(1, 0x50), 0)[0]) is None


@given(st.integers(0, WRAP_TICKS - 1), st.integers(-(WRAP_TICKS // 2) + 1, WRAP_TICKS // 2 - 1))
def test_distances_in_time_know_of_the_wrap(time: int, ticks: int) -> None:
    """In both directions."""
    assert ticks_after((time + ticks) % WRAP_TICKS, time) == ticks


def test_no_stream_steps_back_where_time_is_joined() -> None:
    """The one that had come furthest decides; nor does the clock step back."""
    timeline = Timeline()
    for number in range(3):
        assert timeline.decodes(1, 90_000 + number * 3_600)
        assert timeline.decodes(2, 95_000 + number * 2_000)
        assert timeline.ticks(50_000 + number * 3_600)
    assert not timeline.decodes(1, 10_000_000)
    assert not timeline.rebase({1: 10_000_000, 2: 10_000_000}, 9_960_000)
    assert 10_000_000 + timeline.offset == 99_000 + 2_000
    assert timeline.rebase({1: 0, 2: 0}, 500_000_000), "a clock that makes no sense is marked"
    assert timeline.offset == 99_000 + 2_000


@given(st.binary(max_size=200), st.integers(1, 70))
def test_a_segment_is_decrypted_in_any_cuts(plain: bytes, cut: int) -> None:
    """CBC over the whole, padding off the end."""
    secret, cipher = encrypted(plain), SegmentCipher(KEY, IV)
    out = [cipher.feed(secret[at : at + cut]) for at in range(0, len(secret), cut)]
    assert b"".join(out) + cipher.finish() == plain


@pytest.mark.parametrize("secret", [b"", encrypted(b"x" * 32, padded=False), encrypted(b"x")[:9]])
def test_a_segment_that_was_cut_short_is_told_by_its_padding(secret: bytes) -> None:
    """As is one of another key."""
    cipher = SegmentCipher(KEY, IV)
    cipher.feed(secret)
    with pytest.raises(SegmentUnusable) as caught:
        cipher.finish()
    assert caught.value.detail == "hls_bad_padding"


def test_the_number_of_a_segment_is_its_iv() -> None:
    """128 bits, big-endian."""
    assert iv_of(0x1234) == bytes(14) + b"\x12\x34"
