"""Whether an upstream keeps up with its own programme: its clock against ours.

A channel that delivers at half its rate never stalls and is never well: players stop and go. The
programme clock reference says how much programme came, whatever the bit rate. Pure.
"""

from collections import deque
from typing import Final

from plexbridge.relay.mpegts import HAS_FIELD, PACKET_BYTES, Block, pcr_of

PACE_MIN: Final = 0.7
"""Programme seconds per second (`reference/transport.md`, fault 25)."""

PACE_WINDOW_S: Final = 20.0
"""How long it has to be slower than that: no pause of a segment or of an encoder lasts as long."""

_TICKS_PER_S: Final = 27_000_000
_WRAP_TICKS: Final = (1 << 33) * 300
_LEAP_S: Final = 5.0
"""A clock that went on by this much more than ours, or went back, was set: we measure anew."""


def seconds_between(before: int, after: int) -> float:
    """Seconds from one clock reference to a later one, over its wrap."""
    return (after - before) % _WRAP_TICKS / _TICKS_PER_S


class Pace:
    """Follows one attempt's clock, seen about once a second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def saw(self, pcr: int, now: float) -> float | None:
        """A clock reference in 27 MHz ticks, read at `now`. Programme seconds per second over the
        last `PACE_WINDOW_S`; None while that is not known."""
        if self._seen:
            then, before = self._seen[-1]
            step_s = seconds_between(before, pcr)
            if step_s > now - then + _LEAP_S:
                self._seen.clear()
        self._seen.append((now, pcr))
        while len(self._seen) > 1 and now - self._seen[1][0] >= PACE_WINDOW_S:
            self._seen.popleft()
        since, first = self._seen[0]
        if now - since < PACE_WINDOW_S:
            return None
        return seconds_between(first, pcr) / (now - since)

    def restart(self) -> None:
        """We did not read for a while: what was seen before says nothing."""
        self._seen.clear()


def last_pcr(block: Block, pid: int) -> int | None:
    """The newest clock reference of this PID in a block of whole packets."""
    fields = bytes(block[3::PACKET_BYTES]).translate(HAS_FIELD)
    index = fields.rfind(1)
    while index >= 0:
        at = index * PACKET_BYTES
        if (block[at + 1] & 0x1F) << 8 | block[at + 2] == pid:
            pcr = pcr_of(bytes(block[at : at + PACKET_BYTES]))
            if pcr is not None:
                return pcr
        index = fields.rfind(1, 0, index)
    return None
