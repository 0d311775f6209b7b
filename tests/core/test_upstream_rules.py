"""What an upstream's fate means for its sessions, and when a relay's lease returns."""

import pytest
from given import (
    at,
    closed,
    completed,
    expire,
    first_byte,
    given,
    in_trouble,
    linger_over,
    lost,
    moves,
    opened,
    progress,
    reported,
    socket_gone,
    stop,
    took,
    tune,
    watching,
)

from events.ids import SourceId

FAILED = "s1: error recovering → recovering restart_error/upstream_reset"
EXHAUSTED = "s1: reclaim recovering → ended stale/recovery_exhausted"
RELEASED = "channel 1: tuner 0 released, upstream_failed"
LEFT = "s1: disconnect active → ended client_disconnect/client_closed"


# Trouble


def test_a_lost_upstream_sends_its_sessions_into_recovery() -> None:
    """Each of them, with its own last figures, in one append caused by the loss."""
    outcome = watching("s1", "s2").when(lost(second=2, sockets={"s1": progress(5_000, 1.9)}))
    outcome.then(
        "channel 1: upstream_lost",
        "s1: error active → recovering stream_failed/upstream_reset",
        "s2: error active → recovering stream_failed/upstream_reset",
    )
    assert [draft.because for draft in outcome.decision.drafts] == [None, 0, 0]
    assert [outcome.payload(i)["bytes"] for i in (1, 2)] == [5_000, 1_000]


@pytest.mark.parametrize("policy", [{}, {"enhanced_cleanup_disabled": True}])
def test_an_error_is_maintained_without_keep_alive(policy: dict[str, bool]) -> None:
    """Error reasons are kept with either value, before and after the seed's fix."""
    assert watching("s1", **policy).after(lost(second=2)).state("s1") == "recovering"


def test_a_failure_that_is_no_error_word_ends_where_keep_alive_is_off() -> None:
    """Any other word leaves it to `SESSION_KEEP_ALIVE`."""
    watching("s1").when(lost(second=2, reason="odd")).then(
        "channel 1: upstream_lost", "s1: error active → ended odd/upstream_reset", RELEASED
    )
    assert watching("s1", keep_alive=True).after(lost(second=2, reason="odd")).state("s1") == (
        "recovering"
    )


def test_an_upstream_that_never_delivered_ends_who_waits_for_it() -> None:
    """Nothing was sent to the client yet: it is told, and may retry."""
    outcome = given().after(tune("s1")).when(lost(second=1, gave_bytes=False, reason="timeout"))
    outcome.then(
        "channel 1: upstream_lost", "s1: error connecting → ended timeout/upstream_reset", RELEASED
    )
    assert outcome.decision.drafts[2].because == 1


def test_a_joiner_waits_out_its_own_deadline_while_the_others_recover() -> None:
    """A player that joined in trouble is not ended by a failed attempt, nor counted in it."""
    story = in_trouble("s1").after(tune("s2", second=3))
    outcome = story.when(lost(second=4, attempt=2, gave_bytes=False))
    outcome.then("channel 1: upstream_lost", FAILED)
    story.when(expire("s2", second=8, seen=progress(0, 3))).then(
        "s2: error connecting → ended timeout/upstream_no_answer"
    )


def test_a_joiner_gets_its_first_byte_with_the_others() -> None:
    """The upstream is back: who recovers and who waits both become active."""
    story = in_trouble("s1").after(tune("s2", second=3), first_byte(second=4, attempt=2))
    story.when(took("s2", 188, second=4)).then("s2: activity connecting → active")
    story.when(took("s1", 1_188, second=4)).then("s1: activity recovering → active")


def test_the_first_loss_is_no_failed_attempt() -> None:
    """Ten reconnects are ten reconnects."""
    assert watching("s1").when(lost(second=2)).payload()["attempts"] == 0


