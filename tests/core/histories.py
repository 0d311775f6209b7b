"""Random histories: what a household does under the real rules, as the events that follow.

Knows nothing of how events are shown. The same seed gives the same history.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from events.codec import fields_of
from events.commands import (
    ChangeSettings,
    ClientRef,
    Command,
    Note,
    Recover,
    ShutDown,
    Started,
    TuneUnknown,
)
from events.deadlines import Observation, due
from events.decide import decide
from events.envelope import NewEvent, Recorded
from events.ids import ChannelId
from events.policy import Policy
from events.world import Session, World, evolve
from tests.core.given import (
    at,
    closed,
    completed,
    expire,
    first_byte,
    linger_over,
    lost,
    moves,
    opened,
    player,
    plex,
    progress,
    reported,
    socket_gone,
    stamped,
    stop,
    took,
    tune,
    vlc,
)

ALLOWED = {"p": 1, "q": 2, "open": 0}
CHANNELS = {"1": ("p",), "2": ("q", "p"), "3": ("q",), "4": ("open",), "5": ("p", "open")}
CLIENTS = (plex("a"), plex("b"), vlc(), player("server"), player("other server"))
REASONS = ("client_disconnect", "manual", "timeout", "restart_error", "admin")


def recorded(events: Iterable[NewEvent]) -> list[Recorded]:
    """Events as a log would give them back, but for the hashes, which no fold looks at."""
    return [
        Recorded._make((pos, *fields_of(event), b"")) for pos, event in enumerate(events, start=1)
    ]


@dataclass(slots=True)
class Household:
    """Players come and go, upstreams break, time passes, the bridge crashes."""

    random: Random
    policy: Policy
    world: World = field(default_factory=World)
    appends: list[tuple[NewEvent, ...]] = field(default_factory=list)
    """What each decision wrote: each is one transaction of a log."""
    second: float = 0.0
    asked: int = 0
    bytes: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, float] = field(default_factory=dict)
    changes: Random | None = None
    """Of its own: where nobody changes settings, everything else happens as ever."""

    @property
    def events(self) -> list[NewEvent]:
        """Everything that happened."""
        return [event for append in self.appends for event in append]

    def do(self, command: Command) -> None:
        """Decide, and let what follows happen."""
        happened = tuple(
            replace(event, id=self.random.randbytes(16))
            for event in stamped(decide(command, self.world).drafts, self.world)
        )
        for event in happened:
            evolve(self.world, event)
        if happened:
            self.appends.append(happened)

    def start(self) -> None:
        """The bridge starts, and returns what a crash left open."""
        self.do(Recover(at=at(self.second)))
        self.do(Started(at=at(self.second), version="1", machine="m", policy=self.policy))

    def step(self) -> None:
        """Something happens."""
        self.second += self.random.choice((0.0, 0.01, 0.7, 3.0))
        acts = (self._asks, self._accepts, self._leaves, self._upstream, self._waits, self._notes)
        self.random.choices(acts, weights=(5, 8, 3, 6, 4, 1))[0]()
        if self.random.random() < 0.004:
            if self.random.random() < 0.5:
                self.do(ShutDown(at=at(self.second), progress=()))
            self.start()
        if self.changes is not None and self.changes.random() < 0.02:
            self._sets(self.changes)

    def _asks(self) -> None:
        client: ClientRef = self.random.choice(CLIENTS)
        self.asked += 1
        if self.random.random() < 0.1:
            name = f"refusal {self.asked}"
            moment = at(self.second)
            self.do(TuneUnknown(at=moment, asked="99", client=client, refusal_id=name))
            return
        channel = self.random.choice(sorted(CHANNELS))
        self.do(
            tune(
                f"s{self.asked:06}",
                channel,
                second=self.second,
                asked=self.second - self.random.choice((0.0, 5.0)),
                client=client,
                sources=[(source, ALLOWED[source]) for source in CHANNELS[channel]],
            )
        )

    def _accepts(self) -> None:
        for name in self._some_sessions():
            self.bytes[name] += self.random.randrange(1, 4_000_000)
            self.accepted[name] = self.second
            self.do(took(name, self.bytes[name], second=self.second))

    def _leaves(self) -> None:
        for name in self._some_sessions()[:1]:
            seen = progress(self.bytes[name], self.accepted.get(name, self.second))
            connection = self.world.sessions[name].connection  # type: ignore[index]
            acts: list[Command] = [
                reported(name, self.random.choice(REASONS), second=self.second),
                stop(name, second=self.second),
                expire(name, second=self.second, seen=seen),
            ]
            if connection is not None:
                acts.append(closed(name, second=self.second, connection=connection, seen=seen))
            self.do(self.random.choice(acts))

    def _upstream(self) -> None:
        if not self.world.leases:
            return
        channel = self.random.choice(sorted(self.world.leases))
        lease = self.world.leases[ChannelId(channel)].ver - self.random.choice((0, 0, 0, 0, 1))
        now = self.second
        source = self.random.choice(sorted(ALLOWED))
        acts: list[Command] = [
            moves(source, channel, second=now, lease=lease, allowed=ALLOWED[source]),
            opened(channel, second=now, lease=lease),
            first_byte(channel, second=now, lease=lease),
            lost(channel, second=now, lease=lease, gave_bytes=self.random.random() < 0.5),
            socket_gone(channel, second=now, lease=lease),
            linger_over(channel, second=now, lease=lease),
            replace(completed(channel, second=now), lease=lease),
        ]
        self.do(self.random.choices(acts, weights=(1, 3, 3, 3, 1, 1, 1))[0])

    def _waits(self) -> None:
        self.second += self.random.choice((2.0, 6.0, 25.0))

        def observe(session: Session) -> Observation:
            last = self.accepted.get(session.id, 0.0)
            seen = progress(self.bytes[session.id], max(last, (session.accepted_at - at(0)) / 1e6))
            waiting = self.random.random() < 0.7
            return Observation(
                progress=seen, waiting=waiting, acknowledging=self.random.random() < 0.5
            )

        for command in list(due(self.world, observe, at(self.second))):
            self.do(command)

    def _notes(self) -> None:
        source = f"source-{self.random.choice(sorted(ALLOWED))}"
        good = self.random.random() < 0.5
        payload = (("entries", 420),) if good else (("why", "HTTP 503"),)
        type_ = "refreshed" if good else "refresh_failed"
        self.do(Note(at=at(self.second), stream=source, type=type_, payload=payload))

    def _sets(self, random: Random) -> None:
        """Somebody changes a setting, one that the rules depend on or not."""
        policy = None
        if random.random() < 0.7:
            tuners, most = random.randint(1, 4), random.choice((0, 2))
            policy = self.policy = replace(self.policy, tuners=tuners, max_sessions=most)
        names = ("FRIENDLY_NAME",) if policy is None else ("TUNER_COUNT", "MAX_CONCURRENT_STREAMS")
        moment = at(self.second)
        self.do(ChangeSettings(at=moment, names=names, by="admin by session", policy=policy))

    def _some_sessions(self) -> list[str]:
        names = sorted(self.world.sessions)
        return self.random.sample(names, self.random.randint(0, len(names)))


def household(seed: int, steps: int) -> Household:
    """A household after so many steps, under a policy of its own."""
    random = Random(seed)
    policy = Policy(
        keep_alive=random.random() < 0.5,
        tuners=random.randint(1, 4),
        linger_ms=random.choice((0, 5_000)),
        recovery_attempts=random.choice((2, 10)),
        admission_wait_ms=0,
        activity_record_ms=random.choice((0, 10_000)),
    )
    household = Household(random, policy)
    household.start()
    for _ in range(steps):
        household.step()
    return household
