"""Whether a client keeps up with its channel: what it took of what was to be had.

Pure. A client that takes a byte a second is not idle, so no deadline ends it; and one that is
skipped forward again and again sees no programme. Rules: fault table rows 5 and 7 of the
transport reference.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from events.ids import UnixMicros
from events.policy import Policy

LEAST_SHARE: Final = 0.25
"""Of the bytes that were to be had. A player that pauses for as long as `active_idle_ms` allows
(20 of 30 s) and reads on at the channel's rate has taken a third."""

SKIPS_WINDOW_MS: Final = 60_000
"""`skips_allowed` counts within this time."""

LEAST_RATE_BYTES_S: Final = 8_000
"""Of a channel whose rate nobody knows, because its only readers hold it back: 64 kbit/s, a small
radio station. A finite programme is read as slowly as it is played, which must not be held against
its player."""

LITTLE_BYTES_S: Final = 2_000
"""An upstream that gave less than this gave too little to judge anyone by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptake:
    """What was seen of a client lately."""

    over_ms: int
    """How long it was watched, at most `uptake_window_ms`."""
    taken_bytes: int
    offered_bytes: int
    """To be had in the same time."""
    behind_ms: int
    """How long every sample has found bytes that it had not taken."""
    skips: int
    """Within `SKIPS_WINDOW_MS`."""


def too_slow(uptake: Uptake, policy: Policy) -> bool:
    """Whether it is to be let go."""
    if uptake.skips > policy.skips_allowed:
        return True
    if uptake.over_ms < policy.uptake_window_ms or uptake.behind_ms * 3 < policy.uptake_window_ms:
        return False
    if uptake.offered_bytes * 1_000 < LITTLE_BYTES_S * uptake.over_ms:
        return False
    return uptake.taken_bytes < LEAST_SHARE * uptake.offered_bytes


class Sample(NamedTuple):
    """One observation of a client and its relay. Byte counts are totals that never fall."""

    at: UnixMicros
    accepted_bytes: int
    """By the client's socket."""
    relayed_bytes: int
    """By its relay, from the upstream."""
    waiting: bool
    """Bytes are to be had that it has not taken."""
    free: bool
    """Some client of the relay keeps up, so that the upstream flows as it likes."""
    media_bytes_s: float | None
    """The channel's own rate by its clock, if it is known."""
    skips: int


class UptakeTrack:
    """The samples of one connection."""

    def __init__(self) -> None:
        self._last: Sample | None = None
        self._offered = 0.0
        self._behind_since: UnixMicros | None = None
        self._window: deque[tuple[UnixMicros, int, float]] = deque()
        self._skipped: deque[tuple[UnixMicros, int]] = deque()

    def add(self, sample: Sample, window_ms: int) -> Uptake:
        """Take a sample into account; what is seen over the last `window_ms` with it."""
        last, self._last = self._last or sample, sample
        self._offered += _offered(last, sample)
        if not sample.waiting:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = sample.at
        if sample.skips > last.skips:
            self._skipped.append((sample.at, sample.skips - last.skips))
        while self._skipped and sample.at - self._skipped[0][0] > SKIPS_WINDOW_MS * 1_000:
            self._skipped.popleft()
        window = self._window
        window.append((sample.at, sample.accepted_bytes, self._offered))
        # The oldest that is kept is the newest one that is old enough.
        while len(window) > 1 and sample.at - window[1][0] >= window_ms * 1_000:
            window.popleft()
        begun, accepted, offered = window[0]
        since = sample.at if self._behind_since is None else self._behind_since
        return Uptake(
            over_ms=(sample.at - begun) // 1_000,
            taken_bytes=sample.accepted_bytes - accepted,
            offered_bytes=round(self._offered - offered),
            behind_ms=(sample.at - since) // 1_000,
            skips=sum(count for _, count in self._skipped),
        )


def _offered(last: Sample, sample: Sample) -> float:
    """Bytes that were to be had between two samples.

    While some client keeps up it is what came. While none does, what comes is what they take; then
    it is the channel's own rate, or the least that a channel has.
    """
    if sample.free or not sample.waiting:
        return sample.relayed_bytes - last.relayed_bytes
    rate = LEAST_RATE_BYTES_S if sample.media_bytes_s is None else sample.media_bytes_s
    return rate * (sample.at - last.at) / 1_000_000
