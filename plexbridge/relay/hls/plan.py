"""Which segment comes next, when to look again, and when a playlist has died.

Pure: playlists and monotonic seconds in, decisions out. Fetches nothing and waits for nothing. The
rules are those of RFC 8216 sections 6.3.3 and 6.3.4 where nothing else is said.
"""

from dataclasses import dataclass
from typing import Final

from plexbridge.relay.hls.playlist import MediaPlaylist, Segment

START_TARGETS: Final = 3
"""How far behind the live end to begin, in target durations (RFC 8216 section 6.3.3)."""
STALE_TARGETS: Final = 3
"""A playlist that did not change for so many target durations is dead (3 to 5 is common)."""
STALE_S_MIN: Final = 6.0
"""Short targets would call two late segments a death."""
SKIPS_IN_A_ROW_MAX: Final = 3
"""Segments that did not come, one after another. More is not an accident of a cache."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The next segment. `fresh`: it does not go on where the one before it ended."""

    segment: Segment
    fresh: bool


class Plan:
    """Follows one media playlist from reload to reload."""

    def __init__(self, playlist: MediaPlaylist, *, began_s: float) -> None:
        """`began_s`: when loading it began."""
        self._playlist = playlist
        self._next_sequence = (
            playlist.segments[_start_index(playlist)].sequence
            if (playlist.segments)
            else playlist.first_sequence
        )
        self._empty_so_far = not playlist.segments
        self._fresh = True
        self._discontinuity: int | None = None
        self._changed_s = began_s
        self._skips = 0
        self._skipped_why = ""
        self._reload_failure: str | None = None
        self._reload_at_s = began_s + playlist.target_s

    @property
    def target_s(self) -> int:
        """The target duration in force, in seconds."""
        return self._playlist.target_s

    @property
    def stale_after_s(self) -> float:
        """How long the playlist may stay as it is, in seconds."""
        return max(self._playlist.target_s * STALE_TARGETS, STALE_S_MIN)

    @property
    def reload_at_s(self) -> float | None:
        """When to look again; None when nothing will be added."""
        return None if self._playlist.ended else self._reload_at_s

    @property
    def finished(self) -> bool:
        """Whether everything there is has been planned and nothing will be added."""
        return self._playlist.ended and self._next_sequence >= self._playlist.end_sequence

    def failure(self, now_s: float) -> str | None:
        """The word for why to give up, or None. A stale playlist is played to its end first."""
        if self._skips > SKIPS_IN_A_ROW_MAX:
            return self._skipped_why
        waiting = not self._playlist.ended and self._next_sequence >= self._playlist.end_sequence
        if waiting and now_s - self._changed_s >= self.stale_after_s:
            return self._reload_failure or "hls_stale"
        return None

    def next(self) -> Planned | None:
        """The next segment to fetch, or None when there is none yet."""
        while self._next_sequence < self._playlist.end_sequence:
            segment = self._playlist.segments[self._next_sequence - self._playlist.first_sequence]
            self._next_sequence += 1
            if segment.gap:
                self._fresh = True
                continue
            counted = self._playlist.counts_discontinuities and self._discontinuity is not None
            fresh = (
                self._fresh
                or segment.tagged
                or (counted and segment.discontinuity != self._discontinuity)
            )
            self._fresh = False
            self._discontinuity = segment.discontinuity
            return Planned(segment, fresh)
        return None

    def delivered(self) -> None:
        """The segment came whole."""
        self._skips = 0

    def skipped(self, why: str) -> None:
        """The segment did not come, or not whole; what follows does not go on from it."""
        self._skips += 1
        self._skipped_why = why
        self._fresh = True

    def reload_failed(self, why: str, *, began_s: float) -> None:
        """The playlist did not come; what is known stays in force."""
        self._reload_failure = why
        self._reload_at_s = began_s + self._playlist.target_s / 2

    def reloaded(self, playlist: MediaPlaylist, *, began_s: float) -> None:
        """A newer copy, loading of which began at `began_s`."""
        self._reload_failure = None
        before = self._playlist
        if not _goes_on(before, playlist):
            if _is_an_older_copy(before, playlist):
                self._reload_at_s = began_s + before.target_s / 2
                return
            self._restart(playlist)
            changed = True
        else:
            changed = playlist.end_sequence != before.end_sequence or playlist.ended
            if self._empty_so_far and playlist.segments:
                self._restart(playlist)
            elif self._next_sequence < playlist.first_sequence:
                # The window has moved past us. At its beginning it would do so again at once.
                self._restart(playlist)
        self._playlist = playlist
        if changed:
            self._changed_s = began_s
        self._reload_at_s = began_s + playlist.target_s * (1.0 if changed else 0.5)

    def _restart(self, playlist: MediaPlaylist) -> None:
        self._empty_so_far = not playlist.segments
        self._fresh = True
        self._discontinuity = None
        self._next_sequence = playlist.first_sequence
        if playlist.segments:
            self._next_sequence += _start_index(playlist)


def _start_index(playlist: MediaPlaylist) -> int:
    """Where to begin: a finite playlist whole; a live one three target durations from its end,
    or where its author says (EXT-X-START)."""
    if playlist.ended:
        return 0
    wanted_s = playlist.start_offset_s
    if wanted_s is not None and wanted_s >= 0:
        return _index_from_beginning(playlist, wanted_s)
    behind_s = -wanted_s if wanted_s is not None else float(START_TARGETS * playlist.target_s)
    total_s = 0.0
    for index in range(len(playlist.segments) - 1, -1, -1):
        total_s += playlist.segments[index].duration_s
        if total_s >= behind_s:
            return index
    return 0


def _index_from_beginning(playlist: MediaPlaylist, offset_s: float) -> int:
    total_s = 0.0
    for index, segment in enumerate(playlist.segments):
        total_s += segment.duration_s
        if total_s > offset_s:
            return index
    return len(playlist.segments) - 1


def _goes_on(before: MediaPlaylist, after: MediaPlaylist) -> bool:
    """Whether `after` is a later state of `before`: the numbers do not fall back."""
    return (
        after.first_sequence >= before.first_sequence and after.end_sequence >= before.end_sequence
    )


def _is_an_older_copy(before: MediaPlaylist, after: MediaPlaylist) -> bool:
    """Whether a cache gave a state from before: the windows overlap, and the newest segment that
    both name has one name. Only the last part of the path counts: the rest may hold a token."""
    newest = min(before.end_sequence, after.end_sequence) - 1
    if newest < max(before.first_sequence, after.first_sequence):
        return False
    one = before.segments[newest - before.first_sequence]
    other = after.segments[newest - after.first_sequence]
    return _name(one) == _name(other)


def _name(segment: Segment) -> str:
    return segment.uri.partition("?")[0].rpartition("/")[2]