def test_the_error_that_spends_the_last_attempt_brings_the_reclaim_with_it() -> None:
    """In the same append; the reclaim says what caused it, the lease returns after it."""
    story = in_trouble("s1", recovery_attempts=3)
    for attempt in (2, 3):
        story.when(lost(second=attempt, attempt=attempt, gave_bytes=False)).then(
            "channel 1: upstream_lost", FAILED
        )
    outcome = story.when(lost(second=4, attempt=4, gave_bytes=False))
    outcome.then("channel 1: upstream_lost", FAILED, EXHAUSTED, RELEASED)
    assert outcome.payload(1)["attempts"] == 3
    assert [draft.because for draft in outcome.decision.drafts] == [None, 0, 1, 2]


def test_the_attempts_of_each_session_are_its_own() -> None:
    """One that came into trouble later has its attempts still before it."""
    story = in_trouble("s1", recovery_attempts=2).after(tune("s2", second=2.5))
    story.after(lost(second=3, attempt=2, gave_bytes=False), took("s2", 5, second=3.5))
    story.when(lost(second=4, attempt=3, gave_bytes=False)).then(
        "channel 1: upstream_lost",
        FAILED,
        EXHAUSTED,
        "s2: error active → recovering restart_error/upstream_reset",
    )


def test_an_accepted_byte_gives_back_all_attempts() -> None:
    """Attempts count since the last accepted byte, recorded or only seen."""
    story = in_trouble("s1", recovery_attempts=2)
    story.after(lost(second=3, attempt=2, gave_bytes=False))
    story.after(first_byte(second=4, attempt=3), took("s1", 2_000, second=4))
    outcome = story.when(lost(second=5, attempt=3))
    assert outcome.payload()["attempts"] == 0
    story.after(lost(second=6, attempt=4, gave_bytes=False))
    seen = {"s1": progress(3_000, 6.5)}
    outcome = story.when(lost(second=7, attempt=5, gave_bytes=False, sockets=seen))
    assert outcome.payload()["attempts"] == 1


def test_a_gap_is_measured_from_its_first_loss() -> None:
    """Failed attempts in between do not shorten it."""
    story = in_trouble("s1").after(lost(second=3, attempt=2, gave_bytes=False))
    outcome = story.when(first_byte(second=5.5, attempt=3))
    outcome.then("channel 1: upstream_first_byte")
    assert outcome.payload()["gap_ms"] == 3_500
    assert "gap_ms" not in given().after(tune("s1")).when(first_byte(second=1)).payload()


def test_reports_of_an_older_lease_change_nothing() -> None:
    """A relay that was closed speaks no more for the channel's next one."""
    story = watching("s1").after(stop("s1", second=2), tune("s2", second=3))
    newer = story.world.leases["1"].ver
    for stale in (
        opened(second=4),
        first_byte(second=4),
        lost(second=4),
        completed(second=4),
        linger_over(second=40),
    ):
        story.when(stale).then_nothing()
    assert story.state("s2") == "connecting"
    assert newer != 1
    story.when(lost("9", second=4)).then_nothing()


def test_a_closed_upstream_is_recorded_after_its_lease_returned() -> None:
    """The provider's socket is gone: a fact, whoever holds the channel now."""
    story = watching("s1").after(stop("s1", second=2))
    story.when(socket_gone(second=2.1)).then("channel 1: upstream_closed")
    story.after(tune("s2", second=3)).when(socket_gone(second=3.1)).then(
        "channel 1: upstream_closed"
    )


# The end of a finite upstream


def test_a_finite_upstream_ends_its_sessions_as_completed() -> None:
    """All of it was played: a disconnect, and a relay that has nothing to linger for."""
    outcome = watching("s1").when(completed(second=9, sockets={"s1": progress(9_000, 8.9)}))
    outcome.then(
        "channel 1: upstream_closed",
        "s1: disconnect active → ended disconnect/completed",
        "channel 1: tuner 0 released, last_session_ended",
    )
    assert outcome.payload(1)["bytes"] == 9_000


def test_a_finite_upstream_without_sessions_returns_its_lease() -> None:
    """It lingered; there is nothing left to come back to."""
    watching("s1").after(closed("s1", second=2)).when(completed(second=3)).then(
        "channel 1: upstream_closed", "channel 1: tuner 0 released, last_session_ended"
    )


