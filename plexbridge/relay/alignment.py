"""From body bytes as they come to whole packets, the slow and certain way: a sync is looked for,
and what is no packet is dropped.

Pure. Knows the sync byte and its stride; nothing of what the packets carry.
"""

from typing import Final

from plexbridge.relay.mpegts import (
    PACKET_BYTES,
    SYNC,
    SYNC_BYTE,
    SYNC_SPAN_BYTES,
    find_sync,
)

SYNC_LIMIT_BYTES: Final = 65_536
"""How far a sync is looked for (`reference/transport.md`, fault 20)."""


class NotMpegTs(Exception):
    """No sync within the limit: this is something else (an error page, a playlist)."""

    def __init__(self, searched_bytes: int) -> None:
        super().__init__(f"no MPEG-TS sync in {searched_bytes} bytes")
        self.searched_bytes = searched_bytes


class Aligner:
    """Cuts a body into whole packets, drops what is not packets, finds the sync again."""

    def __init__(self) -> None:
        self._tail = b""
        self._synced = False
        self._ever_synced = False
        self._searched_bytes = 0
        self.discarded_bytes = 0
        """Bytes that were no packets: before the first sync, and between two syncs."""
        self.sync_losses = 0

    @property
    def synced(self) -> bool:
        """Whether what came last was in sync."""
        return self._synced

    def take_rest(self) -> bytes:
        """The beginning of a packet that waits for the rest of it; it is the caller's now."""
        assert self._synced, "without sync there is no packet to begin"
        rest, self._tail = self._tail, b""
        return rest

    def feed(self, chunk: bytes) -> bytes:
        """The whole packets that are complete now; maybe none. A remainder waits for the next.

        Raises:
            NotMpegTs: nothing like a packet for `SYNC_LIMIT_BYTES`.
        """
        data = self._tail + chunk if self._tail else chunk
        if self._synced:
            whole = len(data) - len(data) % PACKET_BYTES
            if data[:whole:PACKET_BYTES].count(SYNC) == whole // PACKET_BYTES:
                if whole == len(data):
                    self._tail = b""
                    return data
                self._tail = data[whole:]
                return data[:whole]
        return self._search(data)

    def flush(self) -> bytes:
        """What is left when a finite body is over, so that it comes out byte for byte.

        Raises:
            NotMpegTs: the whole body was too short for a sync, and is not packets either.
        """
        rest, self._tail = self._tail, b""
        if self._synced or not rest:
            return rest
        if self._ever_synced:
            self.discarded_bytes += len(rest)
            return b""
        strides = rest[::PACKET_BYTES]
        if len(rest) < PACKET_BYTES or strides.count(SYNC) != len(strides):
            raise NotMpegTs(len(rest))
        return rest

    def _search(self, data: bytes) -> bytes:
        """The slow way: some sync byte is not where it belongs, or none was seen yet."""
        found: list[bytes] = []
        at = 0
        while True:
            if self._synced:
                run = _run(data, at)
                found.append(data[at : at + run])
                at += run
                if len(data) - at < PACKET_BYTES and data[at : at + 1] in (b"", SYNC_BYTE):
                    break
                self._synced = False
                self.sync_losses += 1
            start = find_sync(data, at)
            if start is None:
                at = self._give_up_on(data, at)
                break
            self._synced = self._ever_synced = True
            self._searched_bytes = 0
            self.discarded_bytes += start - at
            at = start
        self._tail = data[at:]
        packets = b"".join(found)
        if not packets and self._searched_bytes > SYNC_LIMIT_BYTES:
            raise NotMpegTs(self._searched_bytes)  # good packets before it are delivered first
        return packets

    def _give_up_on(self, data: bytes, at: int) -> int:
        """Drop what can no longer begin a sync; where the rest begins."""
        keep_from = max(at, len(data) - SYNC_SPAN_BYTES + 1)
        self._searched_bytes += keep_from - at
        self.discarded_bytes += keep_from - at
        return keep_from


def _run(data: bytes, at: int) -> int:
    """Length in bytes of the whole packets that follow one another from `at`."""
    strides = data[at::PACKET_BYTES]
    in_a_row = len(strides) - len(strides.lstrip(SYNC_BYTE))
    return min(in_a_row, (len(data) - at) // PACKET_BYTES) * PACKET_BYTES
