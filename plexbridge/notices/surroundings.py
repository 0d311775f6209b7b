"""What the desk asks of the bridge around it. Of a bridge is named here what is used of it."""

from typing import Any, NamedTuple, Protocol

from events.ids import Position
from plexbridge.clock import Clock
from plexbridge.control.projector import Projector
from plexbridge.lineup.guide.in_force import GuideInForce
from plexbridge.lineup.in_force import LineupInForce
from plexbridge.log.port import EventLog
from plexbridge.settings import Settings


class GuideReach(NamedTuple):
    """How far one programme guide reaches."""

    key: str
    latest_s: int | None
    """When its last programme begins, seconds since 1970; None: it was not read yet."""
    matched: bool
    """Whether a channel of the lineup is in it."""


class Surroundings(NamedTuple):
    """How things stand at a moment."""

    position: Position | None
    """Of the log, which the dashboard shows; None while it is not level with it."""
    sessions: list[dict[str, Any]]
    """Open ones, as the dashboard has them; none are known while that is being built."""
    sources: list[str] | None
    """Ids; None: not known yet."""
    guides: list[GuideReach] | None
    """None: not known yet."""


class Around(Protocol):
    """A bridge."""

    @property
    def settings(self) -> Settings: ...
    @property
    def log(self) -> EventLog: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def projector(self) -> Projector: ...
    @property
    def sources(self) -> LineupInForce | None: ...
    @property
    def guides(self) -> GuideInForce | None: ...


def surroundings(bridge: Around) -> Surroundings:
    """As they are now."""
    sources, guides = bridge.sources, bridge.guides
    built = bridge.projector.being_built is None
    level = built and bridge.projector.parked is None
    return Surroundings(
        position=Position(bridge.projector.position) if level else None,
        sessions=bridge.projector.dashboard()["sessions"] if built else [],
        sources=None if sources is None else [one.source.id for one in sources.status()],
        guides=None
        if guides is None
        else [
            GuideReach(
                one.key,
                None if one.figures is None else one.figures.latest,
                one.figures is not None and one.figures.matched > 0,
            )
            for one in guides.status()
        ],
    )