# Lingering


def test_a_relay_lingers_after_its_last_player_closed() -> None:
    """A probe followed by a play rejoins it."""
    story = watching("s1")
    story.when(closed("s1", second=2)).then(LEFT)
    assert story.world.leases["1"].empty_since == at(2)
    story.when(tune("s2", second=4)).then("s2: connect new → connecting")
    assert story.world.leases["1"].empty_since is None
    story.when(linger_over(second=7)).then_nothing()


def test_a_relay_lingers_only_after_its_last_session() -> None:
    """While another watches there is nothing to linger for."""
    story = watching("s1", "s2").after(closed("s1", second=2))
    assert story.world.leases["1"].empty_since is None


def test_lingering_ends_after_its_time() -> None:
    """Five seconds after the last player closed, not before."""
    story = watching("s1").after(closed("s1", second=2))
    story.when(linger_over(second=6.9)).then_nothing()
    story.when(linger_over(second=7)).then("channel 1: tuner 0 released, linger_over")


def test_lingering_can_be_turned_off() -> None:
    """With 0 ms the tuner returns in the append that ends the session."""
    outcome = watching("s1", linger_ms=0).when(closed("s1", second=2))
    outcome.then(LEFT, "channel 1: tuner 0 released, last_session_ended")
    assert outcome.decision.drafts[1].because == 0


def test_what_a_program_or_a_deadline_ended_does_not_linger() -> None:
    """Nobody is expected back: the tuner returns with the session."""
    last = "channel 1: tuner 0 released, last_session_ended"
    watching("s1").when(reported("s1", "manual", second=2)).then(
        "s1: disconnect active → ended manual/reported", last
    )
    watching("s1").when(expire("s1", second=21, seen=progress(1_000, 1))).then(
        "s1: reclaim active → ended orphaned/peer_vanished", last
    )


def test_a_lingering_relay_whose_upstream_breaks_is_returned() -> None:
    """Nobody waits for it: it is not reconnected."""
    watching("s1").after(closed("s1", second=2)).when(lost(second=3)).then(
        "channel 1: upstream_lost", RELEASED
    )


# Several upstreams


def test_whoever_has_heard_nothing_waits_while_another_upstream_is_asked() -> None:
    """The first refusal is not the channel's; the last one is."""
    story = given().after(tune("s1"))
    story.when(lost(second=0.1, gave_bytes=False, more=True)).then("channel 1: upstream_lost")
    story.when(lost(second=0.2, attempt=2, gave_bytes=False)).then(
        "channel 1: upstream_lost",
        "s1: error connecting → ended stream_failed/upstream_reset",
        RELEASED,
    )


def test_a_failover_takes_a_connection_of_the_other_account() -> None:
    """The one it had is free again, and whoever waits for that may have it."""
    story = in_trouble("s1", second=2).after()
    story.when(moves("q", second=3, allowed=1)).then("channel 1: p → q 1")
    assert story.world.connections_of(SourceId("p")) == 0
    assert story.world.connections_of(SourceId("q")) == 1


def test_a_failover_takes_no_connection_that_a_viewer_holds() -> None:
    """The other account is full: nothing follows, the relay looks elsewhere."""
    story = in_trouble("s1").after(tune("s2", "2", second=2.5, sources=[("q", 1)]))
    story.when(moves("q", second=3, allowed=1)).then_nothing()


def test_a_failover_takes_the_connection_of_a_lingering_relay() -> None:
    """Nobody watches there: it gives up its own at once, and before."""
    story = in_trouble("s1").after(
        tune("s2", "2", second=2.5, sources=[("q", 1)]), closed("s2", second=2.6)
    )
    story.when(moves("q", second=3, allowed=1)).then(
        "channel 2: tuner 1 released, given_up", "channel 1: p → q 1"
    )


def test_a_failover_of_a_returned_lease_is_nothing() -> None:
    """It was decided before the relay heard of its end."""
    story = in_trouble("s1").after(stop("s1", second=3))
    story.when(moves("q", second=4)).then_nothing()
