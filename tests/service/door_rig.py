"""A door over a log, with players that ask, and a note of everything it carried out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random

from events.commands import (
    ChannelRef,
    ClientRef,
    Disconnect,
    Progress,
    Tune,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamOpened,
)
from events.envelope import NewEvent, Recorded
from events.ids import ChannelId, ConnectionId, SessionId, SourceId, UnixMicros
from events.machine import ENDED
from events.policy import Policy
from events.world import World, fold
from plexbridge.clock import SteadyClock
from plexbridge.control.door import Door
from plexbridge.control.stamp import Stamper
from plexbridge.ids import Ids
from plexbridge.log.port import Durable, EventLog

RETRY_S = 0.02
WITHIN_S = 20.0


class Rig:
    """A door, and short words for what reaches it."""

    def __init__(self, log: EventLog, policy: Policy) -> None:
        self.log = log
        self.policy = policy
        self.clock = SteadyClock()
        self.ids = Ids(self.clock, Random(1).getrandbits)
        self.applied: list[NewEvent] = []
        """Everything the door carried out, in order."""
        self.durable: list[Recorded] = []
        """Everything that became durable, in order."""
        self.seen: dict[SessionId, Progress] = {}
        self.gone: set[SessionId] = set()
        """Sessions without a connection."""
        self._numbers = count(1)
        log.subscribe(self._became_durable)
        self.door = Door(
            log,
            World(policy=policy),
            clock=self.clock,
            stamper=Stamper(self.ids, node="local"),
            apply=self._apply,
            observe=self._observe,
            retry_s=RETRY_S,
        )

    def _apply(self, events: Sequence[NewEvent], world: World) -> None:
        self.applied += events

    def _observe(self, session: SessionId) -> Progress | None:
        """Every player that was given a session is connected, until it is gone."""
        if session in self.gone:
            return None
        return self.seen.get(session, Progress(bytes=0, accepted_at=UnixMicros(0)))

    def _became_durable(self, rows: Durable) -> None:
        self.durable += rows

    def asking(
        self,
        channel: str = "1",
        *,
        key: str | None = None,
        identified: bool = False,
        allowed: int = 0,
    ) -> Callable[[], Tune]:
        """What a player asks with, anew at each attempt. Without `key` a player of its own."""
        number = next(self._numbers)
        session, refusal, asked_at = self.ids.session(), self.ids.refusal(), self.clock.now()
        client = ClientRef(
            key=key or f"player {number}",
            address="10.0.0.9",
            user_agent="Lavf/60",
            name="a player",
            identified=identified,
            single_viewer=False,
        )
        asked = ChannelRef(
            id=ChannelId(channel),
            guide_number=channel,
            name=f"Channel {channel}",
            sources=((SourceId("p"), allowed),),
        )

        def ask() -> Tune:
            return Tune(
                at=self.clock.now(),
                asked_at=asked_at,
                session=session,
                connection=ConnectionId(number),
                channel=asked,
                client=client,
                kind="auto",
                refusal_id=refusal,
            )

        return ask

    def tuning(self, channel: str = "1", **more: object) -> "asyncio.Task[SessionId]":
        """A player that asks in a task of its own."""
        ask = self.asking(channel, **more)  # type: ignore[arg-type]
        return asyncio.get_running_loop().create_task(self.door.tune(ask))

    async def watching(self, channel: str = "1") -> SessionId:
        """A player that was given a session."""
        async with asyncio.timeout(WITHIN_S):
            return await self.door.tune(self.asking(channel))

    def leaves(self, session: SessionId) -> "asyncio.Future[Durable] | None":
        """A player closes its connection."""
        return self.door.report(
            Disconnect(
                at=self.clock.now(),
                session=session,
                connection=self.door.world.sessions[session].connection,
                reason="client_disconnect",
                detail="client_closed",
                progress=None,
            ),
            actor="player",
        )

    def upstream(self, what: str, channel: str = "1") -> "asyncio.Future[Durable] | None":
        """The channel's relay tells: `opened`, `first_byte` or `lost`."""
        name = ChannelId(channel)
        at, lease = self.clock.now(), self.door.world.leases[name].ver
        if what == "opened":
            return self.door.report(
                UpstreamOpened(
                    at=at, channel=name, lease=lease, attempt=1, url="http://…", digest="0" * 16
                )
            )
        if what == "first_byte":
            return self.door.report(
                UpstreamFirstByte(at=at, channel=name, lease=lease, attempt=1, after_ms=7)
            )
        return self.door.report(
            UpstreamLost(
                at=at,
                channel=name,
                lease=lease,
                attempt=1,
                reason="stream_failed",
                detail="upstream_reset",
                gave_bytes=True,
                progress=(),
            )
        )

    def stored(self) -> list[str]:
        """What the log holds: stream and type of every event."""
        return [f"{row.stream} {row.type}" for row in self.log.reader.read(0, 100_000)]

    def kinds(self) -> list[str]:
        """The same without names: the kind of stream and the type."""
        return [
            f"{row.stream.partition('-')[0]} {row.type}" for row in self.log.reader.read(0, 10_000)
        ]

    def ends_of(self, session: SessionId) -> int:
        """Terminal events of a session in the log."""
        story = self.log.reader.read_stream(f"session-{session}")
        return sum(row.dst == ENDED for row in story)

    def is_what_the_log_says(self) -> bool:
        """Whether the decided state is the fold of the log, and nothing was told twice."""
        rows = self.log.reader.read(0, 100_000)
        assert [row.pos for row in self.durable] == [row.pos for row in rows]
        return fold(rows, self.policy) == self.door.world


@asynccontextmanager
async def door_over(log: EventLog, **policy: object) -> AsyncIterator[Rig]:
    """A door under the given policy; closed at the end, and its log with it."""
    rules: dict[str, object] = {"linger_ms": 0, "admission_wait_ms": 150, **policy}
    rig = Rig(log, Policy(**rules))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(30):
            yield rig
            await rig.door.close()
    finally:
        await log.close()
