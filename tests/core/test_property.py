"""Whatever happens, in whatever order: the promises of the rules, against a model of their own.

The model knows only who asked, who was granted, and which events said what: it counts tuners,
connections and ends by itself and never looks at how the rules reached an answer.
"""

from collections import Counter
from typing import Any

import pytest
from given import (
    Outcome,
    at,
    closed,
    completed,
    expire,
    first_byte,
    given,
    linger_over,
    lost,
    moves,
    opened,
    player,
    plex,
    progress,
    reported,
    socket_gone,
    stop,
    took,
    tune,
    vlc,
)
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from events.commands import Command, Recover, ShutDown, Started
from events.deadlines import Observation, due
from events.ids import ChannelId
from events.machine import RELEASED
from events.policy import Policy
from events.refusals import AlreadyEnded
from events.world import Session, fold

ALLOWED = {"p": 1, "q": 2, "open": 0}
CHANNELS = {"1": ("p",), "2": ("q", "p"), "3": ("q",), "4": ("open",), "5": ("p", "open")}
CLIENTS = (plex("a"), plex("b"), vlc(), player("server"), player("other server"))
REASONS = ("client_disconnect", "manual", "timeout", "restart_error", "admin")

POLICIES = st.builds(
    Policy,
    keep_alive=st.booleans(),
    enhanced_cleanup_disabled=st.booleans(),
    tuners=st.integers(1, 3),
    max_sessions=st.sampled_from((0, 0, 2)),
    linger_ms=st.sampled_from((0, 5_000)),
    recovery_attempts=st.sampled_from((1, 2, 10)),
    admission_wait_ms=st.sampled_from((0, 2_000)),
)


