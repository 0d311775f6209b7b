"""What races at the door: one act is one thing that somebody or something does, once.

Each looks at the house when it happens, or, as one that was on its way, when it was planned.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from events.commands import Command, ShutDown, Started, TooSlow
from events.deadlines import Observation, due
from events.ids import ChannelId, ConnectionId, SessionId
from events.refusals import AlreadyEnded, UnknownSession
from events.uptake import Uptake
from events.world import Session
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
    progress,
    socket_gone,
    took,
)

if TYPE_CHECKING:
    from tests.simulation.door import House

REASONS: Final = ("client_disconnect", "manual", "timeout", "restart_error", "admin")


class Acts:
    """The acts of one house."""

    def __init__(self, house: "House") -> None:
        self.house = house
        self.bytes: dict[str, int] = {}

    def plan(self, act: "Callable[[Acts, str, str], None]") -> None:
        """It will happen in this round. Half of them speak of what they see now."""
        house, random = self.house, self.house.random
        early = random.random() < 0.5
        session, channel = self.someone() if early else "", self.somewhere() if early else ""

        def happens() -> None:
            house.trace.append(97 + ACTS.index(act))
            act(self, session or self.someone(), channel or self.somewhere())

        house.loop.arrives(happens)

    def someone(self) -> str:
        """An open session, if there is one."""
        names = list(self.house.door.world.sessions)
        return self.house.random.choice(names) if names else "s0"

    def somewhere(self) -> str:
        """A channel that is leased, if there is one."""
        names = list(self.house.door.world.leases)
        return self.house.random.choice(names) if names else "1"

    def reports(self, command: Command) -> Any:
        """Something has happened."""
        answer: list[Any] = []
        self.house.told(lambda: answer.append(self.house.door.report(command)))
        return answer[0] if answer else None

    def closed(self, session: str, connection: ConnectionId) -> Command:
        """A player's connection is over."""
        seen = self.seen(session)
        return closed(session, second=self.now, connection=connection, seen=seen)

    @property
    def now(self) -> float:
        """Seconds of the story."""
        return self.house.loop.time()

    def seen(self, session: str) -> Any:
        """What the session's socket has accepted."""
        found = self.house.door.world.sessions.get(SessionId(session))
        second = self.now if found is None else (found.accepted_at - at(0)) / 1e6
        return progress(self.bytes.get(session, 0), second)

    # One by one --------------------------------------------------------------------------------

    def asks(self, session: str, channel: str) -> None:
        """A player asks."""
        self.house.asks()

    def asks_twice(self, session: str, channel: str) -> None:
        """Two ask in the same moment."""
        self.house.asks()
        self.house.asks()

    def asks_for_nothing(self, session: str, channel: str) -> None:
        """A player asks for a channel that is not there."""
        self.house.asks_for_nothing()

    def gives_up(self, session: str, channel: str) -> None:
        """A player that asks is gone, wherever its request is."""
        asking = [task for task in self.house.tuning if not task.done()]
        self.house.tuning = asking
        if asking:
            self.house.random.choice(asking).cancel()

    def leaves(self, session: str, channel: str) -> None:
        """A player closes."""
        connection = self.house.viewers.get(session)
        if connection is not None:
            self.house.leaves(session, connection)

    def stops(self, session: str, channel: str) -> None:
        """A person ends a session."""
        self.house.loop.create_task(self._stops(session))

    async def _stops(self, session: str) -> None:
        with suppress(AlreadyEnded, UnknownSession):
            door = self.house.door
            await door.stop(SessionId(session), reason="manual", detail="asked", actor="admin")

    def disconnects(self, session: str, channel: str) -> None:
        """A program says that a client is gone."""
        self.house.loop.create_task(self._disconnects(session))

    async def _disconnects(self, session: str) -> None:
        reason = self.house.random.choice(REASONS)
        with suppress(AlreadyEnded, UnknownSession):
            door = self.house.door
            await door.disconnect(SessionId(session), reason=reason, detail="reported", actor="api")

    def accepts(self, session: str, channel: str) -> None:
        """A client's socket takes bytes, if it has been given its session."""
        if session not in self.house.viewers:
            return
        self.bytes[session] = size = self.bytes.get(session, 0) + 1_316
        self.reports(took(session, size, second=self.now))

    def expires(self, session: str, channel: str) -> None:
        """The ticker finds a session due, or believes so."""
        waiting = self.house.random.random() < 0.8
        self.reports(
            expire(session, second=self.now + 40, seen=self.seen(session), waiting=waiting)
        )

    def too_slow(self, session: str, channel: str) -> None:
        """A client takes too little."""
        found = self.house.door.world.sessions.get(SessionId(session))
        connection = found.connection if found is not None else None
        uptake = Uptake(over_ms=60_000, taken_bytes=0, offered_bytes=0, behind_ms=0, skips=9)
        self.reports(
            TooSlow(
                at=at(self.now),
                session=SessionId(session),
                connection=connection or ConnectionId(0),
                progress=self.seen(session),
                uptake=uptake,
            )
        )

    def upstream(self, session: str, channel: str) -> None:
        """A relay tells, of this lease or of the one before."""
        random = self.house.random
        lease = self._lease(channel) - (random.random() < 0.1)
        gave = random.random() < 0.5
        tells: tuple[Command, ...] = (
            opened(channel, second=self.now, lease=lease),
            first_byte(channel, second=self.now, lease=lease),
            first_byte(channel, second=self.now, lease=lease),
            lost(channel, second=self.now, lease=lease, gave_bytes=gave),
            lost(channel, second=self.now, lease=lease, gave_bytes=gave, more=True),
        )
        self.reports(random.choice(tells))

    def is_over(self, session: str, channel: str) -> None:
        """An upstream has ended, its socket is gone, or nobody came back."""
        lease = self._lease(channel)
        over: Any = completed(channel, second=self.now)
        tells: tuple[Command, ...] = (
            replace(over, lease=lease),
            socket_gone(channel, second=self.now, lease=lease),
            linger_over(channel, second=self.now + 9, lease=lease),
        )
        self.reports(self.house.random.choice(tells))

    def moves(self, session: str, channel: str) -> None:
        """A relay would go on with another source; its socket is gone, as relays see to."""
        house = self.house
        relay = house.relays.get(channel)
        if relay is None or relay.source is None or relay.lease != self._lease(channel):
            return
        source = house.random.choice(("p", "q", "open"))
        allowed = {"p": 1, "q": 2, "open": 0}[source]
        changed = self.reports(
            moves(source, channel, second=self.now, lease=relay.lease, allowed=allowed)
        )
        if changed is None:
            return
        before, relay.source = relay.source, None

        def stored(answer: Any) -> None:
            relay.source = source if answer.result() else before
            house.count_connections()

        changed.add_done_callback(stored)

    def notes(self, session: str, channel: str) -> None:
        """A fact that no session depends on."""
        self.house.loop.create_task(self.house.door.note("lineup", "refreshed", {"entries": 1}))

    def shuts_down(self, session: str = "", channel: str = "") -> None:
        """The bridge stops; what is still asked is refused."""
        self.reports(ShutDown(at=at(self.now), progress=()))

    def stops_and_starts(self, session: str, channel: str) -> None:
        """It stops, and begins anew a little later in the same race."""
        self.shuts_down()
        policy = self.house.policy
        started = Started(at=at(self.now), version="1", machine="m", policy=policy)
        self.house.loop.arrives(self.reports, started)

    def ticks(self) -> None:
        """Time has passed: what is due happens."""
        house = self.house

        def observe(session: Session) -> Observation:
            waiting = house.random.random() < 0.7
            return Observation(progress=self.seen(session.id), waiting=waiting, acknowledging=False)

        for command in list(due(house.door.world, observe, at(self.now))):
            self.reports(command)

    def _lease(self, channel: str) -> int:
        lease = self.house.door.world.leases.get(ChannelId(channel))
        return 1 if lease is None else lease.ver


_SHARES: Final[dict[Callable[[Acts, str, str], None], float]] = {
    Acts.asks: 6,
    Acts.asks_twice: 1,
    Acts.asks_for_nothing: 0.3,
    Acts.gives_up: 1.5,
    Acts.leaves: 3,
    Acts.stops: 1,
    Acts.disconnects: 1,
    Acts.accepts: 3,
    Acts.expires: 0.7,
    Acts.too_slow: 0.3,
    Acts.upstream: 3,
    Acts.is_over: 1,
    Acts.moves: 1,
    Acts.notes: 0.3,
    Acts.stops_and_starts: 0.15,
}
ACTS: Final = tuple(_SHARES)
SHARES: Final = tuple(_SHARES.values())
