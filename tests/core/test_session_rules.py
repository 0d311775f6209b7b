"""What happens to one session: how it goes on, how it ends, how it resumes."""

import pytest
from given import (
    at,
    closed,
    expire,
    first_byte,
    given,
    in_trouble,
    lost,
    player,
    plex,
    progress,
    reported,
    stop,
    took,
    tune,
    vlc,
    watching,
)

from events.commands import Note, Recover, ShutDown, Started
from events.policy import Policy
from events.refusals import AlreadyEnded, ShuttingDown, UnknownSession

KEPT = "s1: disconnect active → recovering admin/reported"


# Beginning and going on


def test_the_first_player_of_a_channel_gets_a_tuner_and_a_session() -> None:
    """Lease and connect are one append, the lease first."""
    outcome = given().when(tune("s1", asked=-0.3))
    outcome.then("channel 1: tuner 0 leased, p 1", "s1: connect new → connecting")
    assert outcome.decision.granted == "s1"
    assert outcome.decision.drafts[1].because == 0
    assert (outcome.payload()["waited_ms"], outcome.payload()["resumed"]) == (300, False)


def test_the_first_accepted_byte_makes_a_session_active_at_once() -> None:
    """The change of state is recorded without a throttle, with the time it took."""
    outcome = given().after(tune("s1"), first_byte(second=0.3)).when(took("s1", 188, second=0.4))
    outcome.then("s1: activity connecting → active")
    assert outcome.payload()["first_byte_ms"] == 400


def test_activity_is_recorded_once_in_the_interval() -> None:
    """An active session records its activity at most every `activity_record_ms`."""
    story = watching("s1", second=1)
    story.when(took("s1", 2_000, second=10.9)).then_nothing()
    story.when(took("s1", 3_000, second=11)).then("s1: activity active → active")
    story.when(took("s1", 4_000, second=20.9)).then_nothing()


def test_what_brings_no_new_byte_is_no_activity() -> None:
    """A later look at the same bytes neither moves a deadline nor wakes a session."""
    in_trouble("s1").when(took("s1", 1_000, second=15)).then_nothing()
    given().after(tune("s1")).when(took("s1", 0, second=1)).then_nothing()


def test_accepted_bytes_bring_a_session_out_of_trouble() -> None:
    """Recovering ends in accepted bytes on the same session."""
    story = in_trouble("s1").after(first_byte(second=3, attempt=2))
    story.when(took("s1", 2_000, second=3)).then("s1: activity recovering → active")


def test_bytes_that_arrive_after_the_end_are_ignored() -> None:
    """The end was decided while they were on their way."""
    watching("s1").after(closed("s1", second=2)).when(took("s1", 9_000, second=2)).then_nothing()


# Ending


def test_a_players_close_ends_its_session_at_once() -> None:
    """There is no grace after FIN or RST, whatever `SESSION_KEEP_ALIVE` says."""
    for keep_alive in (False, True):
        story = watching("s1", keep_alive=keep_alive)
        outcome = story.when(closed("s1", second=2, seen=progress(1_500, 1.9)))
        outcome.then("s1: disconnect active → ended client_disconnect/client_closed")
        assert outcome.payload()["bytes"] == 1_500
        assert outcome.payload()["accepted_at"] == at(1.9)


def test_a_players_close_ends_a_session_in_trouble() -> None:
    """The player gave up: no grace, and a relay that is in trouble does not linger."""
    in_trouble("s1").when(closed("s1", second=3)).then(
        "s1: disconnect recovering → ended client_disconnect/client_closed",
        "channel 1: tuner 0 released, last_session_ended",
    )


def test_figures_never_fall() -> None:
    """What was recorded stands, should a later look see less."""
    outcome = watching("s1").when(closed("s1", second=2, seen=progress(10, 0.2)))
    assert outcome.payload()["bytes"] == 1_000
    assert outcome.payload()["accepted_at"] == at(1)


def test_there_is_never_a_second_end() -> None:
    """The second one to ask is told so."""
    story = watching("s1").after(closed("s1", second=2))
    for again in (closed("s1", second=2), stop("s1", second=2), reported("s1", "x", second=2)):
        with pytest.raises(AlreadyEnded):
            story.when(again)
    story.when(expire("s1", second=60, seen=progress(0, 0))).then_nothing()


def test_a_session_that_never_was_is_unknown() -> None:
    """An unknown id is never a silent success."""
    with pytest.raises(UnknownSession):
        given().when(stop("s1", second=1))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("keep_alive", [False, True])
