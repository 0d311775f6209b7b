"""How fast recorded events are folded: everything that is shown and decided on, and a moment."""

import random
import time

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
from events.envelope import Recorded
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


class _Story:
    """Sessions of forty activities each, decided by the real rules."""

    def __init__(self) -> None:
        self.rows: list[Recorded] = []
        self.clock = ManualClock()
        self._ids = Ids(self.clock, random.Random(1).getrandbits)
        self._stamper = Stamper(self._ids, node="bench")
        self._world = World()

    def tell(self, command: Command) -> None:
        for event in self._stamper.stamp(
            decide(command, self._world).drafts, self._world, actor=""
        ):
            evolve(self._world, event)
            payload = orjson.dumps(event.payload)
            fields = (event.stream, event.ver, event.type, event.schema, event.src, event.dst)
            more = (event.machine, event.at, event.id, event.corr, event.cause, event.actor)
            row = (Position(len(self.rows) + 1), *fields, *more, event.node, event.fence)
            self.rows.append(Recorded(*row, payload, b""))

    def session(self, number: int) -> None:
        session = self._ids.session()
        at = self.clock.now()
        channel = ChannelRef(
            id=ChannelId(f"c{number % 50}"),
            guide_number=str(number % 50),
            name="Channel",
            sources=((SourceId("bench"), 0),),
        )
        client = ClientRef(
            key=str(number),
            address="192.168.1.9",
            user_agent="bench",
            name="bench",
            identified=False,
            single_viewer=False,
        )
        connection = ConnectionId(number)
        self.tell(
            Tune(
                at=at,
                asked_at=at,
                session=session,
                connection=connection,
                channel=channel,
                client=client,
                kind="auto",
                refusal_id="r",
            )
        )
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


def measure(quick: bool) -> list[Figure]:
    """Both folds, of the same events."""
    story = _Story()
    story.tell(Started(at=story.clock.now(), version="bench", machine="", policy=Policy(tuners=10)))
    number = 0
    while len(story.rows) < (QUICK_EVENTS if quick else EVENTS):
        number += 1
        story.session(number)
    figures: list[Figure] = []
    for name, fold in (("the dashboard", Dashboard()), ("dashboard and world", Folding())):
        begun = time.perf_counter()
        for row in story.rows:
            fold.fold(row)
        per_million = (time.perf_counter() - begun) / len(story.rows) * 1e6
        figures.append(Figure(f"fold of 1,000,000 events: {name}", f"{per_million:.2f} s", "4 s"))
    return figures
