"""What a player is fed while its upstream is in trouble: null packets, and the tables again.

It keeps a player connected that would give up after three seconds of silence. It is no programme:
neither activity nor progress. Pure.
"""

from typing import Final

from plexbridge.relay.mpegts import NULL_PACKET, counter_of, packet_at, with_counters

FILLER_EVERY_S: Final = 0.25
"""Well below the patience of any player, and less than 50 kbit/s."""

NULLS: Final = NULL_PACKET * 7
"""One network packet's worth; for a silence that may still end by itself."""

_PACKET_BYTES: Final = len(NULL_PACKET)


class Filler:
    """The filler of one outage: tables whose counters go on from the last ones shown."""

    def __init__(self, pat: bytes, pmt: bytes) -> None:
        """The packets of both tables as they were last shown; empty where none were seen."""
        self._pat = pat
        self._pmt = pmt

    def next(self) -> bytes:
        """The next piece."""
        self._pat, self._pmt = _advanced(self._pat), _advanced(self._pmt)
        return self._pat + self._pmt + NULLS


def _advanced(packets: bytes) -> bytes:
    """The same section once more, with counters that follow its own."""
    count = len(packets) // _PACKET_BYTES
    if not count:
        return packets
    return with_counters(packets, counter_of(packet_at(packets, count - 1)) + count)
