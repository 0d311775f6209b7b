"""Races at the door, simulated: commands, cancellations, the log's answers and its failures in
every order a seed can think of.

The door, the rules and the memory log are the real ones; players, relays and the disk's moods are
not. A history is one door from start to stop; in it round after round of three to seven commands
race. After each round everything is compared: what was decided, what is durable, what was carried
out, and an independent count of the events.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any, Final

from events.commands import ClientRef, Progress, Tune, TuneUnknown
from events.envelope import NewEvent, Recorded
from events.ids import ChannelId, ConnectionId, SessionId
from events.machine import CONNECT, DISCONNECT, ENDED, RECOVERING
from events.policy import Policy
from events.refusals import AlreadyEnded, Refused, UnknownSession
from events.world import World, evolve, fold
from plexbridge.control.door import Door
from plexbridge.control.stamp import Stamper
from plexbridge.ids import Ids
from plexbridge.log.memory import MemoryLog, Outcome
from tests.core.given import player, plex, tune, vlc
from tests.simulation.acts import ACTS, SHARES, Acts
from tests.simulation.ledger import Ledger, must
from tests.simulation.virtual_loop import VirtualClock, VirtualLoop

ALLOWED: Final = {"p": 1, "q": 2, "open": 0}
CHANNELS: Final = {"1": ("p",), "2": ("q", "p"), "3": ("q",), "4": ("open",), "5": ("p", "open")}
CLIENTS: Final = (plex("a"), plex("b"), vlc(), player("server"), player("other server"))

ROUNDS: Final = 16
"""Rounds of a history: enough for a house to fill, and little enough to read when one fails."""

RACING: Final = (3, 7)


MENDED_S: Final = 30.0
"""Longest that a whole disk may need to have everything: several slow commits one after another."""


@dataclass(slots=True)
class Relay:
    """An upstream as the provider counts it."""

    lease: int
    source: str | None
    """None between two sources."""


class House:
    """One history."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.loop = VirtualLoop(random)
        self.clock = VirtualClock(self.loop)
        self.policy = policy_of(random)
        self.outcomes: list[Outcome] = []
        """What the disk does with the next batches; stores when empty."""
        self.log = MemoryLog(fault=self._fault, schedule=self._store)
        self.ledger = Ledger(self.policy, ALLOWED)
        self.durable = World(policy=self.policy)
        self.relays: dict[str, Relay] = {}
        self.viewers: dict[str, int] = {}
        """Sessions → the connection that each is on."""
        self.tuning: list[Any] = []
        """Tasks of players that ask."""
        self.moving: list[Any] = []
        """Relays that change their source."""
        self.asked = 0
        self.trace = bytearray()
        """What happened in which order, of this round."""
        self.log.subscribe(self._became_durable)
        self.door = Door(
            self.log,
            World(policy=self.policy),
            clock=self.clock,
            stamper=Stamper(Ids(self.clock, random.getrandbits), node="local"),
            apply=self._apply,
            observe=self._observe,
            retry_s=0.5,
        )
        self.acts = Acts(self)

    # The disk ----------------------------------------------------------------------------------

    def _fault(self, events: Sequence[NewEvent]) -> Outcome:
        outcome = self.outcomes.pop(0) if self.outcomes else Outcome.STORED
        self.trace += outcome.value[0].encode()
        return outcome

    def _store(self, batch: Callable[[], None]) -> None:
        if self.random.random() < 0.85:
            self.loop.arrives(batch)
        else:  # a slow disk
            self.loop.call_later(self.random.choice((0.01, 0.4, 3.0)), batch)

    def _observe(self, session: SessionId) -> Progress | None:
        return self.acts.seen(session) if session in self.viewers else None

    def _became_durable(self, rows: Sequence[Recorded]) -> None:
        self.ledger.became_durable(rows)
        for row in rows:
            evolve(self.durable, row)

    # What is carried out -----------------------------------------------------------------------

    def _apply(self, events: Sequence[NewEvent], world: World) -> None:
        for event in events:
            name = event.stream.partition("-")[2]
            if event.type == "tuner_released":
                relay = self.relays.get(name)
                if relay is not None and relay.lease == event.payload["lease"]:
                    del self.relays[name]
            elif event.dst == ENDED or (event.type == DISCONNECT and event.dst is not None):
                self.viewers.pop(name, None)
            elif event.type == "tuner_leased":
                lease = world.leases.get(ChannelId(name))
                if lease is not None and lease.ver == event.ver:
                    must(name not in self.relays, f"channel {name} is relayed twice")
                    self.relays[name] = Relay(event.ver, event.payload["source"])
                    self.count_connections()
            elif event.type == CONNECT and event.payload["resumed"]:
                self.viewers.pop(name, None)

    def count_connections(self) -> None:
        """What a provider sees is never more than it allows."""
        for source, allowed in ALLOWED.items():
            used = sum(relay.source == source for relay in self.relays.values())
            must(not allowed or used <= allowed, f"{source} sees {used} connections of {allowed}")

    # Players -----------------------------------------------------------------------------------

    def asks(self) -> None:
        """A player asks, and watches if it may."""
        self.asked += 1
        number, random = self.asked, self.random
        client: ClientRef = random.choice(CLIENTS)
        channel = random.choice(tuple(CHANNELS))
        tuner = random.choice((None, None, None, None, 0, 1, 3))
        asked_at = self.loop.time()

        def ask() -> Tune:
            return tune(
                f"s{number:06}",
                channel,
                second=self.loop.time(),
                asked=asked_at,
                client=client,
                tuner=tuner,
                sources=[(source, ALLOWED[source]) for source in CHANNELS[channel]],
            )

        self.tuning.append(self.loop.create_task(self._watch(ask, number)))

    async def _watch(self, ask: Callable[[], Tune], number: int) -> None:
        try:
            session = await self.door.tune(ask)
        except Refused:
            return
        found = self.door.world.sessions.get(session)
        if found is not None and found.connection == number:
            self.viewers[session] = number

    def asks_for_nothing(self) -> None:
        """A player asks for a channel that is not there."""
        self.asked += 1
        self.door.refuse(
            TuneUnknown(
                at=self.clock.now(),
                asked="99",
                client=self.random.choice(CLIENTS),
                refusal_id=f"refusal {self.asked}",
            )
        )

    # Rounds ------------------------------------------------------------------------------------

    def round(self) -> bytes:
        """Several commands race; then all is compared. A digest of what came in which order."""
        self.trace.clear()
        random = self.random
        if random.random() < 0.08:
            kinds = (Outcome.STORED, Outcome.LOST, Outcome.UNKNOWN)
            self.outcomes = random.choices(kinds, weights=(2, 2, 2), k=random.randint(1, 4))
        for act in random.choices(ACTS, SHARES, k=random.randint(*RACING)):
            self.acts.plan(act)
        self.loop.settle()
        if random.random() < 0.3:
            self.loop.sleep(random.choice((0.3, 2.5, 6.0)))
            self.loop.arrives(self.acts.ticks)
            self.loop.settle()
        self.waits_for_the_disk()
        self.compare()
        return blake2b(self.trace, digest_size=8).digest()

    def waits_for_the_disk(self) -> None:
        """Until everything that was appended is settled."""
        until = self.loop.time() + MENDED_S
        while self.log.waiting_events or not self.door.storing:
            must(self.loop.time() < until, "the door does not store again")
            self.loop.sleep(1.0)
            self.loop.settle()

    def compare(self) -> None:
        """Nothing is on its way: all accounts are equal."""
        for fault in self.loop.faults:
            raise fault.get("exception") or AssertionError(fault["message"])
        self.ledger.check()
        world, ledger = self.door.world, self.ledger
        must(world == self.durable, "what was decided is not what is durable")
        must(
            {name: session.state for name, session in world.sessions.items()} == ledger.open,
            "sessions differ from the count",
        )
        must(
            {c: (x.tuner, x.source) for c, x in world.leases.items()} == ledger.leases,
            "leases differ from the count",
        )
        relayed = {channel: (relay.lease, relay.source) for channel, relay in self.relays.items()}
        leased = {str(c): (x.ver, str(x.source)) for c, x in world.leases.items()}
        must(relayed == leased, f"relays {relayed} are not the leases {leased}")
        for name, session in world.sessions.items():
            seen = self.viewers.get(name)
            must(seen == session.connection or session.state == RECOVERING, f"{name} has no player")
        must(self.viewers.keys() <= world.sessions.keys(), "a player is connected for no session")
        self.count_connections()

    def ends(self) -> None:
        """The bridge stops: nothing is left."""
        self.loop.arrives(self.acts.shuts_down)
        self.loop.settle()
        self.waits_for_the_disk()
        self.loop.sleep(self.policy.admission_wait_ms / 1_000 + 1)
        self.waits_for_the_disk()
        self.compare()
        must(not self.ledger.open, "a session outlived the bridge")
        must(not self.ledger.leases, "a tuner outlived the bridge")
        must(not self.viewers, "a connection outlived the bridge")
        must(all(task.done() for task in self.tuning), "a player waits for ever")
        rows = self.log.reader.read(0, -1)
        must(fold(rows, self.policy) == self.door.world, "the log folds to something else")

    # What acts do ------------------------------------------------------------------------------

    def leaves(self, session: str, connection: int) -> None:
        """A player's connection is over, as the streaming response tells it."""
        if self.viewers.get(session) == connection:
            del self.viewers[session]
        found = self.door.world.sessions.get(SessionId(session))
        if found is None or found.connection != connection:
            return
        self.acts.reports(self.acts.closed(session, ConnectionId(connection)))

    def told(self, report: Callable[[], object]) -> None:
        """Report; that it had ended already is an answer."""
        try:
            report()
        except (AlreadyEnded, UnknownSession):
            self.trace += b"!"


def policy_of(random: Random) -> Policy:
    """Any household's."""
    return Policy(
        keep_alive=random.random() < 0.5,
        enhanced_cleanup_disabled=random.random() < 0.2,
        tuners=random.randint(1, 3),
        max_sessions=random.choice((0, 0, 2)),
        linger_ms=random.choice((0, 5_000)),
        recovery_attempts=random.choice((1, 2, 10)),
        admission_wait_ms=random.choice((0, 200, 2_000)),
        activity_record_ms=random.choice((0, 10_000)),
    )


def history(seed: int, rounds: int = ROUNDS) -> list[bytes]:
    """One house, round after round, to its end; a digest of each round."""
    house = House(seed)
    try:
        digests = [house.round() for _ in range(rounds)]
        house.ends()
    finally:
        house.loop.crash()
    return digests
