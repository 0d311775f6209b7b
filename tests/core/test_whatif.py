"""A recorded time under another policy: what must come out, and how far it can be trusted."""

from typing import Any

import pytest

from events.appends import Read
from events.commands import Command, Recover, Started, TooSlow, TuneTooOften
from events.decide import decide
from events.envelope import Recorded
from events.ids import ConnectionId, SessionId
from events.policy import Policy
from events.uptake import Uptake
from events.world import fold
from plexbridge.audit.inputs import Inputs, same
from plexbridge.audit.policies import NoPolicy, parse
from plexbridge.audit.whatif import Figure, Trust, WhatIf, whatif
from tests.core.given import (
    at,
    closed,
    expire,
    first_byte,
    given,
    linger_over,
    lost,
    opened,
    player,
    progress,
    socket_gone,
    stop,
    took,
    tune,
    vlc,
)
from tests.core.stamped_history import chained, stamped_household

WATCHED = (
    tune("s1", second=1),
    opened(second=1.2),
    first_byte(second=1.3),
    took("s1", 1_000, second=1.4),
    took("s1", 9_000, second=12),
    closed("s1", second=20, seen=progress(9_500, 20)),
)
LINGERED = (*WATCHED, linger_over(second=25), socket_gone(second=25.1))
LATER = Recover(at=at(600))
"""The record goes on, so that deadlines can pass."""


def history(*commands: Command, **policy: Any) -> list[Recorded]:
    """What is recorded when the bridge starts and these follow."""
    policy_then = Policy(**policy)
    begun = Started(at=at(0), version="1", machine="m", policy=policy_then)
    return chained(given(policy_then).after(begun, *commands, LATER).events)


def asked(rows: list[Recorded], policy: str) -> WhatIf:
    """The same under another policy."""
    result = whatif(lambda: rows, parse(policy))
    assert result is not None
    return result


def figure(result: WhatIf, name: str) -> Figure:
    """One of its figures."""
    return next(one for one in result.figures if one.name == name)


def seconds(result: WhatIf, name: str) -> tuple[float, float]:
    """A figure in hours as seconds, recorded and hypothetical."""
    one = figure(result, name)
    return round(one.recorded * 3_600, 3), round(one.hypothetical * 3_600, 3)


def ends(result: WhatIf) -> dict[str, tuple[float, float]]:
    """Ends by their words, recorded and hypothetical."""
    return {
        one.name.removeprefix("ended "): (one.recorded, one.hypothetical)
        for one in result.figures
        if one.name.startswith("ended ")
    }


@pytest.mark.parametrize("seed", range(40))
def test_under_the_recorded_policy_everything_comes_out_as_recorded(seed: int) -> None:
    """Each decision byte for byte, and every figure with it."""
    household = stamped_household(seed, 250)
    rows = chained(household.events)
    result = asked(rows, "recorded")
    assert (result.decisions, result.exact) == (len(household.appends),) * 2
    assert result.first_difference is None
    assert result.assumed == {}
    assert all(one.recorded == one.hypothetical for one in result.figures)
    assert {one.trust for one in result.figures} <= {Trust.EXACT, Trust.AT_LEAST}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "policy", ["tuners=1", "tuners=9", "before_fix", "grace=1s", "linger=60s", "active_idle=5s"]
)
def test_any_household_can_be_decided_again_under_any_policy(seed: int, policy: str) -> None:
    """The rules' own assertions hold in every course, and nobody gets more than there is."""
    rows = chained(stamped_household(seed, 250).events)
    result = asked(rows, policy)
    assert figure(result, "tuners at once").hypothetical <= result.asked.tuners
    for one in result.figures:
        assert one.hypothetical >= 0, one
        assert (one.low or 0) <= one.hypothetical + 1e-9
        assert one.high is None or one.hypothetical <= one.high + 1e-9


def test_before_the_fix_a_viewer_who_left_kept_the_tuner_for_the_grace() -> None:
    """From the last accepted byte; and that is exact: nothing has to be assumed."""
    result = asked(history(*LINGERED), "before_fix")
    assert ends(result) == {
        "client_disconnect · client_closed": (1, 0),
        "stale · recovery_exhausted": (0, 1),
    }
    assert seconds(result, "tuner-hours") == (24.0, 49.0)
    assert seconds(result, "tuner-hours nobody watched") == (5.0, 30.0)
    assert figure(result, "tuner-hours").trust is Trust.EXACT
    assert figure(result, "false reclaims").hypothetical == 0, "it had left by itself"


def test_before_the_fix_the_viewer_who_came_back_went_on_with_the_old_session() -> None:
    """What the record calls two sessions is one there, and its bytes add up."""
    again = (
        tune("s2", second=30, client=player("player of s1")),
        first_byte(second=30.2, lease=4),
        took("s2", 500, second=30.4),
        closed("s2", second=40, connection=2, seen=progress(700, 40)),
    )
    rows = history(*LINGERED[:-1], *again)
    result = asked(rows, "before_fix")
    assert (figure(result, "sessions").recorded, figure(result, "sessions").hypothetical) == (2, 1)
    assert seconds(result, "watched hours") == (19.0 + 10.0, 69.0)