@pytest.mark.parametrize("state", ["connecting", "active", "recovering"])
def test_a_persons_stop_ends_a_session_under_every_policy(
    legacy: bool, keep_alive: bool, state: str
) -> None:
    """It is a reclaim, and its relay goes with it: it does not linger."""
    policy = {"enhanced_cleanup_disabled": legacy, "keep_alive": keep_alive}
    story = given(**policy).after(tune("s1"))
    if state != "connecting":
        story.after(first_byte(second=1), took("s1", 1, second=1))
    if state == "recovering":
        story.after(lost(second=2))
    story.when(stop("s1", second=3)).then(
        f"s1: reclaim {state} → ended manual/asked",
        "channel 1: tuner 0 released, last_session_ended",
    )


def test_a_stop_leaves_the_others_on_the_channel_alone() -> None:
    """The lease stays while anyone is on it."""
    watching("s1", "s2").when(stop("s1", second=3)).then("s1: reclaim active → ended manual/asked")


# Maintained


def test_a_maintained_disconnect_keeps_the_claim() -> None:
    """The session waits in `recovering`; tuner and connection stay with it."""
    story = watching("s1", keep_alive=True)
    story.when(reported("s1", "admin", second=2)).then(KEPT)
    assert story.world.leases["1"].sessions == ["s1"]


def test_the_connection_that_a_maintained_disconnect_closed_does_not_end_the_session() -> None:
    """A connection's end counts only while it is the session's current one."""
    story = watching("s1", keep_alive=True).after(reported("s1", "admin", second=2))
    story.when(closed("s1", second=2.1)).then_nothing()
    story.when(took("s1", 9_000, second=2.1)).then_nothing()
    assert story.state("s1") == "recovering"


def test_an_error_keeps_the_connection_so_that_its_end_is_the_sessions() -> None:
    """Only a maintained `disconnect` closes the client's connection, an `error` does not."""
    assert in_trouble("s1").after(closed("s1", second=3)).state("s1") == "ended"


def test_a_client_comes_back_to_the_session_it_left() -> None:
    """After a maintained disconnect the same client resumes, whatever kind of player it is."""
    story = watching("s1", keep_alive=True).after(reported("s1", "admin", second=2))
    outcome = story.when(tune("s2", second=5, client=player("player of s1")))
    outcome.then("s1: connect recovering → connecting")
    assert outcome.decision.granted == "s1"
    assert outcome.payload()["resumed"] is True
    story.when(took("s1", 1_100, second=6)).then("s1: activity connecting → active")
    story.when(closed("s1", second=7)).then_nothing()
    story.when(closed("s1", second=7, connection=2)).then(
        "s1: disconnect active → ended client_disconnect/client_closed"
    )


@pytest.mark.parametrize("client", [plex("living room"), vlc()])
def test_a_certain_viewer_resumes_on_a_second_request(client: object) -> None:
    """Its upstream is in trouble and it asks again: the session goes on with the new connection."""
    story = given().after(tune("s1", client=client), first_byte(second=1))  # type: ignore[arg-type]
    story.after(took("s1", 1, second=1), lost(second=2))
    again = tune("s2", second=3, client=client)  # type: ignore[arg-type]
    assert story.when(again).decision.granted == "s1"
    story.when(closed("s1", second=3.1)).then_nothing()
    assert story.world.sessions["s1"].connection == 2


def test_a_viewer_behind_a_media_server_does_not_lose_its_connection_to_another() -> None:
    """A media server reads for all its viewers under one key: its second request is a session of
    its own, also while the upstream is in trouble."""
    plex_server = player("the server")
    story = given().after(tune("s1", client=plex_server), first_byte(second=1))
    story.after(took("s1", 1, second=1), lost(second=2))
    story.when(tune("s2", second=3, client=plex_server)).then("s2: connect new → connecting")


def test_two_players_of_one_address_are_not_one_viewer() -> None:
    """Which of them asks again is not certain, so nobody is taken over."""
    story = given().after(tune("s1", client=vlc()), tune("s2", client=vlc()))
    story.after(first_byte(second=1), took("s1", 1, second=1), took("s2", 1, second=1))
    story.after(lost(second=2))
    outcome = story.when(tune("s3", second=3, client=vlc()))
    outcome.then("s3: connect new → connecting")


def test_nobody_else_takes_a_session_over() -> None:
    """Another client on the channel gets a session of its own."""
    outcome = in_trouble("s1").when(tune("s2", second=3, client=plex("kitchen")))
    outcome.then("s2: connect new → connecting")


