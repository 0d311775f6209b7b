"""Who gets a tuner: every step of admission in its order, and what a refusal says."""

import pytest
from given import (
    Story,
    at,
    closed,
    first_byte,
    given,
    player,
    plex,
    progress,
    took,
    tune,
    vlc,
)

from events.commands import TuneUnknown
from events.policy import Policy
from events.refusals import (
    AllTunersInUse,
    SourceFull,
    UnknownChannel,
)

CONNECTED = "s9: connect new → connecting"
ONE = (("p", 1),)
TWO = (("p", 2),)


def lingering(story: Story, session: str, channel: str, *, second: float, **more: object) -> None:
    """Someone looked at a channel and closed it."""
    story.after(tune(session, channel, second=second, **more))  # type: ignore[arg-type]
    story.after(closed(session, second=second))


def full(count: int = 2, **values: object) -> Story:
    """Every tuner is on a channel of its own, by viewers who stay."""
    story = given(Policy(tuners=count), **values)
    return story.after(*(tune(f"s{n}", str(n)) for n in range(1, count + 1)))


# Free, shared


def test_the_lowest_free_tuner_is_given() -> None:
    """A hole is filled first."""
    story = given(linger_ms=0).after(tune("s1", "1"), tune("s2", "2"), tune("s3", "3"))
    story.after(closed("s2", second=1))
    story.when(tune("s9", "9", second=2)).then("channel 9: tuner 1 leased, p 3", CONNECTED)


def test_sessions_on_one_channel_share_its_tuner() -> None:
    """A player that opens three overlapping connections takes one tuner."""
    story = full(1).after(tune("s2", "1"), tune("s3", "1"))
    assert story.world.leases["1"].sessions == ["s1", "s2", "s3"]
    assert len(story.world.leases) == 1


def test_a_source_without_a_known_limit_is_not_bounded() -> None:
    """0 is not known; tuners are the bound then."""
    outcome = given().after(tune("s1", "1")).when(tune("s9", "9"))
    outcome.then("channel 9: tuner 1 leased, p 2", CONNECTED)
    assert outcome.payload(0)["allowed"] == 0


def test_a_channel_is_read_from_its_next_source_when_the_first_is_full() -> None:
    """Sources are in order of preference."""
    story = given().after(tune("s1", "1", sources=ONE))
    story.when(tune("s9", "9", sources=(("p", 1), ("q", 1)))).then(
        "channel 9: tuner 1 leased, q 1", CONNECTED
    )


# Lingering


def test_a_free_tuner_is_taken_before_a_lingering_one() -> None:
    """Nobody's relay is given up without need."""
    story = given(tuners=2)
    lingering(story, "s1", "1", second=1)
    story.when(tune("s9", "9", second=2)).then("channel 9: tuner 1 leased, p 2", CONNECTED)


def test_the_longest_empty_relay_gives_up_its_tuner_at_once() -> None:
    """It holds nothing against anyone; the old one closes before the new one opens."""
    story = given(tuners=2)
    lingering(story, "s2", "2", second=2)
    lingering(story, "s1", "1", second=1)
    outcome = story.when(tune("s9", "9", second=3))
    outcome.then(
        "channel 1: tuner 1 released, given_up", "channel 9: tuner 1 leased, p 2", CONNECTED
    )
    assert outcome.payload(1)["in_use"] == 2


def test_a_lingering_relay_gives_up_its_source_connection() -> None:
    """Tuners are free, the account is not."""
    story = given()
    lingering(story, "s1", "1", second=1, sources=ONE)
    outcome = story.when(tune("s9", "9", second=2, sources=ONE))
    outcome.then(
        "channel 1: tuner 0 released, given_up", "channel 9: tuner 0 leased, p 1", CONNECTED
    )


def test_one_relay_may_give_up_its_tuner_and_another_its_connection() -> None:
    """What was asked for needs both."""
    story = given(tuners=2)
    lingering(story, "s1", "1", second=1, sources=ONE)
    lingering(story, "s2", "2", second=2, sources=(("q", 1),))
    story.when(tune("s9", "9", second=3, sources=(("q", 1),), tuner=0)).then(
        "channel 1: tuner 0 released, given_up",
        "channel 2: tuner 1 released, given_up",
        "channel 9: tuner 0 leased, q 1",
        CONNECTED,
    )


def test_one_relay_that_has_both_is_given_up_alone() -> None:
    """Of all ways the smallest sacrifice."""
    story = given(tuners=2)
    lingering(story, "s1", "1", second=1, sources=(("q", 1),))
    lingering(story, "s2", "2", second=2, sources=ONE)
    story.when(tune("s9", "9", second=3, sources=ONE)).then(
        "channel 2: tuner 1 released, given_up", "channel 9: tuner 1 leased, p 1", CONNECTED
    )