def test_a_viewer_who_had_left_is_not_reclaimed_falsely() -> None:
    """Though it asks for the same channel again soon after its old session went stale."""
    again = tune("s2", second=70, client=player("player of s1"))
    result = asked(history(*LINGERED, again), "before_fix")
    assert ends(result)["stale · recovery_exhausted"] == (0, 1)
    assert figure(result, "false reclaims").hypothetical == 0


def test_with_fewer_tuners_somebody_is_refused() -> None:
    """After the wait; that it does not ask again is assumed, and said."""
    rows = history(
        *WATCHED[:5],
        tune("s2", "2", second=14),
        opened("2", second=14.2),
        first_byte("2", second=14.3),
        took("s2", 1_000, second=14.4),
        stop("s2", second=40),
        stop("s1", second=50),
    )
    result = asked(rows, "tuners=1")
    refused = figure(result, "refused all_tuners_in_use")
    assert (refused.recorded, refused.hypothetical, refused.trust) == (0, 1, Trust.AT_LEAST)
    assert result.assumed == {"refused": 1}
    assert seconds(result, "tuner-hours") == (49.0 + 26.0, 49.0)
    assert figure(result, "tuner-hours").trust is Trust.AT_LEAST


def test_who_waits_is_given_what_is_released_meanwhile() -> None:
    """As at the door: the longest waiting first, within the admission wait."""
    rows = history(
        *WATCHED[:5],
        tune("s2", "2", second=14),
        stop("s1", second=15.5),
        opened("2", second=15.7),
        first_byte("2", second=15.8),
        took("s2", 1_000, second=16),
        stop("s2", second=40),
    )
    result = asked(rows, "tuners=1")
    assert ends(result)["manual · asked"] == (2, 2)
    assert seconds(result, "tuner-hours") == (14.5 + 26.0, 14.5 + 24.5)
    assert not any(one.name.startswith("refused") for one in result.figures)
    assert seconds(asked(rows, "tuners=1,admission_wait=1s"), "tuner-hours")[1] == 14.5


def test_with_more_tuners_a_refused_viewer_watches_by_the_model() -> None:
    """For the median of the recorded sessions; between not at all and to the end of the record."""
    rows = history(
        *WATCHED[:5], tune("s2", "2", second=14, asked=11), stop("s1", second=41), tuners=1
    )
    result = asked(rows, "tuners=2")
    refused = figure(result, "refused all_tuners_in_use")
    assert (refused.recorded, refused.hypothetical) == (1, 0)
    assert result.assumed == {"admitted": 1}
    hours = figure(result, "tuner-hours")
    assert hours.trust is Trust.BETWEEN
    assert hours.low is not None
    assert hours.high is not None
    # 40 s each, and the modelled relay lingers for five more.
    assert seconds(result, "tuner-hours") == (40.0, 85.0)
    assert round(hours.low * 3_600, 3) == 40.0
    assert round(hours.high * 3_600, 3) == 85.0 + (600 - 14)


TROUBLE = (
    *WATCHED[:5],
    lost(second=15, sockets={"s1": progress(9_400, 14.5)}),
    first_byte(second=33, attempt=2),
    took("s1", 9_900, second=33.1),
    stop("s1", second=60),
)


def test_a_shorter_grace_ends_a_session_that_would_have_recovered() -> None:
    """Counted as a false reclaim: the record shows that its client went on."""
    result = asked(history(*TROUBLE), "grace=10s")
    assert ends(result) == {"manual · asked": (1, 0), "stale · recovery_exhausted": (0, 1)}
    assert figure(result, "false reclaims").hypothetical == 1
    assert seconds(result, "tuner-hours") == (59.0, 23.5)
    assert figure(result, "tuner-hours").trust is Trust.EXACT


def test_a_longer_grace_goes_on_in_silence() -> None:
    """Whether the upstream would have come back is not known: modelled, and said."""
    rows = history(
        *WATCHED[:5],
        lost(second=15, sockets={"s1": progress(9_400, 14.5)}),
        expire("s1", second=44.6, seen=progress(9_400, 14.5)),
    )
    result = asked(rows, "grace=60s")
    assert ends(result) == {"stale · recovery_exhausted": (1, 1)}
    assert seconds(result, "watched hours") == (43.6, 73.5)
    assert figure(result, "watched hours").trust is Trust.MODELLED
    assert result.assumed == {"silent": 1}


