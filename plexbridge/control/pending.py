"""A decision on its way to the disk, and which of its effects wait until it is there."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from events.commands import Command, Tune
from events.envelope import NewEvent
from plexbridge.log.port import Durable

_Events = tuple[NewEvent, ...]
_RELEASE: Final = "tuner_released"


@dataclass(slots=True)
class Pending:
    """What was decided, and who waits for it to be durable."""

    command: Command
    actor: str
    events: _Events
    durable: "asyncio.Future[Durable]"
    unheard: list[_Events] = field(default_factory=list)
    """What each attempt to store it wrote, of which only the failure was heard."""
    at_once: _Events = ()
    """To be carried out without waiting; what gives never is."""
    when_durable: _Events = ()

    def __post_init__(self) -> None:
        if isinstance(self.command, Tune):
            self.when_durable = self.events
        else:
            self.at_once = self.events

    def resolve(self, rows: Durable) -> None:
        """Tell whoever waits; nothing, where they were told or are gone."""
        if not self.durable.done():
            self.durable.set_result(rows)

    def wait_with_releases(self) -> None:
        """It rests on a tune that is not durable. Should that be lost, a lease that was returned
        after it is in force again, so its relay must not be closed before."""
        self.at_once = tuple(event for event in self.events if event.type != _RELEASE)
        self.when_durable = self.waited_for(self.events)

    def waited_for(self, events: _Events) -> _Events:
        """Of what an attempt wrote, that which may have waited to be carried out."""
        if isinstance(self.command, Tune):
            return events
        return tuple(event for event in events if event.type == _RELEASE)

    def heard_in(self, rows: Durable) -> _Events:
        """The attempt that these rows show to be stored after all; empty if there is none."""
        stored = {row.id for row in rows}
        for events in self.unheard:
            if all(event.id in stored for event in events):
                return events
        return ()

    def releases(self) -> set[tuple[str, int]]:
        """Channel streams and leases that it returns."""
        return {
            (event.stream, event.payload["lease"])
            for event in self.events
            if event.type == _RELEASE
        }
