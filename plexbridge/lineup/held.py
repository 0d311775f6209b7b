"""One source in force: what is known of it, and when it is read next. Pure but for the clock."""

from dataclasses import dataclass
from random import Random
from typing import Final

from plexbridge.clock import Clock
from plexbridge.lineup.errors import LineupError, PlaylistUnreadable
from plexbridge.lineup.source import Source, headers_mark
from plexbridge.lineup.source_files import Facts
from plexbridge.lineup.source_options import NOT_SET, SourceOptions, with_options

FILE_EVERY_S: Final = 900.0
"""Between two looks at a file, which cost nothing: another program writes it when it likes."""

JITTER: Final = 0.1
"""Of the time between two readings, more or less: not all bridges come in the same minute."""

RETRY_S: Final = (60.0, 3_600.0)
"""After a failure: at first, and at most; doubled each time."""


@dataclass(slots=True)
class Held:
    """A source, what it listed last, and when it is to be read."""

    written: Source
    """As the settings say it."""
    options: SourceOptions = NOT_SET
    facts: Facts | None = None
    due_s: float = 0.0
    """On the monotonic clock."""
    failures: int = 0
    error: LineupError | None = None
    """Why the last reading was not taken."""

    @property
    def source(self) -> Source:
        """As the settings say it, and a person in the page."""
        return with_options(self.written, self.options)

    @property
    def problem(self) -> str | None:
        """Why the last reading was not taken, in one line."""
        return None if self.error is None else str(self.error)

    @property
    def allowed(self) -> int:
        """Connections at once, as the provider and a person say; 0: neither does."""
        account = None if self.facts is None else self.facts.account
        said = (self.source.max_connections, account.max_connections if account else 0)
        return min((number for number in said if number), default=0)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When sources are read."""

    clock: Clock
    random: Random
    every_hours: int
    """Where a source says nothing else; 0: never by itself."""

    def due_s(self, source: Source, facts: Facts) -> float:
        """When it is to be read again, on the monotonic clock: at once, where it was asked with
        other headers than it is to be asked with."""
        now = self.clock.monotonic()
        as_now = facts.asked_with == headers_mark(source.headers)
        return now + self._every_s(source) if as_now else now

    def retry_s(self, failures: int, error: LineupError) -> float:
        """When it is to be tried again, on the monotonic clock."""
        asked_s = error.retry_after_s if isinstance(error, PlaylistUnreadable) else None
        first, most = RETRY_S
        waited = max(min(most, first * 2.0 ** min(failures - 1, 10)), asked_s or 0.0)
        return self.clock.monotonic() + waited * self.random.uniform(1.0, 1.0 + JITTER)

    def _every_s(self, source: Source) -> float:
        hours = self.every_hours if source.refresh_hours is None else source.refresh_hours
        if not hours:
            return float("inf")
        every_s = min(hours * 3_600.0, FILE_EVERY_S if source.is_file else float("inf"))
        jitter = JITTER if source.refresh_jitter is None else source.refresh_jitter / 100
        return every_s * self.random.uniform(1 - jitter, 1 + jitter)
