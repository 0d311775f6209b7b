"""Admission where one certain tuner is asked for, and where sessions at once are bounded."""

from given import closed, first_byte, given, plex, reported, took, tune

from events.refusals import (
    ChannelElsewhere,
    LogCannotStore,
    TooManySessions,
    TunerInUse,
    UnknownTuner,
)

CONNECTED = "s9: connect new → connecting"


# One certain tuner


def test_a_tuner_may_be_asked_for() -> None:
    """`/tuner{n}/v{x}` gets that tuner."""
    given().when(tune("s9", "9", tuner=3)).then("channel 9: tuner 3 leased, p 1", CONNECTED)


def test_the_asked_tuner_is_shared_when_its_channel_is_on_it() -> None:
    """Two players ask for the same."""
    given().after(tune("s1", "1", tuner=2)).when(tune("s9", "1", tuner=2)).then(CONNECTED)


def test_a_tuner_on_another_channel_is_refused_after_the_wait() -> None:
    """Only this one will do, and its viewer stays."""
    story = given().after(tune("s1", "1"), tune("s2", "2"))
    story.when(tune("s9", "9", second=1, tuner=0)).then_wait()
    refusal = story.when(tune("s9", "9", second=3, asked=1, tuner=0)).then_refused(
        TunerInUse, "channel-9: refused, tuner_in_use"
    )
    assert [holder.sessions for holder in refusal.holders] == [("s1",)]
    assert str(refusal) == "tuner 0 is on another channel"


def test_a_channel_on_another_tuner_is_refused_at_once() -> None:
    """At most one relay per channel: the holder is the one that reads it already."""
    story = given().after(tune("s1", "1"))
    refusal = story.when(tune("s9", "1", tuner=1)).then_refused(
        ChannelElsewhere, "channel-1: refused, tuner_in_use"
    )
    assert str(refusal) == "channel 1 is on tuner 0 already, not on 1"
    assert [holder.sessions for holder in refusal.holders] == [("s1",)]


def test_a_channel_that_lingers_on_another_tuner_moves() -> None:
    """A lingering relay holds nothing against anyone, its own channel included."""
    story = given()
    story.after(tune("s1", "1", second=1), closed("s1", second=1))
    story.when(tune("s9", "1", second=2, tuner=1)).then(
        "channel 1: tuner 0 released, given_up", "channel 1: tuner 1 leased, p 1", CONNECTED
    )


def test_a_tuner_that_does_not_exist_is_refused_at_once() -> None:
    """There is nothing to wait for."""
    refusal = (
        given()
        .when(tune("s9", "9", tuner=4))
        .then_refused(UnknownTuner, "channel-9: refused, unknown_tuner")
    )
    assert str(refusal) == "no tuner 4: there are 4, numbered from 0"


# A bound on sessions


def test_a_bound_on_sessions_makes_players_wait() -> None:
    """`MAX_CONCURRENT_STREAMS`, also for who would share a tuner."""
    story = given(max_sessions=1).after(tune("s1", "1"))
    story.when(tune("s9", "1", second=1)).then_wait()
    refusal = story.when(tune("s9", "1", second=3, asked=1)).then_refused(
        TooManySessions, "channel-1: refused, max_concurrent_streams"
    )
    assert str(refusal) == "1 of 1 sessions are open, none ended within 2000 ms"


def test_a_viewer_who_changes_channel_keeps_within_the_bound() -> None:
    """The older session ends first, though tuners are free; by joining or by a tuner of its own."""
    superseded = "s1: disconnect connecting → ended client_disconnect/superseded"
    story = given(max_sessions=2).after(tune("s1", "1", client=plex("a")), tune("s2", "2"))
    story.when(tune("s9", "2", client=plex("a"))).then(
        superseded, "channel 1: tuner 0 released, given_up", CONNECTED
    )
    story = given(max_sessions=2).after(tune("s1", "1", client=plex("a")), tune("s2", "1"))
    story.when(tune("s9", "9", client=plex("a"))).then(
        superseded, "channel 9: tuner 1 leased, p 2", CONNECTED
    )


def test_a_resumed_session_is_no_further_one() -> None:
    """The bound counts sessions, and it is the same."""
    story = given(max_sessions=1, keep_alive=True).after(tune("s1", client=plex("a")))
    story.after(first_byte(second=1), took("s1", 1, second=1), reported("s1", "x", second=2))
    assert story.when(tune("s9", second=3, client=plex("a"))).decision.granted == "s1"


def test_a_log_that_cannot_store_is_said_with_its_number() -> None:
    """Raised by the door; the sentence is the rules'."""
    assert str(LogCannotStore(7)) == "the event log cannot store at the moment; 7 facts wait"
