"""One life of the bridge in virtual time: every part but sockets and disk, joined as in the real
one, and a log that outlives it."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from events.commands import (
    Command,
    Recover,
    Started,
    UpstreamClosed,
    UpstreamCompleted,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamOpened,
)
from events.envelope import Recorded
from events.ids import ChannelId, SourceId
from events.machine import MACHINE_ID
from events.policy import Policy
from events.refusals import AlreadyEnded, UnknownSession
from events.world import fold
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.stamp import Stamper
from plexbridge.control.sweep import Sweep
from plexbridge.control.ticker import Ticker
from plexbridge.control.viewers import Viewers
from plexbridge.ids import Ids
from plexbridge.lineup.channels import Channel
from plexbridge.log.batch import End
from plexbridge.log.memory import FaultPolicy, MemoryLog
from plexbridge.log.port import Durable
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import Upstream
from plexbridge.tuner.streaming import Streams
from tests.simulation.outside import Provider
from tests.simulation.virtual_loop import VirtualClock, VirtualLoop

ALLOWED: Final = {"p": 1, "q": 2, "open": 0, "well": 1}
UPSTREAMS: Final = {
    "1": ("p",),
    "2": ("q", "p"),
    "3": ("q",),
    "4": ("open",),
    "5": ("p", "open"),
    "well": ("well",),
}
QUICK: Final = RelayPolicy(
    first_byte_ms=2_000, stall_ms=1_000, backoff_cap_ms=1_000, steady_ms=2_000, splice_ms=300
)

_REPORTED: Final = (
    UpstreamOpened,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamClosed,
    UpstreamCompleted,
)


def channel(name: str) -> Channel:
    """An entry of the lineup."""
    return Channel(
        id=ChannelId(name),
        guide_number=name,
        guide_name=f"Channel {name}",
        upstreams=tuple(
            Upstream(
                source=SourceId(source),
                url=f"http://{source}/{name}",
                redacted=f"http://{source}/…",
                digest=f"{name}@{source}",
            )
            for source in UPSTREAMS[name]
        ),
    )


LINEUP: Final = {name: channel(name) for name in UPSTREAMS}


class Disk(MemoryLog):
    """A memory log over what an earlier life stored."""

    def __init__(self, rows: Sequence[Recorded], *, fault: FaultPolicy, schedule: Any) -> None:
        super().__init__(fault=fault, schedule=schedule)
        self.reader.add(rows)
        if rows:
            self._end = End(rows[-1].pos, rows[-1].hash, rows[-1].at)


class Life:
    """From a start to a stop or a crash."""

    def __init__(
        self,
        random: Random,
        policy: Policy,
        provider: Provider,
        rows: Sequence[Recorded],
        *,
        fault: FaultPolicy,
        now: float,
        troubled: bool,
    ) -> None:
        """`rows`: what the log holds. `troubled`: reports come late or twice."""
        self.loop = VirtualLoop(random, now=now)
        self.clock = VirtualClock(self.loop)
        self.policy = policy
        self.random = random
        self.log = Disk(rows, fault=fault, schedule=self._store)
        self.viewers = Viewers()
        self.troubled = troubled
        self.failures: list[dict[str, Any]] = self.loop.faults
        clock: Any = self.clock
        self.ids = Ids(clock, random.getrandbits)
        settle_ms = random.choice((0, 0, 300))
        self.effects = Effects(
            viewers=self.viewers,
            connector=provider.connector(self.loop),
            clock=clock,
            random=random,
            relay_policy=QUICK,
            channel=lambda name: LINEUP.get(str(name)),
            allowed=lambda source: ALLOWED[source],
            report=self._report,
            settle_ms=lambda _: settle_ms,
        )
        self.door = Door(
            self.log,
            fold(rows, policy),
            clock=clock,
            stamper=Stamper(self.ids, node="local"),
            apply=self.effects.apply,
            observe=self.viewers.progress,
            retry_s=0.5,
        )
        self.sweep = Sweep(self.door, self.effects, self.viewers, setting_ms=3_000)
        self.ticker = Ticker(
            self.door, self.effects, self.viewers, clock, throttle_ms=1_000, gauges=lambda: None
        )
        self.streams = Streams(
            self.door,
            self.effects,
            clock=clock,
            ids=self.ids,
            allowed=lambda source: ALLOWED[source],
            progress=self.viewers.progress,
        )

    async def start(self) -> None:
        """As the bridge does, before it listens."""
        now = self.clock.now
        if self.door.world.sessions or self.door.world.leases:
            await self._recorded(lambda: Recover(at=now()))
        policy = self.policy
        await self._recorded(
            lambda: Started(at=now(), version="1", machine=MACHINE_ID, policy=policy)
        )
        for work in (self.ticker.run(), self.sweep.run()):
            self.loop.create_task(work).add_done_callback(self._ended)

    async def _recorded(self, command: Callable[[], Command]) -> None:
        durable = self.door.report(command())
        assert durable is not None, "a start is always recorded"
        await asyncio.shield(durable)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Neither ticker nor sweep ends by itself."""
        if not task.cancelled() and task.exception() is not None:
            self.failures.append({"message": "it ended", "exception": task.exception()})

    def _store(self, batch: Callable[[], None]) -> None:
        if self.random.random() < 0.9:
            self.loop.arrives(batch)
        else:
            self.loop.call_later(self.random.choice((0.01, 0.2, 1.5)), batch)

    def _report(self, command: Command) -> "asyncio.Future[Durable] | None":
        if self.troubled and isinstance(command, _REPORTED):
            chance = self.random.random()
            if chance < 0.06:
                self.loop.arrives(self._late, command)
            if chance < 0.03:
                return None
        return self.door.report(command)

    def _late(self, command: Command) -> None:
        try:
            self.door.report(command)
        except (AlreadyEnded, UnknownSession):
            return
