"""From recorded events to notices: what is worth telling, and how often. Pure, and to be kept."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from events.envelope import Recorded
from events.ids import Position, UnixMicros
from plexbridge.notices.coalescing import TELL_WITHIN_S, US_PER_S, Coalescing
from plexbridge.notices.kinds import Notice, Occurrence
from plexbridge.notices.standing import GUIDES_LOOKED_AT_AFTER_S
from plexbridge.notices.watch import Watch

FORM: Final = 1
"""Of what is kept. Another one's is not read, and the past is not told."""


class Deciding:
    """The whole rule. `now` never decides what an event means, only whether it is news."""

    def __init__(self, position: Position) -> None:
        self.position = position
        """The last event folded."""
        self.watch = Watch()
        self._coalescing = Coalescing()

    def fold(self, events: Iterable[Recorded], now: UnixMicros) -> list[Notice]:
        """Further events, in order; those at or before `position` are known."""
        notices: list[Notice] = []
        for event in events:
            if event.pos <= self.position:
                continue
            notices += self._taken(self.watch.fold(event), now)
            self.position = event.pos
        return notices

    def due(self, now: UnixMicros) -> list[Notice]:
        """What time has made worth telling."""
        # What was counted first: a window that is over is told before another occurrence joins it.
        notices = list(self._coalescing.due(now))
        return notices + self._taken(self.watch.due(now), now)

    def next_due(self) -> UnixMicros | None:
        """When to ask `due` again, if no event comes before."""
        ends = (self._coalescing.next_due(), self.watch.next_due())
        return min((end for end in ends if end is not None), default=None)

    def begin(self, now: UnixMicros) -> None:
        """The bridge starts, perhaps after a long stop: what waited to be told is too old."""
        self.watch.sources.forget_old(UnixMicros(now - TELL_WITHIN_S * US_PER_S))
        self.watch.guides.looked_at_from = UnixMicros(now + GUIDES_LOOKED_AT_AFTER_S * US_PER_S)

    def dump(self) -> dict[str, Any]:
        """As JSON keeps it. Names of channels and players, and no credential."""
        return {
            "form": FORM,
            "position": self.position,
            "watch": self.watch.dump(),
            "windows": self._coalescing.dump(),
        }

    @classmethod
    def load(cls, kept: Mapping[str, Any], now: UnixMicros) -> Self | None:
        """Go on where `dump` was; None where it is of another form, or damaged."""
        try:
            if kept["form"] != FORM:
                return None
            made = cls(Position(int(kept["position"])))
            made.watch = Watch(kept["watch"])
            made._coalescing.load(kept["windows"], now)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        made.begin(now)
        return made

    def _taken(self, occurrences: Iterable[Occurrence], now: UnixMicros) -> list[Notice]:
        return [notice for one in occurrences for notice in self._coalescing.take(one, now)]
