"""Both stored folds together, at one position: what is shown, and what is decided on."""

from typing import Self

from events.envelope import Recorded
from events.world import World, evolve
from projections import dashboard, world_state
from projections.dashboard import Dashboard

Stored = dict[tuple[str, int], bytes]
"""(name, version) → state."""


class Folding:
    """The dashboard and the decided state after the same event."""

    def __init__(self, shown: Dashboard | None = None, decided: World | None = None) -> None:
        self.shown = shown or Dashboard()
        self.decided = decided or World()

    @property
    def position(self) -> int:
        """The last event folded."""
        return self.shown.position

    def fold(self, event: Recorded) -> None:
        """Apply the next event."""
        assert event.pos == self.position + 1, f"event {event.pos} follows {self.position}"
        evolve(self.decided, event)
        self.shown.fold(event)  # last: whichever raises, `position` is still that before

    def dump(self) -> Stored:
        """The states, to be stored under their names and versions."""
        return {
            (dashboard.NAME, dashboard.VERSION): self.shown.dump(),
            (world_state.NAME, world_state.VERSION): world_state.dump(self.decided),
        }

    @classmethod
    def load(cls, stored: Stored) -> Self | None:
        """Read back what `dump` gave; None where a part is missing or of another version."""
        shown = stored.get((dashboard.NAME, dashboard.VERSION))
        decided = stored.get((world_state.NAME, world_state.VERSION))
        if shown is None or decided is None:
            return None
        return cls(Dashboard.load(shown), world_state.load(decided))
