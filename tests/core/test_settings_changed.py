"""Settings that change while people watch: nobody's session ends, and bounds are for who comes."""

from random import Random
from typing import Any

import pytest

from events.appends import appends
from events.commands import ChangeSettings, Command, Recover, Started
from events.envelope import Recorded
from events.policy import Policy
from events.refusals import AllTunersInUse, TooManySessions
from plexbridge.audit.bounds import Bounds
from plexbridge.audit.inputs import Inputs
from plexbridge.audit.policies import parse
from plexbridge.audit.whatif import whatif
from projections.dashboard import Dashboard
from tests.core.given import Story, at, closed, first_byte, given, progress, took, tune, vlc
from tests.core.stamped_history import StampedHousehold, chained, policy_of

QUICK = {"linger_ms": 0, "admission_wait_ms": 0}


def change(second: float, *names: str, **policy: Any) -> ChangeSettings:
    """Somebody changes these; without values no rule depends on them."""
    values = Policy(**policy) if policy else None
    return ChangeSettings(at=at(second), names=names, by="admin by session", policy=values)


def watched(viewers: int, **policy: Any) -> Story:
    """So many people watch a channel each, on a tuner each."""
    story = given(**QUICK, **policy)
    for n in range(viewers):
        story.after(tune(f"s{n}", str(n), second=n, client=vlc(f"10.0.0.{n}")))
        story.after(first_byte(str(n), second=n), took(f"s{n}", 188, second=n))
    return story


def leaves(n: int, second: float) -> Command:
    """One of them does."""
    return closed(f"s{n}", second=second, seen=progress(188, second))


def refused(story: Story, second: float, kind: type[Any], **asked: Any) -> None:
    """Who comes now is, and nobody's session ends for it."""
    before = set(story.world.sessions)
    outcome = story.when(tune("s9", "9", second=second, **asked))
    assert isinstance(outcome.decision.refusal, kind)
    assert set(story.world.sessions) == before


def test_a_change_is_one_decision_with_the_policy_behind_it() -> None:
    """Who changed what, and the policy because of it; without one where no rule depends on it."""
    outcome = watched(2).when(change(10, "TUNER_COUNT", tuners=7))
    outcome.then("bridge: settings_changed", "bridge: policy_set")
    assert outcome.payload(0) == {"names": ["TUNER_COUNT"], "by": "admin by session"}
    assert outcome.payload()["tuners"] == 7
    assert outcome.decision.drafts[1].because == 0
    watched(2).when(change(10, "FRIENDLY_NAME")).then("bridge: settings_changed")


def test_fewer_tuners_end_nobody_and_refuse_who_comes() -> None:
    """Until fewer are in use than there are now, whatever numbers are free."""
    story = watched(4, tuners=4).after(change(10, "TUNER_COUNT", tuners=2, **QUICK))
    assert len(story.world.sessions) == 4
    refused(story, 11, AllTunersInUse)
    story.after(leaves(0, 12), leaves(1, 12))
    refused(story, 13, AllTunersInUse)
    refused(story, 13, AllTunersInUse, tuner=0)
    story.after(leaves(2, 14), tune("s9", "9", second=15))
    assert {lease.tuner for lease in story.world.leases.values()} == {0, 3}


def test_who_joins_a_channel_beyond_the_bound_shares_its_tuner() -> None:
    """A tuner that is there costs nothing more."""
    story = watched(4, tuners=4).after(change(10, "TUNER_COUNT", tuners=1, **QUICK))
    story.after(tune("s9", "3", second=11))
    assert len(story.world.sessions) == 5
    assert len(story.world.leases) == 4


def test_as_many_lingering_relays_give_up_as_it_takes() -> None:
    """They hold nothing against anyone: three of them go for one who comes."""
    story = given(tuners=3, linger_ms=60_000, admission_wait_ms=0)
    for n in range(3):
        story.after(tune(f"s{n}", str(n), second=n), first_byte(str(n), second=n))
        story.after(took(f"s{n}", 188, second=n), leaves(n, n + 0.5))
    story.after(change(10, "TUNER_COUNT", tuners=1, linger_ms=60_000))
    story.after(tune("s9", "9", second=11))
    assert set(story.world.leases) == {"9"}


def test_fewer_sessions_end_nobody_and_refuse_who_comes() -> None:
    """Also one who would hand over: there would still be too many."""
    story = watched(3, tuners=4).after(change(10, "MAX_CONCURRENT_STREAMS", max_sessions=2))
    assert len(story.world.sessions) == 3
    story.after(change(10, "MAX_CONCURRENT_STREAMS", max_sessions=2, **QUICK))
    refused(story, 11, TooManySessions, client=vlc("10.0.0.1"))


