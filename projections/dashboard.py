"""The dashboard at any position: what `/api/dashboard` answers is a fold, now and then alike."""

from collections.abc import Callable
from typing import Any, Final, Self

import orjson

from events.envelope import Recorded
from projections.live import Live, Row
from projections.tallies import Ends, Handlers, Sources

NAME: Final = "dashboard"
VERSION: Final = 4
"""Of the stored state, and of the documents and words made of it: where another version is stored,
this one is built beside it, and every session's row with it. What a prune sealed is all there is of
what was before: a new version needs its line in `lifting`."""


class Dashboard:
    """Folds in place; `document` shows, `dump` and `load` keep."""

    def __init__(self, stored: dict[str, Any] | None = None) -> None:
        parts = stored or {}
        self.position: int = parts.get("position", 0)
        self.at: int = parts.get("at", 0)
        self.live = Live(parts.get("live"))
        self.sources = Sources(parts.get("sources"))
        self.ends = Ends(self.live, parts.get("ends"))
        self._handlers: dict[str, tuple[Callable[[Recorded], None], ...]] = {}
        # `Live` comes last: the others look at a session that it is about to forget.
        tables: tuple[Handlers, ...] = (
            self.sources.handlers,
            self.ends.handlers,
            self.live.handlers,
        )
        for type_ in {type_ for table in tables for type_ in table}:
            found = tuple(table[type_] for table in tables if type_ in table)
            self._handlers[type_] = found

    def fold(self, event: Recorded) -> None:
        """Apply the next event."""
        for handle in self._handlers.get(event.type, ()):
            handle(event)
        self.position, self.at = event.pos, event.at

    def document(self) -> Row:
        """What is shown. Times are Unix milliseconds; `at` is that of the event at `position`."""
        return {
            "position": self.position,
            "at": self.at // 1_000,
            "tuners": self.live.tuners(),
            "sessions": self.live.documents(),
            "sources": self.sources.documents(),
            "cleanup": self.ends.cleanup(),
            "totals": self.ends.totals(),
            "just_ended": self.ends.just_ended(),
        }

    def dump(self) -> bytes:
        """The state, to be stored."""
        return orjson.dumps(
            {
                "position": self.position,
                "at": self.at,
                "live": self.live.state,
                "sources": self.sources.state,
                "ends": self.ends.state,
            },
        )

    @classmethod
    def load(cls, stored: bytes) -> Self:
        """Read back what `dump` gave."""
        return cls(orjson.loads(stored))
