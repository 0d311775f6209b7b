"""The HDHomeRun protocol's packets: the library's own vectors, and everything that is none."""

import random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexbridge.tuner.discovery.packets import (
    PACKET_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    Malformed,
    Packet,
    PacketType,
    Tag,
    decode,
    encode,
    packet_bytes,
)

ANY = b"\xff\xff\xff\xff"
VECTORS = {
    "0002000c 0104ffffffff 0204ffffffff 73cc7d8f": (
        PacketType.DISCOVER_REQUEST,
        ((Tag.DEVICE_TYPE, ANY), (Tag.DEVICE_ID, ANY)),
    ),
    "00020006 0104ffffffff 4c20cb4e": (PacketType.DISCOVER_REQUEST, ((Tag.DEVICE_TYPE, ANY),)),
    "0002000a 2d080000000100000005 4f63391f": (
        PacketType.DISCOVER_REQUEST,
        ((Tag.MULTI_TYPE, b"\0\0\0\1\0\0\0\5"),),
    ),
    "0004000d 030b2f7379732f6d6f64656c00 8f5b54b5": (
        PacketType.GETSET_REQUEST,
        ((Tag.GETSET_NAME, b"/sys/model\0"),),
    ),
    "0005001f 030b2f7379732f6d6f64656c00 04106864686f6d6572756e355f6174736300 1e5fd121": (
        PacketType.GETSET_REPLY,
        ((Tag.GETSET_NAME, b"/sys/model\0"), (Tag.GETSET_VALUE, b"hdhomerun5_atsc\0")),
    ),
}
"""Measured with libhdhomerun."""


@pytest.mark.parametrize("text", VECTORS)
def test_the_librarys_packets_are_read_and_written_alike(text: str) -> None:
    """Header, tags and checksum, byte for byte."""
    data = bytes.fromhex(text)
    kind, tags = VECTORS[text]
    assert decode(data) == Packet(kind, tags)
    assert encode(kind, tags) == data
    assert packet_bytes(data) == len(data)


def test_long_values_have_a_length_of_two_bytes() -> None:
    """128 is `80 01` and 300 is `ac 02`; 127 still fits one byte."""
    for size, length in ((127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")):
        value = b"x" * size
        data = encode(PacketType.GETSET_REPLY, [(Tag.GETSET_VALUE, value)])
        assert data[4:-4] == bytes((Tag.GETSET_VALUE,)) + length + value
        assert decode(data).first(Tag.GETSET_VALUE) == value


def test_unknown_tags_are_skipped_and_repeated_ones_kept() -> None:
    """Libraries to come may send more than we know."""
    packet = Packet(2, ((0x77, b"new"), (Tag.DEVICE_TYPE, b"a"), (Tag.DEVICE_TYPE, b"b")))
    assert packet.all(Tag.DEVICE_TYPE) == [b"a", b"b"]
    assert packet.first(Tag.DEVICE_TYPE) == b"a"
    assert packet.first(Tag.DEVICE_ID) is None


@given(st.binary(max_size=PACKET_BYTES_MAX + 8))
def test_no_bytes_raise_anything_but_malformed(data: bytes) -> None:
    """Whatever a stranger sends."""
    try:
        packet = decode(data)
    except Malformed:
        return
    assert len(data) <= PACKET_BYTES_MAX
    assert packet.type == int.from_bytes(data[:2], "big")


@given(st.binary(max_size=64))
def test_no_payload_raises_anything_but_malformed(payload: bytes) -> None:
    """Also behind a right header and checksum: tags that are cut, or reach beyond the end."""
    data = encode(PacketType.DISCOVER_REQUEST, [])
    body = data[:2] + len(payload).to_bytes(2, "big") + payload
    whole = body + crc32(body).to_bytes(4, "little")
    try:
        tags = decode(whole).tags
    except Malformed:
        return
    assert sum(len(value) for _, value in tags) <= len(payload)


def test_every_cut_and_every_flipped_bit_is_noticed() -> None:
    """A packet is taken whole and right, or not at all."""
    data = bytes.fromhex("0002000c 0104ffffffff 0204ffffffff 73cc7d8f")
    for end in range(len(data)):
        with pytest.raises(Malformed):
            decode(data[:end])
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Malformed):
            decode(bytes(flipped))
    with pytest.raises(Malformed):
        decode(data + b"\0")


def test_64_kb_are_refused_by_their_header_alone() -> None:
    """Before anything waits for the rest, or looks at it."""
    with pytest.raises(Malformed):
        packet_bytes(b"\0\4" + (PAYLOAD_BYTES_MAX + 1).to_bytes(2, "big"))
    with pytest.raises(Malformed):
        decode(random.Random(1).randbytes(65_000))
    assert packet_bytes(b"\0\4" + PAYLOAD_BYTES_MAX.to_bytes(2, "big")) == PACKET_BYTES_MAX
