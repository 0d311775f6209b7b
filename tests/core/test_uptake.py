"""Who keeps up with a channel, and who is let go. Fault table rows 5 and 7."""

from dataclasses import replace

import pytest
from given import at, progress, watching

from events.commands import TooSlow
from events.ids import ConnectionId, SessionId
from events.policy import Policy
from events.uptake import LEAST_SHARE, Sample, Uptake, UptakeTrack, too_slow

RATE = 1_000_000
"""Bytes a second of the channel: 8 Mbit/s."""

POLICY = Policy()

RELEASED = "channel 1: tuner 0 released, last_session_ended"


class Watched:
    """A client looked at once a second."""

    def __init__(self, *, free: bool = True, media: float | None = None) -> None:
        self.track = UptakeTrack()
        self.second = 0
        self.accepted = self.skips = 0
        self.free = free
        # One that is alone has bytes waiting in the ring all the time: it holds its upstream back.
        self.relayed = 0 if free else RATE
        self.media = media

    def goes_on(
        self, seconds: int, *, takes: int, comes: int = RATE, skips: int = 0
    ) -> float | None:
        """So many bytes a second, for so long; when it is found too slow, if ever."""
        for _ in range(seconds):
            self.second += 1
            self.accepted += takes
            self.relayed += comes
            self.skips += skips
            if too_slow(self.uptake(), POLICY):
                return self.second
        return None

    def uptake(self) -> Uptake:
        sample = Sample(
            at=at(self.second),
            accepted_bytes=self.accepted,
            relayed_bytes=self.relayed,
            waiting=self.accepted < self.relayed,
            free=self.free,
            media_bytes_s=self.media,
            skips=self.skips,
        )
        return self.track.add(sample, POLICY.uptake_window_ms)


def test_a_trickling_client_is_let_go_within_35_s_of_its_beginning() -> None:
    """However long it had kept up before."""
    watched = Watched()
    assert watched.goes_on(120, takes=RATE) is None
    found = watched.goes_on(60, takes=1)
    assert found is not None
    assert found - 120 <= 35


@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
def test_a_slow_client_that_takes_more_than_a_quarter_stays(share: float) -> None:
    """It may be skipped forward; that is counted apart."""
    assert Watched().goes_on(300, takes=round(RATE * share)) is None


def test_a_client_at_a_fifth_of_the_rate_is_let_go() -> None:
    """When the first window is full."""
    assert Watched().goes_on(60, takes=RATE // 5) == 31


def test_a_pause_that_the_stall_deadline_allows_is_no_trickle() -> None:
    """Twenty seconds without a byte, then on at the channel's rate: nobody is let go for that."""
    watched = Watched()
    for _ in range(5):
        assert watched.goes_on(11, takes=RATE) is None
        assert watched.goes_on(19, takes=0) is None
    longest_pause_s = POLICY.active_idle_ms / 1_000
    window_s = POLICY.uptake_window_ms / 1_000
    assert (window_s - longest_pause_s) / window_s > LEAST_SHARE


def test_nobody_is_judged_by_an_upstream_that_gives_little() -> None:
    """Nor by one that gives nothing."""
    assert Watched().goes_on(120, takes=0, comes=0) is None
    assert Watched().goes_on(120, takes=1, comes=1_000) is None


def test_a_burst_that_was_not_taken_yet_is_not_held_against_anyone() -> None:
    """Segments of a playlist come all at once, and are taken a moment later."""
    watched = Watched()
    for _ in range(5):
        assert watched.goes_on(1, takes=0, comes=40 * RATE) is None
        assert watched.goes_on(5, takes=8 * RATE, comes=0) is None
        assert watched.goes_on(34, takes=0, comes=0) is None


def test_alone_on_its_channel_a_trickling_client_is_let_go_too() -> None:
    """It holds its own upstream back, so that what comes is what it takes."""
    assert Watched(free=False).goes_on(60, takes=1, comes=1) == 31


def test_alone_a_client_of_a_finite_programme_may_read_as_slowly_as_it_plays() -> None:
    """Sixteen kilobytes a second of an upstream that would give a hundred times as much."""
    assert Watched(free=False).goes_on(300, takes=16_000, comes=16_000) is None


def test_where_the_channels_rate_is_known_it_counts() -> None:
    """By its own clock; a tenth of it is too little also for one that is alone."""
    assert Watched(free=False, media=RATE).goes_on(60, takes=RATE // 10, comes=RATE // 10) == 31
    assert Watched(free=False, media=RATE).goes_on(300, takes=RATE // 2, comes=RATE // 2) is None


def test_a_client_that_is_skipped_more_than_five_times_a_minute_is_let_go() -> None:
    """Five are allowed, and those of more than a minute ago are forgotten."""
    watched = Watched()
    assert watched.goes_on(1, takes=RATE // 2) is None
    for _ in range(5):
        assert watched.goes_on(1, takes=RATE // 2, skips=1) is None
    assert watched.goes_on(62, takes=RATE // 2) is None
    for _ in range(5):
        assert watched.goes_on(1, takes=RATE // 2, skips=1) is None
    assert watched.goes_on(1, takes=RATE // 2, skips=1) == watched.second


SLOW = Uptake(over_ms=30_000, taken_bytes=30, offered_bytes=30_000_000, behind_ms=30_000, skips=0)


def slow(uptake: Uptake = SLOW, *, connection: int = 1) -> TooSlow:
    return TooSlow(
        at=at(40),
        session=SessionId("s1"),
        connection=ConnectionId(connection),
        progress=progress(1_030, 39),
        uptake=uptake,
    )


def test_a_client_that_does_not_keep_up_ends_as_too_slow() -> None:
    """`reclaim orphaned`, with a detail of its own; its tuner is free."""
    outcome = watching("s1").when(slow())
    assert outcome.payload(0)["bytes"] == 1_030
    outcome.then("s1: reclaim active → ended orphaned/client_too_slow", RELEASED)


def test_what_the_policy_allows_is_decided_at_the_door() -> None:
    """Not where it was looked at: a rule that changed meanwhile counts."""
    watching("s1", uptake_window_ms=60_000).when(slow()).then_nothing()
    skipped = replace(SLOW, taken_bytes=30_000_000, skips=6)
    watching("s1", skips_allowed=6).when(slow(skipped)).then_nothing()
    watching("s1").when(slow(skipped)).then(
        "s1: reclaim active → ended orphaned/client_too_slow", RELEASED
    )


def test_another_connection_of_the_session_is_not_let_go_for_it() -> None:
    """It came back on a new one; nor is a session that is gone."""
    watching("s1").when(slow(connection=2)).then_nothing()
    watching("s2").when(slow()).then_nothing()