class Household(RuleBasedStateMachine):
    """Players come and go, upstreams break, time passes, the bridge crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.second = 0.0
        self.sessions = 0
        self.bytes: Counter[str] = Counter()
        self.accepted: dict[str, float] = {}
        self.open: dict[str, str] = {}
        self.ends: Counter[str] = Counter()
        self.leases: dict[str, tuple[int, str]] = {}

    @initialize(policy=POLICIES)
    def begin(self, policy: Policy) -> None:
        """Under any policy."""
        self.policy = policy
        self.story = given(policy)

    def do(self, command: Command) -> Outcome:
        """Decide, and let the model count what was told."""
        outcome = self.story.when(command)
        for event in outcome.decision.drafts:
            self.count(event)
        return outcome

    def count(self, event: Any) -> None:
        kind, _, name = event.stream.partition("-")
        if kind == "session":
            assert self.ends[name] == 0, f"{event.type} after the end of {name}"
            edges = RELEASED[event.machine]
            assert event.dst in edges[event.src, event.type], "every step is an edge"
            assert event.src == self.open.get(name, "new"), "a step begins where the last ended"
            self.open[name] = event.dst
            if event.dst == "ended":
                self.ends[name] += 1
                del self.open[name]
        elif event.type == "tuner_leased":
            assert name not in self.leases, "one relay for a channel"
            self.leases[name] = (event.payload["tuner"], event.payload["source"])
        elif event.type == "source_changed":
            tuner, before = self.leases[name]
            assert before == event.payload["before"] != event.payload["source"]
            self.leases[name] = (tuner, event.payload["source"])
        elif event.type == "tuner_released":
            assert self.leases.pop(name) == (event.payload["tuner"], event.payload["source"])
        # At every event, not only after a decision: not even for a moment.
        tuners = [tuner for tuner, _ in self.leases.values()]
        assert len(set(tuners)) == len(tuners) <= self.policy.tuners
        for source, allowed in ALLOWED.items():
            in_use = sum(used == source for _, used in self.leases.values())
            assert allowed == 0 or in_use <= allowed, f"{source} is over its limit"

    def someone(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.open)), label="session")

    def lease(self, data: st.DataObject) -> tuple[str, int]:
        channel = data.draw(st.sampled_from(sorted(self.leases)), label="channel")
        stale = data.draw(st.sampled_from((0, 0, 0, 1)), label="stale")
        return channel, self.story.world.leases[ChannelId(channel)].ver - stale

    def any_open(self) -> bool:
        return bool(self.open)

    def any_lease(self) -> bool:
        return bool(self.leases)

    @rule(
        channel=st.sampled_from(sorted(CHANNELS)),
        client=st.sampled_from(CLIENTS),
        waited=st.sampled_from((0.0, 5.0)),
        tuner=st.sampled_from((None, None, None, 0, 1, 3)),
    )
    def a_player_asks(self, channel: str, client: Any, waited: float, tuner: int | None) -> None:
        self.sessions += 1
        asked = tune(
            f"s{self.sessions}",
            channel,
            second=self.second,
            asked=self.second - waited,
            client=client,
            tuner=tuner,
            sources=[(source, ALLOWED[source]) for source in CHANNELS[channel]],
        )
        decision = self.do(asked).decision
        said = [decision.granted is not None, decision.refusal is not None, decision.wait]
        assert sum(said) == 1, "granted, refused, or told to wait"
        assert not (decision.wait and decision.drafts), "who waits has changed nothing"
        if decision.granted is not None:
            granted = self.story.world.sessions[decision.granted]
            assert granted.connection == self.sessions
            self.accepted.setdefault(granted.id, self.second)

    @precondition(any_open)
    @rule(data=st.data(), size=st.integers(1, 10_000))
    def a_client_accepts(self, data: st.DataObject, size: int) -> None:
        name = self.someone(data)
        self.bytes[name] += size
        self.accepted[name] = self.second
        self.do(took(name, self.bytes[name], second=self.second))

    @precondition(any_open)
    @rule(data=st.data(), current=st.booleans())
    def a_connection_ends(self, data: st.DataObject, current: bool) -> None:
        name = self.someone(data)
        connection = self.story.world.sessions[name].connection  # type: ignore[index]
        number = connection if current and connection is not None else 0
        outcome = self.do(closed(name, second=self.second, connection=number))
        if number == 0:
            outcome.then_nothing()

    @precondition(any_open)
    @rule(data=st.data(), reason=st.sampled_from(REASONS))
    def a_program_reports(self, data: st.DataObject, reason: str) -> None:
        self.do(reported(self.someone(data), reason, second=self.second))

    @precondition(any_open)
    @rule(data=st.data())
    def a_person_stops_a_session_and_asks_again(self, data: st.DataObject) -> None:
        name = self.someone(data)
        self.do(stop(name, second=self.second))
        assert self.ends[name] == 1
        with pytest.raises(AlreadyEnded):
            self.do(stop(name, second=self.second))

    @precondition(any_open)
    @rule(data=st.data(), waiting=st.booleans())
    def someone_looks_too_early(self, data: st.DataObject, waiting: bool) -> None:
        name = self.someone(data)
        seen = progress(self.bytes[name], self.second)
        self.do(expire(name, second=self.second, seen=seen, waiting=waiting))

    @precondition(any_lease)
    @rule(
        data=st.data(), attempt=st.integers(1, 3), what=st.sampled_from((opened, first_byte, lost))
    )
    def an_upstream_tells(self, data: st.DataObject, attempt: int, what: Any) -> None:
        channel, ver = self.lease(data)
        self.do(what(channel, second=self.second, attempt=attempt, lease=ver))

    @precondition(any_lease)
    @rule(data=st.data(), source=st.sampled_from(sorted(ALLOWED)))
    def a_relay_moves_to_another_source(self, data: st.DataObject, source: str) -> None:
        channel, ver = self.lease(data)
        allowed = ALLOWED[source]
        self.do(moves(source, channel, second=self.second, lease=ver, allowed=allowed))

    @precondition(any_lease)
    @rule(data=st.data(), attempt=st.integers(1, 3))
    def a_reconnect_fails(self, data: st.DataObject, attempt: int) -> None:
        channel, ver = self.lease(data)
        self.do(lost(channel, second=self.second, attempt=attempt, lease=ver, gave_bytes=False))

    @precondition(any_lease)
    @rule(data=st.data())
    def a_socket_or_an_upstream_is_over(self, data: st.DataObject) -> None:
        channel, ver = self.lease(data)
        self.do(socket_gone(channel, second=self.second, lease=ver))
        if ver == 1:
            self.do(completed(channel, second=self.second))
        self.do(linger_over(channel, second=self.second, lease=ver))

    @rule(seconds=st.sampled_from((0.3, 2.0, 6.0, 25.0)), waiting=st.booleans())
    def time_passes(self, seconds: float, waiting: bool) -> None:
        self.second += seconds

        def observe(session: Session) -> Observation:
            last = self.accepted.get(session.id, 0.0)
            return Observation(
                progress=progress(self.bytes[session.id], last), waiting=waiting, acknowledging=True
            )

        for command in due(self.story.world, observe, at(self.second)):
            self.do(command)

    @rule(crash=st.booleans())
    def the_bridge_restarts(self, crash: bool) -> None:
        if not crash:
            self.do(ShutDown(at=at(self.second), progress=()))
        self.do(Recover(at=at(self.second)))
        assert not self.open, "nothing is open after a start"
        assert not self.leases, "nothing is leased after a start"
        self.do(Started(at=at(self.second), version="1", machine="m", policy=self.policy))

    @invariant()
    def the_world_is_what_the_model_counted(self) -> None:
        world = self.story.world
        assert {name: session.state for name, session in world.sessions.items()} == self.open
        assert {c: (x.tuner, x.source) for c, x in world.leases.items()} == self.leases
        assert all(count == 1 for count in self.ends.values())
        assert self.policy.max_sessions == 0 or len(self.open) <= self.policy.max_sessions

    @invariant()
    def every_session_is_on_exactly_one_lease(self) -> None:
        world = self.story.world
        on = Counter(name for lease in world.leases.values() for name in lease.sessions)
        assert on == Counter(dict.fromkeys(world.sessions, 1))
        for session in world.sessions.values():
            assert session.id in world.lease_of(session).sessions
        for lease in world.leases.values():
            assert (lease.empty_since is None) == bool(lease.sessions)

    @invariant()
    def folding_the_events_again_gives_an_equal_world(self) -> None:
        assert fold(self.story.events, self.policy) == self.story.world


TestHousehold = Household.TestCase
TestHousehold.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