@pytest.mark.parametrize(("idle", "ended_at"), [("5s", 17.0), ("60s", 72.0)])
def test_a_client_that_vanished_is_ended_by_the_deadline_asked_about(
    idle: str, ended_at: float
) -> None:
    """Its silence is recorded with its end, so it is known before."""
    rows = history(*WATCHED[:5], expire("s1", second=32.1, seen=progress(9_000, 12)))
    result = asked(rows, f"active_idle={idle}")
    assert seconds(result, "watched hours") == (31.1, ended_at - 1)
    assert ends(result)["orphaned · peer_vanished"] == (1, 1)


def test_an_active_client_is_never_ended_for_what_was_not_recorded() -> None:
    """Its activity is recorded once in ten seconds, and that is no silence."""
    result = asked(history(*LINGERED), "active_idle=1s")
    assert result.first_difference is None


def test_a_relay_lingers_as_long_as_asked() -> None:
    """To the microsecond."""
    assert seconds(asked(history(*LINGERED), "linger=60s"), "tuner-hours") == (24.0, 79.0)
    assert seconds(asked(history(*LINGERED), "linger=0"), "tuner-hours") == (24.0, 19.0)


def test_a_start_from_the_middle_counts_from_there() -> None:
    """With the state that was there."""
    rows = history(*LINGERED)
    middle = next(row.pos for row in rows if row.type == "activity")
    result = whatif(lambda: rows[middle:], parse("before_fix"), fold(map(Read, rows[:middle])))
    assert result is not None
    assert result.first == middle + 1
    assert ends(result)["stale · recovery_exhausted"] == (0, 1)
    # The tuner is counted from the first event behind the middle, the activity at 12 s.
    assert seconds(result, "tuner-hours") == (13.0, 38.0)


def test_no_events_are_no_answer() -> None:
    """None, rather than figures of nothing."""
    assert whatif(list, parse("tuners=2")) is None


@pytest.mark.parametrize(
    ("commands", "policy"),
    [
        ((*WATCHED[:4], tune("s2", "2", second=9, tuner=7)), {}),
        ((*WATCHED[:4], tune("s2", "2", second=9, tuner=0)), {}),
        ((*WATCHED[:4], tune("s2", "1", second=9, tuner=2)), {}),
        ((*WATCHED[:4], tune("s2", "2", second=9, asked=6, sources=(("p", 1),))), {}),
        (
            (
                tune("s1", second=1, client=vlc(), sources=(("p", 1),)),
                tune("s2", "2", second=2, sources=(("q", 1),)),
                tune("s3", "3", second=9, asked=5, client=vlc(), sources=(("q", 1),)),
            ),
            {"tuners": 2},
        ),
        (
            (
                TuneTooOften(
                    at=at(3), asked="7", client=player(), per_second=20, refusal_id="REFUSAL"
                ),
            ),
            {},
        ),
        (
            (
                *WATCHED[:4],
                TooSlow(
                    at=at(50),
                    session=SessionId("s1"),
                    connection=ConnectionId(1),
                    progress=progress(2_000, 49),
                    uptake=Uptake(over_ms=5, taken_bytes=9, offered_bytes=9, behind_ms=0, skips=99),
                ),
            ),
            {},
        ),
    ],
    ids=["no tuner", "tuner in use", "elsewhere", "source full", "to hand over", "often", "slow"],
)
def test_what_was_not_recorded_is_stood_in_for(
    commands: tuple[Command, ...], policy: dict[str, Any]
) -> None:
    """Each kind of refusal, and a client that was too slow, is decided again as recorded."""
    rows = history(*commands, **policy)
    assert {"refused", "reclaim"} & {row.type for row in rows}
    inputs = Inputs(rows)
    assert all(same(decide(one.command, inputs.world).drafts, one.append) for one in inputs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "keep_alive=true,grace=10s,tuners=2",
            {"keep_alive": True, "grace_ms": 10_000, "tuners": 2},
        ),
        ("SESSION_KEEP_ALIVE=false", {"keep_alive": False}),
        ("SESSION_TIMEOUT_GRACE=15000", {"grace_ms": 15_000}),
        ("PLEXBRIDGE_ADMISSION_WAIT=0,TUNER_COUNT=9", {"admission_wait_ms": 0, "tuners": 9}),
        ("linger=0, admission_wait=1.5s", {"linger_ms": 0, "admission_wait_ms": 1_500}),
        ("grace_ms=900", {"grace_ms": 900}),
        ("before_fix", {"keep_alive": True, "enhanced_cleanup_disabled": True}),
        ("recorded", {}),
    ],
)
def test_how_a_policy_is_written(text: str, expected: dict[str, Any]) -> None:
    """By the seed's names, the settings' and the policy's own."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tuners", "KEY=VALUE"),
        ("tuners=0", "from 1 to 1000"),
        ("grace=10", "with its unit"),
        ("grace=2h", "3600000"),
        ("keep_alive=maybe", "true or false"),
        ("turners=2", "there are"),
        ("skips_allowed=3", "makes no difference"),
    ],
)
def test_what_is_no_policy(text: str, says: str) -> None:
    """Is told with what would be one."""
    with pytest.raises(NoPolicy, match=says):
        parse(text)
