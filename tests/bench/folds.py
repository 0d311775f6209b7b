"""How fast recorded events are folded: everything that is shown and decided on, and a moment."""

import random
import time
from collections.abc import Sequence

import orjson

from events.commands import (
    Accepted,
    ChannelRef,
    ClientRef,
    Command,
    Disconnect,
    LingerOver,
    Progress,
    Started,
    Tune,
)
from events.decide import decide
from events.envelope import NewEvent, Recorded
from events.ids import ChannelId, ConnectionId, Position, SourceId
from events.policy import Policy
from events.world import World, evolve
from plexbridge.clock import ManualClock
from plexbridge.control.stamp import Stamper
from plexbridge.ids import Ids
from projections.dashboard import Dashboard
from projections.folding import Folding
from tests.bench.figures import Figure

EVENTS, QUICK_EVENTS = 200_000, 5_000


class Story:
    """Sessions of forty activities each, decided by the real rules."""

    def __init__(self, tuners: int = 10) -> None:
        self._tuners = tuners
        self.written: list[NewEvent] = []
        self.clock = ManualClock()
        self._ids = Ids(self.clock, random.Random(1).getrandbits)
        self._stamper = Stamper(self._ids, node="bench")
        self._world = World()

    def tell(self, command: Command) -> None:
        for event in self._stamper.stamp(
            decide(command, self._world).drafts, self._world, actor=""
        ):
            evolve(self._world, event)
            self.written.append(event)

    def begin(self) -> None:
        """The bridge starts."""
        policy = Policy(tuners=self._tuners)
        self.tell(Started(at=self.clock.now(), version="bench", machine="", policy=policy))

    def opened(self, number: int) -> Tune:
        """A session begins."""
        at = self.clock.now()
        tune = Tune(
            at=at,
            asked_at=at,
            session=self._ids.session(),
            connection=ConnectionId(number),
            channel=ChannelRef(
                id=ChannelId(f"c{number % 50}"),
                guide_number=str(number % 50),
                name="Channel",
                sources=((SourceId("bench"), 0),),
            ),
            client=ClientRef(
                key=str(number),
                address="192.168.1.9",
                user_agent="bench",
                name="bench",
                identified=False,
                single_viewer=False,
            ),
            kind="auto",
            refusal_id="r",
        )
        self.tell(tune)
        return tune

    def session(self, number: int) -> None:
        """From its first byte to the release of its tuner."""
        tune = self.opened(number)
        session, connection, channel = tune.session, tune.connection, tune.channel
        for step in range(40):
            self.clock.advance(11)
            progress = Progress(bytes=(step + 1) * 1_000_000, accepted_at=self.clock.now())
            self.tell(Accepted(at=self.clock.now(), session=session, progress=progress))
        self.tell(
            Disconnect(
                at=self.clock.now(),
                session=session,
                connection=connection,
                reason="client_disconnect",
                detail="client_closed",
                progress=None,
            )
        )
        lease = self._world.leases[channel.id]
        self.clock.advance(6)
        self.tell(LingerOver(at=self.clock.now(), channel=channel.id, lease=lease.ver))


def recorded(written: Sequence[NewEvent]) -> list[Recorded]:
    """As a log would give them back, without their hashes."""
    rows: list[Recorded] = []
    for event in written:
        fields = (event.stream, event.ver, event.type, event.schema, event.src, event.dst)
        more = (event.machine, event.at, event.id, event.corr, event.cause, event.actor)
        row = (Position(len(rows) + 1), *fields, *more, event.node, event.fence)
        rows.append(Recorded(*row, orjson.dumps(event.payload), b""))
    return rows


def measure(quick: bool) -> list[Figure]:
    """Both folds, of the same events."""
    story = Story()
    story.begin()
    number = 0
    while len(story.written) < (QUICK_EVENTS if quick else EVENTS):
        number += 1
        story.session(number)
    rows = recorded(story.written)
    figures: list[Figure] = []
    for name, fold in (("the dashboard", Dashboard()), ("dashboard and world", Folding())):
        begun = time.perf_counter()
        for row in rows:
            fold.fold(row)
        per_million = (time.perf_counter() - begun) / len(rows) * 1e6
        figures.append(Figure(f"fold of 1,000,000 events: {name}", f"{per_million:.2f} s", "4 s"))
    return figures
