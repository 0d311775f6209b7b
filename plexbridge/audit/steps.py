"""Each recorded step of a session against the machine that decided it.

Replay never goes through the guard: an event is a fact. What is asked is whether the step is an
edge of its own machine, and whether it leaves the state that the step before led to.
"""

from dataclasses import dataclass
from typing import Final

from events.envelope import Recorded
from events.machine import NEW, legal
from events.world import World

SESSION_PREFIX: Final = "session-"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said about one step."""

    legal: bool | None
    """None: the machine that decided it is not known to this version."""
    text: str = ""


LEGAL: Final = Verdict(True)


class Steps:
    """Follows the state of every session."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[str, int]] = {}
        self._began_after = 0
        """Every session that was open after the event there is known; 0: none is."""

    def begin(self, world: World, pos: int) -> None:
        """Take over how things stood after the event at `pos`."""
        self._began_after = pos
        self._states = {
            f"{SESSION_PREFIX}{one.id}": (one.state, 0) for one in world.sessions.values()
        }

    def judge(self, row: Recorded) -> Verdict:
        """Whether a session's event is a step it could take; takes it in any case."""
        before = self._states.get(row.stream)
        src, dst, machine = row.src, row.dst, row.machine
        if src is None or dst is None or machine is None:
            return Verdict(False, f"{row.type} names no step (from {src} to {dst} by {machine})")
        self._states[row.stream] = (dst, row.pos)
        if before is None and row.ver == 1:
            before = (NEW, 0)
        if before is None and self._began_after:
            return Verdict(
                False, f"{row.type} leaves {src}, but it was not open at #{self._began_after}"
            )
        if before is not None and before[0] != src:
            since = f" since #{before[1]}" if before[1] else ""
            return Verdict(False, f"{row.type} leaves {src}, but it was {before[0]}{since}")
        allowed = legal(machine, src, row.type, dst)
        if allowed is None:
            return Verdict(None, f"machine {machine} is not known to this version of PlexBridge")
        if not allowed:
            return Verdict(False, f"machine {machine} has no step {row.type}: {src} → {dst}")
        return LEGAL

    def state(self, stream: str) -> str:
        """Where a session is by now."""
        return self._states.get(stream, (NEW, 0))[0]
