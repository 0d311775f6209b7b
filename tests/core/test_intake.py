"""From body bytes to packets in the ring: without copying while in sync, searching when not."""

import random

import pytest

from plexbridge.relay.alignment import SYNC_LIMIT_BYTES, NotMpegTs
from plexbridge.relay.intake import Intake
from plexbridge.relay.mpegts import PACKET_BYTES, Block
from plexbridge.relay.ring import Ring
from tests.service.ts_maker import TsMaker

GARBAGE = b"<html>G G no stream here</html>" * 20


class Relayed:
    """A ring, and what was delivered on the way into it."""

    def __init__(self, *, keeps: bool = True) -> None:
        self.ring = Ring(10_000_000)
        self.out = b""
        self.keeps = keeps
        self.intake = Intake(self.ring, self.deliver)

    def deliver(self, block: Block) -> None:
        self.out += bytes(block)
        if self.keeps:
            self.ring.append(block)

    def read(self, data: bytes) -> None:
        """As a socket would: into the room that there is."""
        while data:
            room = self.intake.room()
            count = min(len(room), len(data))
            room[:count] = data[:count]
            self.intake.filled(count)
            data = data[count:]


def cut(data: bytes, seed: int) -> list[bytes]:
    """The data in pieces of all sizes."""
    sizes = random.Random(seed)
    pieces = []
    while data:
        size = sizes.choice((1, 187, 188, 1_316, 20_000, 100_000, 300_000))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("keeps", [True, False], ids=["appended", "held-by-another"])
def test_a_clean_body_comes_out_byte_for_byte(seed: int, keeps: bool) -> None:
    """However it is cut, read or received; a remainder at the end of it."""
    body = TsMaker().packets(8_000) + b"\x47 and a rest"
    relayed = Relayed(keeps=keeps)
    for index, piece in enumerate(cut(body, seed)):
        if index % 3:
            relayed.read(piece)
        else:
            relayed.intake.received(piece)
        assert len(relayed.out) % PACKET_BYTES == 0
    relayed.intake.flush()
    assert relayed.out == body
    if keeps:
        assert b"".join(relayed.ring.after(0)) == body


@pytest.mark.parametrize("seed", range(5))
def test_what_is_no_packet_reaches_nobody(seed: int) -> None:
    """Before and in the middle of a stream; after it the bytes go straight in again."""
    maker = TsMaker()
    first, second = maker.packets(3_000), maker.packets(3_000)
    relayed = Relayed()
    for piece in cut(GARBAGE + first + GARBAGE + second, seed):
        relayed.read(piece)
    assert relayed.out == first + second
    assert b"".join(relayed.ring.after(0)) == first + second
    room = relayed.intake.room()
    room[:PACKET_BYTES] = maker.packets(1)
    end = relayed.ring.end
    relayed.intake.filled(PACKET_BYTES)
    assert relayed.ring.end == end + PACKET_BYTES


def test_a_page_ends_the_attempt() -> None:
    """Within the limit, and not one byte of it comes out."""
    relayed = Relayed()
    good = TsMaker().packets(50)
    relayed.read(good)
    with pytest.raises(NotMpegTs):
        relayed.read(GARBAGE * (2 * SYNC_LIMIT_BYTES // len(GARBAGE)))
    assert relayed.out == good


def test_the_next_attempt_begins_clean() -> None:
    """Half a packet of the one before is not in front of its stream."""
    relayed = Relayed()
    good = TsMaker().packets(50)
    relayed.read(good + b"\x47half")
    relayed.intake = Intake(relayed.ring, relayed.deliver)
    relayed.read(good)
    assert relayed.out == good + good
