"""Both stored folds together: what is shown, and what is decided on."""

from typing import Self

from events.envelope import Recorded
from events.world import World
from projections import dashboard, world_state
from projections.dashboard import Dashboard
from projections.world_state import Decided

Stored = dict[tuple[str, int], bytes]
"""(name, version) → state."""


class Folding:
    """The dashboard and the decided state after the same event. One that begins further on than the
    other waits for it: each is stored, and kept, on its own."""

    def __init__(self, shown: Dashboard | None = None, decided: Decided | None = None) -> None:
        self.shown = shown or Dashboard()
        self.ground = decided or Decided(position=self.shown.position, at=self.shown.at)
        """What is decided on, with its place."""

    @property
    def decided(self) -> World:
        """What is decided on."""
        return self.ground.world

    @property
    def position(self) -> int:
        """The last event folded by both."""
        return min(self.shown.position, self.ground.position)

    def fold(self, event: Recorded) -> None:
        """Apply the next event. Whichever fold raises, `position` is still that before."""
        assert event.pos == self.position + 1, f"event {event.pos} follows {self.position}"
        if event.pos > self.ground.position:
            self.ground.fold(event)
        if event.pos > self.shown.position:
            self.shown.fold(event)

    def dump(self) -> Stored:
        """The states, to be stored under their names and versions."""
        return {
            (dashboard.NAME, dashboard.VERSION): self.shown.dump(),
            (world_state.NAME, world_state.VERSION): self.ground.dump(),
        }

    @classmethod
    def load(cls, stored: Stored) -> Self | None:
        """Read back what `dump` gave; None where a part is missing or of another version."""
        shown = stored.get((dashboard.NAME, dashboard.VERSION))
        decided = stored.get((world_state.NAME, world_state.VERSION))
        if shown is None or decided is None:
            return None
        loaded = Dashboard.load(shown)
        there = Decided.load(decided, position=loaded.position, at=loaded.at)
        return cls(loaded, there)