def test_the_tuners_in_use_beyond_the_bound_are_shown() -> None:
    """Until their last viewer leaves."""
    begun = Started(at=at(0), version="1", machine="m", policy=Policy(tuners=4, **QUICK))
    story = given().after(begun)
    for n in range(4):
        story.after(tune(f"s{n}", str(n), second=n + 1, client=vlc(f"10.0.0.{n}")))
    story.after(change(10, "TUNER_COUNT", tuners=2, **QUICK))
    assert tuners(story) == [0, 1, 2, 3]
    story.after(leaves(2, 11))
    assert tuners(story) == [0, 1, 3]


def tuners(story: Story) -> list[int]:
    """The numbers that the dashboard shows."""
    dashboard = Dashboard()
    for row in chained(story.events):
        dashboard.fold(row)
    return [row["tuner"] for row in dashboard.document()["tuners"]]


def changed_history() -> list[Recorded]:
    """Four watch on four tuners, which become two; a fifth is refused."""
    begun = Started(at=at(0), version="1", machine="m", policy=Policy(tuners=4, **QUICK))
    story = given().after(begun)
    for n in range(4):
        story.after(tune(f"s{n}", str(n), second=n + 1, client=vlc(f"10.0.0.{n}")))
        story.after(first_byte(str(n), second=n + 1), took(f"s{n}", 188, second=n + 1))
    story.after(change(10, "TUNER_COUNT", tuners=2, **QUICK))
    story.after(change(10, "FRIENDLY_NAME"), tune("s9", "9", second=11))
    return chained(story.after(Recover(at=at(600))).events)


def test_a_change_is_found_again_in_the_log_and_decided_alike() -> None:
    """Byte for byte, with the state before it."""
    found = []
    inputs = Inputs(changed_history())
    for given_ in inputs:
        if isinstance(given_.command, ChangeSettings):
            found.append(given_.command)
            assert given_.append[0].type == "settings_changed"
    assert [one.names for one in found] == [("TUNER_COUNT",), ("FRIENDLY_NAME",)]
    assert [one.policy and one.policy.tuners for one in found] == [2, None]
    result = whatif(changed_history, parse("recorded"))
    assert result is not None
    assert (result.exact, result.first_difference) == (result.decisions, None)


def test_another_policy_holds_over_a_change() -> None:
    """With four tuners all the time, the fifth is refused just the same; with five it is not."""
    for tuners_then, admitted in ((4, False), (5, True)):
        result = whatif(changed_history, parse(f"tuners={tuners_then}"))
        assert result is not None
        assert result.recorded.tuners == 2
        assert (result.first_difference is not None) is admitted
        assert result.assumed.get("admitted", 0) == admitted


def changing(seed: int) -> StampedHousehold:
    """A household in which people change settings all the time."""
    random = Random(seed)
    household = StampedHousehold(random, policy_of(random), changes=Random(seed))
    household.start()
    for _ in range(250):
        household.step()
    changed = [one for one in household.events if one.type == "settings_changed"]
    assert changed, "somebody changed something"
    return household


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_changed_when_the_log_is_decided_again_alike(seed: int) -> None:
    """Each decision is one again, byte for byte, and every figure with it."""
    household = changing(seed)
    rows = chained(household.events)
    split = [[one.pos for one in append] for append in appends(rows)]
    assert [len(append) for append in split] == [len(append) for append in household.appends]
    result = whatif(lambda: rows, parse("recorded"))
    assert result is not None
    assert (result.decisions, result.exact) == (len(household.appends),) * 2
    assert result.assumed == {}


@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_given_more_than_is_allowed_then(seed: int) -> None:
    """By the independent count, also below what was in use; no session ends by a change."""
    household = changing(seed)
    bounds = Bounds()
    rows = chained(household.events)
    assert [found for row in rows for found in bounds.event(row, dict(row.payload))] == []
    assert bounds.examined > 0
    for append in household.appends:
        if append[0].type == "settings_changed":
            assert {one.type for one in append} <= {"settings_changed", "policy_set"}


@pytest.mark.parametrize("policy", ["tuners=1", "tuners=9", "before_fix", "grace=1s"])
@pytest.mark.parametrize("seed", range(6))
def test_any_changing_household_can_be_decided_again_under_any_policy(
    seed: int, policy: str
) -> None:
    """The rules' own assertions hold in every course, and what is asked holds all the time."""
    rows = chained(changing(seed).events)
    result = whatif(lambda: rows, parse(policy))
    assert result is not None
    if policy.startswith("tuners"):
        (at_once,) = (one for one in result.figures if one.name == "tuners at once")
        assert at_once.hypothetical <= result.asked.tuners
