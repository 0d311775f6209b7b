"""How far back a relay remembers: to the newest access point, or to whoever lags."""

from collections.abc import Callable

import pytest

from events.ids import SessionId
from plexbridge.relay.fanout import Fanout
from plexbridge.relay.mpegts import PACKET_BYTES
from plexbridge.relay.segments import SEGMENT_BYTES
from plexbridge.relay.tables import TableReader
from tests.service.ts_maker import GROUP, TsMaker

RING_BYTES = 4 * 1024 * 1024
BLOCK = 500 * PACKET_BYTES
FEW_BYTES = 4 * SEGMENT_BYTES
"""Three segments' worth of grain, and the present one."""


class Taker:
    """A sink that takes what it is allowed to, and counts it."""

    def __init__(self) -> None:
        self.on_writable: Callable[[], None] | None = None
        self.writable = True
        self.taken_bytes = 0

    def write(self, chunk: bytes | memoryview) -> None:
        self.taken_bytes += len(chunk)

    def fill(self, packets: bytes) -> None:
        raise AssertionError("nothing is filled in here")

    def accepted(self) -> int:
        return self.taken_bytes


def delivered(fanout: Fanout, maker: TsMaker, count_bytes: int) -> None:
    """Hand on so many bytes, in blocks."""
    for _ in range(count_bytes // BLOCK):
        block = maker.packets(BLOCK // PACKET_BYTES)
        fanout.tables = fanout.tables or TableReader().feed(block)
        fanout.deliver(block)


def held(fanout: Fanout) -> int:
    return fanout.ring.end - fanout.ring.start


@pytest.mark.parametrize("access_points", [True, False])
def test_no_more_is_held_than_since_the_newest_access_point(access_points: bool) -> None:
    """And where there are none, hardly anything: whoever joins begins at the live edge."""
    fanout = Fanout(ring_bytes=RING_BYTES, on_room=lambda: None)
    fanout.join(SessionId("a"), Taker(), flowing=True)
    delivered(fanout, TsMaker(access_points=access_points), 3 * RING_BYTES)
    assert held(fanout) < GROUP * PACKET_BYTES + FEW_BYTES


def test_a_reader_that_lags_is_waited_for_up_to_the_bound() -> None:
    """Then, when it has caught up, the memory is let go of again."""
    fanout = Fanout(ring_bytes=RING_BYTES, on_room=lambda: None)
    maker, slow, fast = TsMaker(), Taker(), Taker()
    slow.writable = False
    lagging = fanout.join(SessionId("slow"), slow, flowing=True)
    fanout.join(SessionId("fast"), fast, flowing=True)
    delivered(fanout, maker, RING_BYTES // 2)
    assert held(fanout) == fanout.ring.end == lagging.lag_bytes
    delivered(fanout, maker, 2 * RING_BYTES)
    assert RING_BYTES <= held(fanout) < RING_BYTES + SEGMENT_BYTES
    assert fast.taken_bytes == fanout.ring.end
    slow.writable = True
    assert slow.on_writable is not None
    slow.on_writable()
    assert (lagging.skips, lagging.lag_bytes) == (1, 0)
    delivered(fanout, maker, 4 * BLOCK)
    assert held(fanout) < GROUP * PACKET_BYTES + FEW_BYTES


def test_before_the_first_reader_nothing_is_let_go_of() -> None:
    """It is to get the upstream from its first packet on."""
    fanout = Fanout(ring_bytes=RING_BYTES, on_room=lambda: None)
    delivered(fanout, TsMaker(), RING_BYTES // 2)
    assert fanout.ring.start == 0
    first = Taker()
    fanout.join(SessionId("a"), first, flowing=True)
    assert first.taken_bytes == fanout.ring.end
