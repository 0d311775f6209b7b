"""From what an upstream sends to whole packets in the ring: by place while the stream is in sync,
through the aligner while it is not.

Pure. One per attempt: each begins without a sync and without a piece of a packet of the one before.
"""

from collections.abc import Callable

from plexbridge.relay.alignment import Aligner
from plexbridge.relay.mpegts import PACKET_BYTES, Block
from plexbridge.relay.ring import Ring


class Intake:
    """Where the bytes of one attempt go in."""

    def __init__(self, ring: Ring, deliver: Callable[[Block], None]) -> None:
        """`deliver` is given whole packets. They hold during the call only: what is appended to
        the ring stays there, anything else that is to be kept is copied."""
        self._ring = ring
        self._deliver = deliver
        self._aligner = Aligner()
        ring.drop_waiting(ring.waiting_bytes)

    def room(self) -> memoryview:
        """Memory to read into; tell `filled` how much of it was."""
        return self._ring.room()

    def filled(self, count: int) -> None:
        """That many bytes were read into `room`. Delivers the packets that are whole now.

        Raises:
            NotMpegTs: nothing like a packet for too long.
        """
        ring = self._ring
        ring.filled(count)
        if self._aligner.synced:
            whole = ring.waiting_bytes - ring.waiting_bytes % PACKET_BYTES
            if ring.waits_in_sync(whole):
                if whole:
                    self._hand_on(whole)
                return
        self._search()

    def received(self, chunk: Block) -> None:
        """Take bytes that were read elsewhere.

        Raises:
            NotMpegTs: nothing like a packet for too long.
        """
        rest = memoryview(chunk)
        while rest:
            room = self.room()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            rest = rest[count:]
            self.filled(count)

    def flush(self) -> None:
        """A finite body is over: deliver what is left of it, so that it comes out byte for byte.

        Raises:
            NotMpegTs: the whole body was too short for a sync, and is not packets either.
        """
        if self._aligner.synced:
            if self._ring.waiting_bytes:
                self._hand_on(self._ring.waiting_bytes)
        elif rest := self._aligner.flush():
            self._deliver(rest)

    def _hand_on(self, count: int) -> None:
        ring = self._ring
        waiting = ring.waiting_bytes
        self._deliver(ring.waiting(count))
        if ring.waiting_bytes == waiting:
            ring.drop_waiting(count)  # Nobody appended them.

    def _search(self) -> None:
        ring = self._ring
        data = bytes(ring.waiting(ring.waiting_bytes))
        ring.drop_waiting(len(data))
        packets = self._aligner.feed(data)
        # Before the packets are delivered: that may be the end of this attempt.
        if self._aligner.synced:
            ring.wait(self._aligner.take_rest())
        if packets:
            self._deliver(packets)