def test_another_source_is_preferred_to_a_sacrifice() -> None:
    """A lingering relay may still be rejoined."""
    story = given()
    lingering(story, "s1", "1", second=1, sources=ONE)
    story.when(tune("s9", "9", second=2, sources=(("p", 1), ("q", 1)))).then(
        "channel 9: tuner 1 leased, q 1", CONNECTED
    )


def test_a_source_whose_limit_fell_is_brought_below_it() -> None:
    """A source never sees more connections than it allows: as many give up as it takes."""
    story = given()
    for n in (1, 2, 3):
        lingering(story, f"s{n}", str(n), second=n, sources=(("p", 3),))
    outcome = story.when(tune("s9", "9", second=4, sources=ONE))
    assert [draft.type for draft in outcome.decision.drafts].count("tuner_released") == 3
    assert story.world.connections_of("p") == 1  # type: ignore[arg-type]


# Handing over


@pytest.mark.parametrize("client", [plex("living room"), vlc()], ids=["identified", "single"])
def test_a_viewer_who_changes_channel_hands_over(client: object) -> None:
    """The older session ends with its tuner, which the new one gets, in one append."""
    story = given(tuners=1).after(tune("s1", "1", client=client))  # type: ignore[arg-type]
    story.after(first_byte(second=1), took("s1", 10, second=1))
    sockets = {"s1": progress(700, 2)}
    new = tune("s9", "9", second=3, client=client, sockets=sockets)  # type: ignore[arg-type]
    outcome = story.when(new)
    outcome.then(
        "s1: disconnect active → ended client_disconnect/superseded",
        "channel 1: tuner 0 released, given_up",
        "channel 9: tuner 0 leased, p 1",
        CONNECTED,
    )
    assert outcome.payload(0)["bytes"] == 700
    assert [draft.because for draft in outcome.decision.drafts] == [None, 0, None, 2]


def test_nobody_hands_over_while_a_tuner_is_free() -> None:
    """The older session closes by itself, or is a second screen."""
    story = given().after(tune("s1", "1", client=plex("a")))
    story.when(tune("s9", "9", client=plex("a"))).then("channel 9: tuner 1 leased, p 2", CONNECTED)


def test_a_lingering_relay_goes_before_any_viewer() -> None:
    """Nobody's session ends for what lies empty."""
    story = given(tuners=2).after(tune("s1", "1", client=plex("a")))
    lingering(story, "s2", "2", second=1)
    story.when(tune("s9", "9", second=2, client=plex("a"))).then(
        "channel 2: tuner 1 released, given_up", "channel 9: tuner 1 leased, p 2", CONNECTED
    )


def test_a_hand_over_may_need_a_lingering_relay_too() -> None:
    """Its tuner from the one, its connection from the other."""
    story = given(tuners=2).after(tune("s1", "1", client=plex("a"), sources=ONE))
    lingering(story, "s2", "2", second=1, sources=(("q", 1),))
    story.when(tune("s9", "9", second=2, client=plex("a"), sources=(("q", 1),), tuner=0)).then(
        "s1: disconnect connecting → ended client_disconnect/superseded",
        "channel 1: tuner 0 released, given_up",
        "channel 2: tuner 1 released, given_up",
        "channel 9: tuner 0 leased, q 1",
        CONNECTED,
    )


UNCERTAIN = {
    "another identifier": (plex("a"), plex("b")),
    "a media server reads for all its viewers": (player("server"), player("server")),
    "another address": (vlc("10.0.0.1"), vlc("10.0.0.2")),
    "another player at its address": (
        vlc(),
        player("k", address="10.0.0.7", user_agent="Kodi/21", single_viewer=True),
    ),
    "a media server at its address": (player("server", address="10.0.0.7"), vlc()),
}


@pytest.mark.parametrize(("viewer", "comer"), UNCERTAIN.values(), ids=UNCERTAIN.keys())
def test_a_viewer_who_stays_is_never_ended_for_one_who_comes(viewer: object, comer: object) -> None:
    """Where it is not certain to be one viewer, the one who comes waits, and is refused."""
    story = given(tuners=1).after(tune("s1", "1", client=viewer))  # type: ignore[arg-type]
    story.when(tune("s9", "9", second=1, client=comer)).then_wait()  # type: ignore[arg-type]
    late = tune("s9", "9", second=3, asked=1, client=comer)  # type: ignore[arg-type]
    story.when(late).then_refused(AllTunersInUse, "channel-9: refused, all_tuners_in_use")
    assert story.state("s1") == "connecting"


def test_a_single_viewer_player_with_two_sessions_is_two_viewers() -> None:
    """Exactly one other session from that address, or none is sure to be the same."""
    story = given(tuners=2).after(tune("s1", "1", client=vlc()), tune("s2", "2", client=vlc()))
    story.when(tune("s9", "9", client=vlc())).then_wait()


def test_an_identified_client_with_two_channels_hands_over_neither() -> None:
    """Which of them it leaves is not certain."""
    story = given(tuners=2)
    story.after(tune("s1", "1", client=plex("a")), tune("s2", "2", client=plex("a")))
    story.when(tune("s9", "9", client=plex("a"))).then_wait()


