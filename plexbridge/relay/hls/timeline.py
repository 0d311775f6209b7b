"""One output timeline over many input time bases: what to add to each, so that time goes on.

Pure. Knows times in ticks of 90 kHz by output PID; nothing of packets. The rule is that of
`reference/hdhomerun.md` section 7: a new time base begins where the last one would have gone on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plexbridge.relay.hls.timestamps import TICKS_PER_S, moved, ticks_after

BACK_TICKS_MAX: Final = TICKS_PER_S // 2
"""Decoding times that fall back by less are a muxer's sloppiness, not another time base."""
AHEAD_TICKS_MAX: Final = 5 * TICKS_PER_S
"""A picture or a frame of sound comes at least so often; a longer step is another time base."""
GOES_ON_TICKS_MAX: Final = TICKS_PER_S
"""A step by less over a declared discontinuity is time that goes on by itself."""
_STEP_TICKS: Final = TICKS_PER_S // 25
"""How long a frame is taken to last where only one was seen."""
_STEP_TICKS_MAX: Final = TICKS_PER_S
_CLOCK_STEP_TICKS_MAX: Final = TICKS_PER_S // 10
"""The longest legal distance of two clock references (ISO/IEC 13818-1 section 2.7.2)."""
_CLOCK_LEAD_TICKS_MAX: Final = TICKS_PER_S
"""How much later than its frames a new base may be put for the sake of its clock reference."""


@dataclass(slots=True)
class _Track:
    """Where one output PID's time stands."""

    last: int
    step: int = _STEP_TICKS
    rebased: bool = False
    """Nothing of the present time base was seen yet."""

    @property
    def following(self) -> int:
        """When the next frame is due."""
        return moved(self.last, self.step)


class Timeline:
    """The times that went out, and what is added to those that come in."""

    def __init__(self) -> None:
        self.offset = 0
        """Ticks added to every time of the present base."""
        self._tracks: dict[int, _Track] = {}
        self._clock: _Track | None = None

    def decodes(self, pid: int, dts: int) -> bool:
        """A frame of this PID comes in: False, and nothing noted, where it is of another base."""
        time = moved(dts, self.offset)
        track = self._tracks.get(pid)
        if track is None:
            self._tracks[pid] = _Track(time)
            return True
        return _advance(track, time)

    def ticks(self, base: int) -> bool:
        """A clock reference comes in: False, and nothing noted, where it is of another base."""
        time = moved(base, self.offset)
        if self._clock is None:
            self._clock = _Track(time, step=_CLOCK_STEP_TICKS_MAX)
            return True
        return _advance(self._clock, time)

    def rebase(self, firsts: Mapping[int, int], clock: int | None) -> bool:
        """A new base begins with these decoding times and this clock reference, as they come in.

        Returns whether the clock takes a step that must be marked as a discontinuity.
        """
        known = {pid: dts for pid, dts in firsts.items() if pid in self._tracks}
        if not self._goes_on_by_itself(known, clock):
            self._choose_offset(known, clock)
        for track in self._tracks.values():
            track.rebased = True
        if self._clock is None:
            return False
        self._clock.rebased = True
        if clock is None:
            return True
        step = ticks_after(moved(clock, self.offset), self._clock.last)
        return not 0 < step <= _CLOCK_STEP_TICKS_MAX

    def _goes_on_by_itself(self, known: Mapping[int, int], clock: int | None) -> bool:
        steps = [
            ticks_after(moved(dts, self.offset), self._tracks[pid].last)
            for pid, dts in known.items()
        ]
        if clock is not None and self._clock is not None:
            steps.append(ticks_after(moved(clock, self.offset), self._clock.last))
        return all(0 < step <= GOES_ON_TICKS_MAX for step in steps)

    def _choose_offset(self, known: Mapping[int, int], clock: int | None) -> None:
        """The smallest with which no PID steps back; nor the clock, if that costs little."""
        wanted = [
            ticks_after(self._tracks[pid].following, moved(dts, self.offset))
            for pid, dts in known.items()
        ]
        if clock is not None and self._clock is not None:
            for_clock = ticks_after(self._clock.following, moved(clock, self.offset))
            if not wanted or for_clock - max(wanted) <= _CLOCK_LEAD_TICKS_MAX:
                wanted.append(for_clock)
        if wanted:
            self.offset = ticks_after(moved(self.offset, max(wanted)), 0)


def _advance(track: _Track, time: int) -> bool:
    step = ticks_after(time, track.last)
    if track.rebased:
        track.rebased = False
    elif not -BACK_TICKS_MAX <= step <= AHEAD_TICKS_MAX:
        return False
    elif 0 < step <= _STEP_TICKS_MAX:
        track.step = step
    track.last = time
    return True
