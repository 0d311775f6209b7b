"""Deadlines: what they count from, and what happens when they pass."""

import pytest
from given import (
    Story,
    at,
    closed,
    expire,
    first_byte,
    given,
    in_trouble,
    lost,
    opened,
    progress,
    stop,
    tune,
    watching,
)

from events.commands import Command, Expire, LingerOver
from events.deadlines import Observation, deadline, due
from events.ids import SessionId
from events.world import Session

RELEASED = "channel 1: tuner 0 released, last_session_ended"


def ticked(
    story: Story, second: float, *, size: int = 1_000, accepted: float = 1, waiting: bool = True
) -> list[Command]:
    """What is due then, when every socket is seen like this."""

    def observe(session: Session) -> Observation:
        return Observation(progress=progress(size, accepted), waiting=waiting, acknowledging=False)

    return list(due(story.world, observe, at(second)))


def test_a_player_waits_five_seconds_for_its_first_byte() -> None:
    """Then `error timeout`; what kept it waiting is in the detail."""
    story = given().after(tune("s1"))
    assert ticked(story, 4.9, size=0, accepted=0) == []
    [command] = ticked(story, 5, size=0, accepted=0)
    story.when(command).then("s1: error connecting → ended timeout/upstream_no_answer", RELEASED)


def test_an_upstream_that_answers_and_gives_nothing_is_told_apart() -> None:
    """806 and 807 differ: no answer, or no video."""
    story = given().after(tune("s1"), opened(second=1))
    story.when(expire("s1", second=5, seen=progress(0, 0))).then(
        "s1: error connecting → ended timeout/upstream_no_data", RELEASED
    )


def test_a_first_byte_that_is_not_told_yet_is_not_timed_out() -> None:
    """The socket has accepted bytes: a healthy session, whatever was recorded."""
    story = given().after(tune("s1"), first_byte(second=4.9))
    assert ticked(story, 5.1, size=188, accepted=4.95) == []
    story.when(expire("s1", second=5.1, seen=progress(188, 4.95))).then_nothing()


def test_an_active_session_is_reclaimed_20_s_after_its_last_accepted_byte() -> None:
    """Counted from the byte, never from the start; acknowledgements tell a stall from a loss."""
    story = watching("s1")
    assert ticked(story, 20.9) == []
    [command] = ticked(story, 21)
    assert isinstance(command, Expire)
    story.when(command).then("s1: reclaim active → ended orphaned/peer_vanished", RELEASED)
    stalled = expire("s1", second=21, seen=progress(1_000, 1), acknowledging=True)
    watching("s1").when(stalled).then(
        "s1: reclaim active → ended orphaned/client_stalled", RELEASED
    )


def test_a_byte_seen_since_moves_the_deadline() -> None:
    """What is recorded is old by design; what the socket shows counts."""
    story = watching("s1")
    assert ticked(story, 35, size=9_000, accepted=15.1) == []
    story.when(expire("s1", second=35, seen=progress(9_000, 15.1))).then_nothing()
    assert len(ticked(story, 35.1, size=9_000, accepted=15.1)) == 1


def test_a_client_is_not_blamed_for_bytes_that_were_not_to_be_had() -> None:
    """Idle counts only while bytes wait for the client."""
    story = watching("s1")
    assert ticked(story, 300, waiting=False) == []
    story.when(expire("s1", second=300, seen=progress(1_000, 1), waiting=False)).then_nothing()


def test_grace_counts_from_the_last_accepted_byte_and_not_from_the_error() -> None:
    """Thirty seconds after the byte; failed attempts do not lengthen it."""
    story = in_trouble("s1", second=9)
    story.after(lost(second=25, attempt=2, gave_bytes=False))
    assert ticked(story, 30.9) == []
    [command] = ticked(story, 31)
    story.when(command).then("s1: reclaim recovering → ended stale/recovery_exhausted", RELEASED)


def test_a_session_in_trouble_is_due_though_nothing_waits() -> None:
    """There is nothing to accept while the upstream is gone; grace ends all the same."""
    assert len(ticked(in_trouble("s1"), 31, waiting=False)) == 1


def test_the_grace_of_a_session_with_bytes_seen_since_goes_on() -> None:
    """A byte accepted from what was buffered counts like any."""
    story = in_trouble("s1")
    story.when(expire("s1", second=31, seen=progress(1_500, 3))).then_nothing()


def test_an_expiry_of_an_ended_session_is_nothing() -> None:
    """It ended in the same tick."""
    story = watching("s1").after(closed("s1", second=2))
    story.when(expire("s1", second=99, seen=progress(0, 0))).then_nothing()


def test_a_lingering_relay_is_due_when_its_time_is_over() -> None:
    """The ticker asks for both: sessions and relays without any."""
    story = watching("s1").after(closed("s1", second=2))
    assert ticked(story, 6.9) == []
    [command] = ticked(story, 7)
    assert isinstance(command, LingerOver)
    story.when(command).then("channel 1: tuner 0 released, linger_over")


@pytest.mark.parametrize(
    ("story", "trigger", "reason", "after_ms", "second"),
    [
        (given().after(tune("s1", second=2)), "error", "timeout", 5_000, 2),
        (watching("s1"), "reclaim", "orphaned", 20_000, 1),
        (in_trouble("s1"), "reclaim", "stale", 30_000, 1),
    ],
    ids=["connecting", "active", "recovering"],
)
def test_every_open_state_says_its_next_deadline(
    story: Story, trigger: str, reason: str, after_ms: int, second: float
) -> None:
    """For the dashboard: what will happen, why, when, and counted from what."""
    found = deadline(story.world.sessions[SessionId("s1")], story.world.policy)
    assert (found.trigger, found.reason, found.after_ms) == (trigger, reason, after_ms)
    assert found.counted_from == at(second)
    assert found.at == at(second + after_ms / 1_000)


def test_a_resumed_session_counts_from_its_new_connect() -> None:
    """The first byte is waited for from the `connect` that asked for it."""
    from_start = given().after(tune("s1"))
    session = from_start.world.sessions[SessionId("s1")]
    session.connected_at = at(40)
    assert deadline(session, from_start.world.policy, progress(5, 3)).counted_from == at(40)


def test_deadlines_follow_the_policy_in_force() -> None:
    """Each of them is a setting."""
    story = given(first_byte_ms=1_000).after(tune("s1"))
    assert len(ticked(story, 1, size=0, accepted=0)) == 1
    story = watching("s1", active_idle_ms=2_000)
    assert len(ticked(story, 3)) == 1
    story = in_trouble("s1", grace_ms=4_000)
    assert len(ticked(story, 5)) == 1


def test_what_was_ended_by_the_command_before_it_is_not_due_any_more() -> None:
    """The caller carries each out before it asks for the next; that may end others."""
    story = watching("s1", "s2")

    def observe(session: Session) -> Observation:
        return Observation(progress=progress(1_000, 1), waiting=True, acknowledging=False)

    told = []
    for command in due(story.world, observe, at(30)):
        told.append(command)
        story.after(stop("s2", second=30))
    assert [command.session for command in told] == ["s1"]  # type: ignore[union-attr]
