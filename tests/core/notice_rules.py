"""Decided from a story: what people would have been told, looked at every half a second."""

from typing import Any

from events.commands import Note
from events.envelope import Recorded
from events.ids import Position
from plexbridge.notices.deciding import Deciding
from plexbridge.notices.kinds import Notice
from tests.core.given import Story, at
from tests.core.histories import recorded

Told = list[tuple[float, Notice]]
"""The second of each notice."""


def note(stream: str, type_: str, second: float, **payload: Any) -> Note:
    """A fact beside the sessions."""
    return Note(at=at(second), stream=stream, type=type_, payload=tuple(payload.items()))


def told(
    events: list[Recorded], *, until: float, step: float = 0.5, deciding: Deciding | None = None
) -> Told:
    """Every notice, from the first event on, by a desk that looks that often."""
    desk = deciding or Deciding(Position(0))
    notices: Told = []
    waiting = [event for event in events if event.pos > desk.position]
    second = 0.0
    while second <= until:
        now = at(second)
        ready = [event for event in waiting if event.at <= now]
        waiting = waiting[len(ready) :]
        found = desk.fold(ready, now) + desk.due(now)
        notices += [(second, notice) for notice in found]
        second += step
    return notices


def of_story(story: Story, *, until: float, step: float = 0.5) -> Told:
    """The same of a story's events."""
    return told(recorded(story.events), until=until, step=step)


def kinds(notices: Told) -> list[tuple[float, str]]:
    """When, and of what kind."""
    return [(second, str(notice.what.kind)) for second, notice in notices]
