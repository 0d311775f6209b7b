"""The fold: what a world remembers of its events, and what it refuses to fold."""

from dataclasses import replace

import orjson
import pytest
from given import (
    START,
    at,
    closed,
    first_byte,
    given,
    in_trouble,
    lost,
    opened,
    player,
    reported,
    socket_gone,
    stop,
    tune,
    watching,
)

from events.commands import Note, TuneUnknown
from events.envelope import Recorded
from events.ids import Position, SessionId, UnixMicros, source_stream
from events.limits import ENDED_REMEMBERED, REFUSALS_REMEMBERED
from events.policy import Policy
from events.refusals import UnknownSession
from events.world import evolve, fold


def test_folding_the_events_again_gives_an_equal_world() -> None:
    """The world is nothing but its events."""
    story = in_trouble("s1", "s2", keep_alive=True).after(reported("s1", "x", second=3))
    story.after(tune("s3", "2", second=3), closed("s2", second=4), socket_gone("9", second=4))
    assert fold(story.events, story.world.policy) == story.world


def test_decided_and_recorded_events_fold_alike() -> None:
    """The payload of a recorded event is parsed from its text only where a fold asks for it."""
    story = in_trouble("s1").after(closed("s1", second=3))
    recorded = []
    for pos, event in enumerate(story.events, start=1):
        fields = {name: getattr(event, name) for name in Recorded._fields[1:-2]}
        data = orjson.dumps(event.payload)
        recorded.append(Recorded(pos=Position(pos), **fields, data=data, hash=bytes(32)))
    assert fold(recorded) == story.world


def test_a_fold_starts_with_the_default_policy() -> None:
    """Until the log says what is in force."""
    assert fold([]).policy == Policy()


def test_a_gap_in_a_streams_versions_is_our_own_fault() -> None:
    """The expected version was checked when it was appended."""
    story = watching("s1")
    last = story.events[-1]
    for wrong in (last.ver, last.ver + 2):
        with pytest.raises(AssertionError, match=f"version {wrong} after {last.ver}"):
            evolve(story.world, replace(last, ver=wrong))


def test_a_sessions_event_names_the_state_it_leads_to() -> None:
    """Conditional edges fold without asking the policy again."""
    story = watching("s1")
    event = replace(story.events[-1], ver=3, dst=None)
    with pytest.raises(AssertionError, match="names the state"):
        evolve(story.world, event)


def test_a_tuner_is_never_given_twice() -> None:
    """Neither one tuner to two channels nor two to one."""
    story = given().after(tune("s1"))
    leased = story.events[0]
    with pytest.raises(AssertionError, match="leased twice"):
        evolve(story.world, replace(leased, ver=2))
    with pytest.raises(AssertionError, match="tuner 0 given twice"):
        evolve(story.world, replace(leased, stream="channel-2"))


def test_a_lease_does_not_return_under_its_sessions() -> None:
    """Who watches holds it."""
    story = watching("s1")
    released = replace(
        story.events[0], type="tuner_released", ver=story.world.versions["channel-1"] + 1
    )
    with pytest.raises(AssertionError, match="returned under 1 sessions"):
        evolve(story.world, released)


def test_a_session_is_always_on_its_channels_lease() -> None:
    """Looking for the lease of one that is not is our own fault."""
    story = watching("s1")
    story.world.leases["1"].sessions.clear()  # type: ignore[index]
    with pytest.raises(AssertionError, match="not on its channel's lease"):
        story.world.lease_of(story.world.sessions[SessionId("s1")])


def test_an_upstreams_state_is_folded() -> None:
    """Connecting, opened, flowing, lost, flowing again; the gap from its first loss."""
    story = given().after(tune("s1"))
    lease = story.world.leases["1"]  # type: ignore[index]
    seen = [lease.upstream]
    for command in (
        opened(second=1),
        first_byte(second=2),
        lost(second=3),
        lost(second=4, attempt=2, gave_bytes=False),
    ):
        story.after(command)
        seen.append(lease.upstream)
    assert seen == ["connecting", "opened", "flowing", "lost", "lost"]
    assert lease.lost_at == at(3)
    story.after(first_byte(second=5, attempt=3))
    assert (lease.upstream, lease.lost_at, lease.delivered) == ("flowing", None, True)


def test_a_recorded_upstream_event_of_an_older_lease_changes_nothing() -> None:
    """Old logs may hold one that was told too late."""
    story = watching("s1")
    late = replace(
        story.events[2],
        type="upstream_lost",
        ver=story.world.versions["channel-1"] + 1,
        payload={"lease": 99, "source": "p", "attempt": 1},
    )
    evolve(story.world, late)
    assert story.world.leases["1"].upstream == "flowing"  # type: ignore[index]


def test_an_ended_session_is_forgotten_but_for_its_name() -> None:
    """A world is the size of the household, not of the log."""
    story = watching("s1").after(stop("s1", second=2))
    assert "session-s1" not in story.world.versions
    assert list(story.world.ended) == ["s1"]


def test_only_the_last_ended_sessions_are_remembered() -> None:
    """The oldest name is forgotten first: it is unknown then."""
    story = given(tuners=1, linger_ms=0)
    story.world.ended.update(
        (SessionId(f"old {n}"), UnixMicros(START)) for n in range(ENDED_REMEMBERED)
    )
    story.after(tune("s1"), stop("s1", second=1))
    assert len(story.world.ended) == ENDED_REMEMBERED
    with pytest.raises(UnknownSession):
        story.when(stop("old 0", second=2))


def test_only_the_last_refusals_are_remembered() -> None:
    """The one that was recorded longest ago is forgotten first."""
    story = given()
    story.world.refused.update((f"old {n}", at(0)) for n in range(REFUSALS_REMEMBERED))
    story.after(TuneUnknown(at=at(1), asked="9", client=player("me"), refusal_id="r"))
    assert len(story.world.refused) == REFUSALS_REMEMBERED
    assert "old 0" not in story.world.refused


def test_what_no_session_depends_on_counts_only_in_its_stream() -> None:
    """A refresh moves the version of its source's stream and nothing else."""
    stream = source_stream("p")  # type: ignore[arg-type]
    story = given().after(Note(at=at(0), stream=stream, type="refreshed", payload=()))
    assert story.world.versions == {stream: 1}


def test_a_policy_of_another_version_is_read() -> None:
    """Unknown names are left aside, missing ones get today's defaults."""
    assert Policy.from_payload({"tuners": 9, "of tomorrow": 1}) == Policy(tuners=9)
    assert Policy.from_payload(Policy(grace_ms=7).as_payload()) == Policy(grace_ms=7)
