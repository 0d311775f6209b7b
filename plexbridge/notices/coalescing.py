"""What happens often is told seldom: one notice per kind and subject in a window. Pure.

Nothing is lost by that: what happens within a window is counted, and told at its end.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from events.ids import UnixMicros
from plexbridge.notices.kinds import Kind, Notice, Occurrence

US_PER_S: Final = 1_000_000

WINDOW_S: Final = 600
"""Ten minutes: a channel that fails again and again is one thing to mend."""

SUBJECTS_MAX: Final = 5
"""Of one kind in a window: with a provider gone a dozen channels fail at once. The rest is told
together, as of one subject more."""

TELL_WITHIN_S: Final = 900
"""What is older when it is looked at is history: after a long stop nobody wants it on the phone."""

OTHERS: Final = "*"

_Key = tuple[Kind, str]


@dataclass(slots=True)
class _Window:
    until: UnixMicros
    more: int = 0
    last: Occurrence | None = None
    """The newest of those that were counted."""


class Coalescing:
    """Takes occurrences in any order, gives notices."""

    def __init__(self) -> None:
        self._windows: dict[_Key, _Window] = {}

    def take(self, what: Occurrence, now: UnixMicros) -> Iterator[Notice]:
        """A notice, where it is to be told at once; none where it is counted, or too old."""
        if now - what.at > TELL_WITHIN_S * US_PER_S:
            return
        self._close(now)
        key = self._key(what)
        window = self._windows.get(key)
        if window is not None:
            window.more += 1
            window.last = what
            return
        self._windows[key] = _Window(_after(now))
        yield Notice(what)

    def due(self, now: UnixMicros) -> Iterator[Notice]:
        """What was counted in windows that are over."""
        over = [key for key, window in self._windows.items() if window.until <= now]
        for key in over:
            window = self._windows.pop(key)
            if window.last is None or now - window.until > TELL_WITHIN_S * US_PER_S:
                continue
            self._windows[key] = _Window(_after(now))
            yield Notice(window.last, window.more - 1)

    def next_due(self) -> UnixMicros | None:
        """When something is to be told that was counted."""
        ends = [window.until for window in self._windows.values() if window.more]
        return min(ends, default=None)

    def dump(self) -> list[dict[str, Any]]:
        """As JSON keeps it."""
        return [
            {
                "kind": kind,
                "subject": subject,
                "until": window.until,
                "more": window.more,
                "last": None if window.last is None else asdict(window.last),
            }
            for (kind, subject), window in self._windows.items()
        ]

    def load(self, kept: list[dict[str, Any]], now: UnixMicros) -> None:
        """Go on where `dump` was.

        Raises:
            KeyError, TypeError, ValueError: it is none of ours.
        """
        for one in kept:
            last = one["last"]
            self._windows[Kind(one["kind"]), str(one["subject"])] = _Window(
                # A clock that was set back must not keep a window open for ever.
                min(UnixMicros(int(one["until"])), _after(now)),
                int(one["more"]),
                None if last is None else Occurrence(**{**last, "kind": Kind(last["kind"])}),
            )

    def _close(self, now: UnixMicros) -> None:
        """Forget windows that are over and have counted nothing."""
        for key in [key for key, one in self._windows.items() if one.until <= now]:
            if not self._windows[key].more:
                del self._windows[key]

    def _key(self, what: Occurrence) -> _Key:
        key, others = (what.kind, what.subject), (what.kind, OTHERS)
        if key in self._windows:
            return key
        if others in self._windows:  # or one that was told among them is told twice
            return others
        open_ = sum(kind is what.kind for kind, _ in self._windows)
        return key if open_ < SUBJECTS_MAX else others


def _after(now: UnixMicros) -> UnixMicros:
    return UnixMicros(now + WINDOW_S * US_PER_S)