def test_a_healthy_session_is_not_resumed() -> None:
    """A second request of the same client while all is well is a second session."""
    story = given().after(tune("s1", client=plex("a")), first_byte(second=1))
    story.after(took("s1", 1, second=1))
    outcome = story.when(tune("s2", second=2, client=plex("a")))
    outcome.then("s2: connect new → connecting")


def test_a_session_is_not_resumed_through_another_tuner() -> None:
    """`/tuner{n}` of another tuner than the channel's is refused, also to the session's client."""
    story = watching("s1", keep_alive=True).after(reported("s1", "admin", second=2))
    asked = tune("s2", second=3, client=player("player of s1"), tuner=3)
    assert story.when(asked).decision.granted is None


def test_a_resumed_session_waits_for_a_byte_on_its_new_connection() -> None:
    """What it had accepted before is not taken for the new connection's first byte."""
    story = watching("s1", keep_alive=True).after(reported("s1", "admin", second=2))
    story.after(tune("s2", second=5, client=player("player of s1")))
    story.when(expire("s1", second=9.9, seen=progress(1_000, 1))).then_nothing()
    story.when(expire("s1", second=10, seen=progress(1_000, 1))).then(
        "s1: error connecting → ended timeout/upstream_no_data",
        "channel 1: tuner 0 released, last_session_ended",
    )


# The bridge itself


def test_shutdown_ends_every_session_and_returns_every_lease() -> None:
    """Under every policy, with the last figures of those that have a socket."""
    story = watching("s1", keep_alive=True).after(tune("s2", "2", second=2))
    outcome = story.when(ShutDown(at=at(3), progress=(("s1", progress(7_000, 2.9)),)))  # type: ignore[arg-type]
    outcome.then(
        "bridge: stopping",
        "s1: reclaim active → ended shutdown/bridge_stopped",
        "s2: reclaim connecting → ended shutdown/bridge_stopped",
        "channel 1: tuner 0 released, shutdown",
        "channel 2: tuner 1 released, shutdown",
    )
    assert outcome.payload(1)["bytes"] == 7_000


def test_a_stopping_bridge_refuses_and_records_it() -> None:
    """Nothing begins that is about to end; a start lifts it."""
    story = given().after(ShutDown(at=at(1), progress=()))
    story.when(tune("s1", second=2)).then_refused(ShuttingDown, "channel-1: refused, shutting_down")
    story.after(Started(at=at(3), version="1", machine="m", policy=Policy()))
    assert story.when(tune("s1", second=4)).decision.granted == "s1"


def test_a_start_reclaims_what_a_crash_left_open() -> None:
    """`orphaned`, detail `bridge_restarted`; leases return; nothing is left."""
    story = in_trouble("s1", keep_alive=True, enhanced_cleanup_disabled=True)
    story.after(tune("s2", "2", second=2), tune("s3", "3", second=2), closed("s3", second=2))
    outcome = story.when(Recover(at=at(100)))
    outcome.then(
        "bridge: recovered",
        "s1: reclaim recovering → ended orphaned/bridge_restarted",
        "s2: reclaim connecting → ended orphaned/bridge_restarted",
        "channel 1: tuner 0 released, bridge_restarted",
        "channel 2: tuner 1 released, bridge_restarted",
        "channel 3: tuner 2 released, bridge_restarted",
    )
    assert outcome.payload(0) == {"sessions": 2, "leases": 3}
    assert not story.world.sessions
    assert not story.world.leases


def test_a_start_records_versions_and_policy() -> None:
    """Any decision can be explained and decided again later."""
    policy = Policy(keep_alive=True, tuners=2)
    story = given()
    outcome = story.when(
        Started(at=at(0), version="1.2", machine="m", policy=policy, facts=(("python", "3"),))
    )
    outcome.then("bridge: started", "bridge: policy_set")
    assert outcome.payload(0) == {"version": "1.2", "machine": "m", "python": "3"}
    assert story.world.policy == policy


def test_a_note_is_a_fact_that_no_session_depends_on() -> None:
    """About a source, the lineup, the guide or the bridge; never on a session's or channel's."""
    outcome = given().when(
        Note(at=at(0), stream="source-p", type="refreshed", payload=(("channels", 6),))
    )
    outcome.then("source p: refreshed")
    assert outcome.payload() == {"channels": 6}
    for stream in ("session-s1", "channel-1"):
        with pytest.raises(AssertionError, match="sessions depend"):
            given().when(Note(at=at(0), stream=stream, type="x", payload=()))
