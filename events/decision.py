"""What follows from a command."""

from dataclasses import dataclass

from events.envelope import Draft
from events.ids import SessionId
from events.refusals import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The events to append, and what to tell whoever asked."""

    drafts: tuple[Draft, ...] = ()
    granted: SessionId | None = None
    """The session a `Tune` got: a new one, or its own that was recovering."""
    refusal: Refused | None = None
    """Told to whoever asked; recorded in `drafts` unless it was a moment ago."""
    wait: bool = False
    """Nothing yet: ask again at the next release, until the admission wait is over."""