def test_a_session_that_shares_its_tuner_has_none_to_hand_over() -> None:
    """Ending it would free nothing, so it is not ended."""
    story = given(tuners=1).after(tune("s1", "1", client=plex("a")), tune("s2", "1"))
    story.when(tune("s9", "9", client=plex("a"))).then_wait()
    assert story.state("s1") == "connecting"


def test_a_session_kept_over_its_clients_leaving_is_not_handed_over() -> None:
    """The rule of before the seed's fix keeps it, and its tuner with it."""
    story = given(tuners=1, enhanced_cleanup_disabled=True, keep_alive=True)
    story.after(tune("s1", "1", client=vlc()), first_byte(second=1), took("s1", 1, second=1))
    story.when(tune("s9", "9", second=2, client=vlc())).then_wait()
    assert story.state("s1") == "active"


# Waiting and refusing


def test_a_player_waits_for_a_release_and_gets_it() -> None:
    """Plex opens the new channel 20-400 ms before it closes the old one."""
    story = full()
    story.when(tune("s9", "9", second=1)).then_wait()
    story.after(closed("s2", second=1.3))
    outcome = story.when(tune("s9", "9", second=1.3, asked=1))
    outcome.then(
        "channel 2: tuner 1 released, given_up", "channel 9: tuner 1 leased, p 2", CONNECTED
    )
    assert outcome.payload()["waited_ms"] == 300


def test_who_waited_in_vain_is_told_who_holds_the_tuners() -> None:
    """The refusal names the holders, the longest first, and is recorded with an id."""
    story = full().after(tune("s3", "1", second=1))
    refusal = story.when(tune("s9", "9", second=12, asked=10)).then_refused(
        AllTunersInUse, "channel-9: refused, all_tuners_in_use"
    )
    assert str(refusal) == "2 of 2 tuners are in use, none was released within 2000 ms"
    recorded = story.events[-1].payload
    assert recorded["id"] == "refusal of s9"
    assert recorded["waited_ms"] == 2_000
    assert recorded["text"] == str(refusal)
    assert recorded["holders"] == [
        {"channel": "1", "tuner": 0, "sessions": ["s1", "s3"], "held_ms": 12_000},
        {"channel": "2", "tuner": 1, "sessions": ["s2"], "held_ms": 12_000},
    ]


def test_a_full_source_refuses_with_its_numbers() -> None:
    """Tuners are free, the provider account is not; its viewers are named."""
    story = given().after(tune("s1", "1", sources=ONE), tune("s2", "2", sources=(("q", 0),)))
    refusal = story.when(tune("s9", "9", second=2, asked=0, sources=ONE)).then_refused(
        SourceFull, "channel-9: refused, source_full"
    )
    assert str(refusal) == (
        "source p allows 1 connections and has 1, none was released within 2000 ms"
    )
    assert [holder.channel for holder in refusal.holders] == ["1"]


def test_a_lingering_relay_is_never_named_as_a_holder() -> None:
    """It would have given up its tuner: the source is what is missing."""
    story = given(tuners=2).after(tune("s1", "1", sources=ONE))
    lingering(story, "s2", "2", second=1, sources=(("q", 0),))
    refusal = story.when(tune("s9", "9", second=3, asked=1, sources=ONE)).then_refused(
        SourceFull, "channel-9: refused, source_full"
    )
    assert [holder.channel for holder in refusal.holders] == ["1"]


def test_a_refusal_is_recorded_once_a_minute_for_each_client_and_channel() -> None:
    """The client is told each time."""
    story, again = full(), "channel-9: refused, all_tuners_in_use"
    me, other = player("me"), player("other")

    def ask(second: float, channel: str = "9", client: object = me) -> object:
        late = tune("s9", channel, second=second, asked=0, client=client)  # type: ignore[arg-type]
        return story.when(late)

    ask(2).then_refused(AllTunersInUse, again)  # type: ignore[attr-defined]
    ask(61.9).then_refused(AllTunersInUse)  # type: ignore[attr-defined]
    ask(61.9, client=other).then_refused(AllTunersInUse, again)  # type: ignore[attr-defined]
    ask(61.9, "8").then_refused(  # type: ignore[attr-defined]
        AllTunersInUse, "channel-8: refused, all_tuners_in_use"
    )
    ask(62).then_refused(AllTunersInUse, again)  # type: ignore[attr-defined]


def test_an_unknown_channel_is_refused_and_recorded_with_the_lineup() -> None:
    """What was asked is kept short: it comes from a stranger."""
    story = given()
    unknown = TuneUnknown(at=at(0), asked="7" * 100, client=player(), refusal_id="r")
    refusal = story.when(unknown).then_refused(UnknownChannel, "lineup: refused, unknown_channel")
    assert str(refusal) == f"no channel {'7' * 32} in the lineup"
    story.when(unknown).then_refused(UnknownChannel)
