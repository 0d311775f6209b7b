"""Packets of the HDHomeRun protocol, as bytes and as tags. Pure; knows no meaning of a value.

Source: libhdhomerun's `hdhomerun_pkt.h`. A packet is type and payload length (16 bits each, big
endian), the payload, and a CRC-32 in little endian; the payload is tags, each with a length of one
or two bytes and a value.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from zlib import crc32

HEADER_BYTES: Final = 4
CRC_BYTES: Final = 4
PAYLOAD_BYTES_MAX: Final = 1_452
"""What fits an Ethernet frame, and the protocol's own bound."""
PACKET_BYTES_MAX: Final = HEADER_BYTES + PAYLOAD_BYTES_MAX + CRC_BYTES

_ONE_BYTE_LENGTH_MAX: Final = 127
_LENGTH_MAX: Final = 0x7FFF


class PacketType(IntEnum):
    """What a packet is for. There are more, for firmware, which nobody may send us."""

    DISCOVER_REQUEST = 2
    DISCOVER_REPLY = 3
    GETSET_REQUEST = 4
    GETSET_REPLY = 5


class Tag(IntEnum):
    """What a value is."""

    DEVICE_TYPE = 0x01
    DEVICE_ID = 0x02
    GETSET_NAME = 0x03
    GETSET_VALUE = 0x04
    ERROR_MESSAGE = 0x05
    TUNER_COUNT = 0x10
    GETSET_LOCKKEY = 0x15
    LINEUP_URL = 0x27
    BASE_URL = 0x2A
    DEVICE_AUTH = 0x2B
    MULTI_TYPE = 0x2D


class Malformed(ValueError):
    """Not a packet of this protocol: what a stranger sent is dropped."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose checksum was right. `tags` in the order sent, unknown ones included."""

    type: int
    tags: tuple[tuple[int, bytes], ...]

    def all(self, tag: Tag) -> list[bytes]:
        """Every value of a tag."""
        return [value for found, value in self.tags if found == tag]

    def first(self, tag: Tag) -> bytes | None:
        """A tag's first value."""
        return next(iter(self.all(tag)), None)


def packet_bytes(head: bytes | bytearray) -> int:
    """How long the packet is that begins with these bytes, four or more.

    Raises:
        Malformed: longer than any packet may be.
    """
    assert len(head) >= HEADER_BYTES, "the length is in the header"
    payload_bytes = int.from_bytes(head[2:4], "big")
    if payload_bytes > PAYLOAD_BYTES_MAX:
        raise Malformed(f"a payload of {payload_bytes} bytes, above {PAYLOAD_BYTES_MAX}")
    return HEADER_BYTES + payload_bytes + CRC_BYTES


def decode(data: bytes) -> Packet:
    """The one packet that `data` is.

    Raises:
        Malformed: cut, too long, with a wrong checksum, or with a tag that reaches beyond its end.
    """
    if len(data) < HEADER_BYTES + CRC_BYTES or len(data) != packet_bytes(data):
        raise Malformed("its length is not what it says")
    body, crc = data[:-CRC_BYTES], data[-CRC_BYTES:]
    if crc32(body) != int.from_bytes(crc, "little"):
        raise Malformed("its checksum is wrong")
    return Packet(int.from_bytes(body[:2], "big"), tuple(_tags(body[HEADER_BYTES:])))


def encode(kind: PacketType, tags: Iterable[tuple[Tag, bytes]]) -> bytes:
    """The packet's bytes."""
    payload = b"".join(bytes((tag,)) + _length(len(value)) + value for tag, value in tags)
    assert len(payload) <= PAYLOAD_BYTES_MAX, "whoever makes a packet bounds its values"
    body = kind.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload
    return body + crc32(body).to_bytes(CRC_BYTES, "little")


def _tags(payload: bytes) -> Iterable[tuple[int, bytes]]:
    at = 0
    while at < len(payload):
        tag = payload[at]
        length, at = _read_length(payload, at + 1)
        if at + length > len(payload):
            raise Malformed("a tag reaches beyond the end")
        yield tag, payload[at : at + length]
        at += length


def _read_length(payload: bytes, at: int) -> tuple[int, int]:
    """A value's length and where the value begins."""
    head = payload[at : at + 2]
    if not head or (head[0] > _ONE_BYTE_LENGTH_MAX and len(head) < 2):
        raise Malformed("it ends within a tag")
    if head[0] <= _ONE_BYTE_LENGTH_MAX:
        return head[0], at + 1
    return head[0] & 0x7F | head[1] << 7, at + 2


def _length(length: int) -> bytes:
    assert 0 <= length <= _LENGTH_MAX, "two bytes hold no more"
    if length <= _ONE_BYTE_LENGTH_MAX:
        return bytes((length,))
    return bytes((length & 0x7F | 0x80, length >> 7))
