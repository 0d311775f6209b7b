"""How a state that an earlier release sealed is read today.

Stored states can be folded anew, so one of another version is not read. Behind a prune
the events are gone and the sealed state is all there is: whoever changes the version of a state
adds here how the version before it becomes the new one.
"""

from collections.abc import Callable, Mapping
from typing import Final

from projections import dashboard, world_state
from projections.folding import Stored

Lift = Callable[[bytes], bytes]

LIFTS: Final[Mapping[tuple[str, int], Lift]] = {}
"""(name, version) to what makes a state of that version one of the next."""

CURRENT: Final = {dashboard.NAME: dashboard.VERSION, world_state.NAME: world_state.VERSION}


def lifted(stored: Stored, lifts: Mapping[tuple[str, int], Lift] | None = None) -> Stored:
    """The same states in the versions of this release, as far as it knows how: by `LIFTS`, unless
    others are given."""
    lifts, today = LIFTS if lifts is None else lifts, Stored()
    for (name, version), state in stored.items():
        while version < CURRENT.get(name, 0) and (name, version) in lifts:
            state = lifts[name, version](state)
            version += 1
        today[name, version] = state
    return today
