"""Which of a channel's upstreams the next attempt goes to, and when. Pure.

Mid-stream a relay first reconnects where it was, then goes round the others; at the start, and
after a reconnect that brought nothing, the next one is asked at once. A backup starts with a clean
slate, because health belongs to each upstream.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from plexbridge.relay.health import UpstreamHealth
from plexbridge.relay.ports import Upstream, UpstreamFailed


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the next attempt goes."""

    upstream: Upstream
    pause_s: float
    """To wait before it; 0 for at once."""
    known: UpstreamFailed | None
    """What this upstream failed with last; None for one that is well."""


class Order:
    """The upstreams of one relay."""

    def __init__(self, upstreams: Sequence[Upstream], health: UpstreamHealth) -> None:
        """`upstreams`: the preferred one first; at least one."""
        assert upstreams, "a channel has an upstream"
        self._upstreams = tuple(upstreams)
        self._health = health
        self._at = 0
        self._begin = 0
        """Where the next round begins."""
        self._pinned = False
        """Whether the next attempt goes to `_begin` whatever is known of it."""
        self._not_before: dict[int, float] = {}
        self._tried: set[int] = set()

    @property
    def current(self) -> Upstream:
        """The upstream of the present or last attempt; before the first, the preferred one."""
        return self._upstreams[self._at]

    def next(self, now: float) -> Choice:
        """Choose, and make it the current one."""
        count = len(self._upstreams)
        turn = [(self._begin + step) % count for step in range(count)]
        if not self._pinned:
            # The earliest that may be asked; of those that may be asked now, the next in turn.
            turn.sort(key=lambda index: max(self._ready_at(index), now))
        self._at = self._begin = turn[0]
        self._pinned = False
        return Choice(
            self.current,
            max(self._ready_at(self._at) - now, 0.0),
            self._health.last_failure(self.current),
        )

    def lost(self, failure: UpstreamFailed, *, gave_bytes: bool, steady: bool, now: float) -> None:
        """The current attempt is over."""
        self._tried.add(self._at)
        self._health.failed(self.current, failure, steady=steady, now=now)
        self._pinned = gave_bytes and self._health.failures(self.current) == 1
        self._begin = self._at if self._pinned else self._at + 1

    def another(self, now: float) -> bool:
        """Whether there is an upstream that was not tried yet and may be asked."""
        untried = (index for index in range(len(self._upstreams)) if index not in self._tried)
        return any(self._ready_at(index) <= now for index in untried)

    def stay(self) -> None:
        """The next attempt goes where the last one went, whatever became of it."""
        self._begin, self._pinned = self._at, True

    def unavailable(self, *, until: float) -> None:
        """The current upstream cannot be had before `until`, through no fault of its own."""
        self._not_before[self._at] = until
        self._begin = self._at + 1

    def _ready_at(self, index: int) -> float:
        return max(
            self._health.ready_at(self._upstreams[index]),
            self._not_before.get(index, float("-inf")),
        )
