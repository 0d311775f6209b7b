"""The players' side of a bridge in the test's own loop: door, relays, streams, a real server.

Every part is the real one; a test chooses the rules, and reaches what a running bridge hides.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from ipaddress import ip_network
from random import Random
from typing import Any

from starlette.applications import Starlette

from events.commands import Command, ShutDown
from events.envelope import Recorded
from events.ids import ChannelId, SessionId, SourceId
from events.machine import ENDED
from events.policy import Policy
from events.world import World
from plexbridge.clock import SteadyClock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.gauges import Gauges
from plexbridge.control.stamp import Stamper
from plexbridge.control.sweep import Sweep
from plexbridge.control.ticker import Ticker
from plexbridge.control.viewers import Viewers
from plexbridge.ids import Ids
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.log.memory import MemoryLog
from plexbridge.log.port import Durable
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.relay.connector import HttpConnector
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import Upstream
from plexbridge.server.listener import open_listener
from plexbridge.server.serve import Server, build_config
from plexbridge.tuner.device import Device
from plexbridge.tuner.routes import Tuner, player_routes
from plexbridge.tuner.streaming import Streams
from tests.service.provider_stub import ProviderStub
from tests.service.relay_setup import until

PATIENT = RelayPolicy(backoff_first_ms=20, backoff_cap_ms=80)
"""The real numbers, but for quick reconnects."""

SOURCE = SourceId("account")
BACKUP = SourceId("other")


class Station:
    """A provider with the paths `/1`, `/2`, `/3`, and channels of these numbers."""

    def __init__(
        self,
        policy: Policy,
        relay_policy: RelayPolicy,
        limits: Mapping[str, int],
        tick: bool,
        backups: bool,
        settle_ms: int,
    ) -> None:
        """`backups`: each channel has a second upstream, `/1b` and so on, of another account."""
        self._backups = backups
        self.provider = ProviderStub()
        self.policy = policy
        self.log = MemoryLog()
        self.clock = SteadyClock()
        self.viewers = Viewers()
        self.lineup = Lineup.EMPTY
        self.port = 0
        self.players: list[Player] = []
        ids = Ids(self.clock, Random(1).getrandbits)
        self._outbound = Outbound(OutboundPolicy(allow=(ip_network("127.0.0.0/8"),)))
        self.effects = Effects(
            viewers=self.viewers,
            connector=HttpConnector(self._outbound),
            clock=self.clock,
            random=Random(1),
            relay_policy=relay_policy,
            channel=lambda channel: self.lineup.by_id(channel),
            allowed=lambda source: limits.get(source, 0),
            report=self._report,
            settle_ms=lambda _: settle_ms,
        )
        self.door = Door(
            self.log,
            World(policy=policy),
            clock=self.clock,
            stamper=Stamper(ids, node="local"),
            apply=self.effects.apply,
            observe=self.viewers.progress,
        )
        self.sweep = Sweep(self.door, self.effects, self.viewers, setting_ms="auto")
        self.gauges = Gauges(self.door, self.effects, self.viewers, self.clock)
        self.ticker = Ticker(
            self.door,
            self.effects,
            self.viewers,
            self.clock,
            throttle_ms=100,
            gauges=self.gauges.sample,
        )
        streams = Streams(
            self.door,
            self.effects,
            clock=self.clock,
            ids=ids,
            allowed=lambda source: limits.get(source, 0),
            progress=self.viewers.progress,
        )
        self.tuner = Tuner(
            device=Device(device_id="10A1B2C3", friendly_name="x", tuners=policy.tuners),
            lineup=lambda: self.lineup,
            base_url=None,
            tuner_rows=list,
            tuner_rates=dict,
            streams=streams,
        )
        self._tick = tick

    def _report(self, command: Command) -> "asyncio.Future[Durable] | None":
        return self.door.report(command)

    def _drain(self) -> None:
        self.door.report(ShutDown(at=self.clock.now(), progress=self.viewers.all_progress()))

    @contextlib.asynccontextmanager
    async def on_air(self) -> AsyncIterator["Station"]:
        """Serve; at the end everything is closed and nothing is left behind."""
        async with self.provider, asyncio.timeout(60):
            self.lineup = Lineup(map(self._channel, ("1", "2", "3")))
            listener = open_listener("127.0.0.1", 0)
            self.port = listener.getsockname()[1]
            app = Starlette(routes=player_routes(self.tuner))
            server = Server(build_config(app, version="1"), on_draining=self._drain)
            serving = asyncio.create_task(server.serve([listener]))
            ticking = asyncio.create_task(self.ticker.run()) if self._tick else None
            await until(lambda: server.started)
            try:
                yield self
                assert self.sweep.drift_now() == 0
                assert ticking is None or not ticking.done()
            finally:
                if ticking is not None:
                    ticking.cancel()
                server.stop()
                await serving
                for player in self.players:
                    player.leaves()
                await self.effects.close()
                await self.door.close()
                await self._outbound.close()
                await self.log.close()

    def _channel(self, number: str) -> Channel:
        places = [(SOURCE, number)] + [(BACKUP, f"{number}b")] * self._backups
        upstreams = [
            Upstream(
                source=source,
                url=self.provider.url(f"/{path}"),
                redacted="http://provider/…",
                digest=path.rjust(16, "0"),
            )
            for source, path in places
        ]
        return Channel(
            id=ChannelId(f"c{number}"),
            guide_number=number,
            guide_name=f"Channel {number}",
            upstreams=tuple(upstreams),
        )

    def story(self, session: str) -> list[Recorded]:
        """A session's events."""
        return self.log.reader.read_stream(f"session-{session}")

    def end_of(self, session: str) -> dict[str, Any] | None:
        """The payload of a session's terminal event, which is the only one and its last."""
        story = self.story(session)
        ends = [row for row in story if row.dst == ENDED]
        assert ends in ([], story[-1:]), "one terminal event, and nothing after it"
        return dict(ends[0].payload) if ends else None

    def sessions(self) -> list[str]:
        """The sessions that are open."""
        return list(self.door.world.sessions)

    def state(self, session: str) -> str:
        """Where an open session is."""
        return self.door.world.sessions[SessionId(session)].state

    def types(self) -> list[str]:
        """Types of every event."""
        return [row.type for row in self.log.reader.read(0, -1)]


@contextlib.asynccontextmanager
async def station(
    *,
    relay: RelayPolicy = PATIENT,
    limits: Mapping[str, int] | None = None,
    tick: bool = True,
    backups: bool = False,
    settle_ms: int = 0,
    **policy: Any,
) -> AsyncIterator[Station]:
    """A station under the default policy but for what is named."""
    rules = replace(Policy(linger_ms=0), **policy)
    async with Station(rules, relay, limits or {}, tick, backups, settle_ms).on_air() as on_air:
        yield on_air


class Player:
    """A player on a raw socket, as it asks for a channel and leaves."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = ""

    @classmethod
    async def asks(
        cls, station: Station, path: str, *, agent: str = "Lavf/60.3", small: bool = False
    ) -> "Player":
        """Connected, the request sent, nothing read. `small`: it takes little unread."""
        limit = 4_096 if small else 2**16
        reader, writer = await asyncio.open_connection("127.0.0.1", station.port, limit=limit)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n".encode())
        await writer.drain()
        player = cls(reader, writer)
        station.players.append(player)
        return player

    async def answered(self) -> int:
        """The status; the whole head is read."""
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        return int(self.head.split(" ", 2)[1])

    def header(self, name: str) -> str:
        """A header of the answer."""
        lines = (line.partition(": ") for line in self.head.split("\r\n"))
        return next(text for found, _, text in lines if found.lower() == name.lower())

    @property
    def session(self) -> str:
        """The session it was given."""
        return self.header("X-PlexBridge-Session")

    async def watches(self, size: int = 188) -> "Player":
        """It is answered with 200, and has read so many bytes."""
        assert await self.answered() == 200, self.head
        await self.reader.readexactly(size)
        return self

    async def watches_on(self, size: int) -> None:
        """It has read so many more bytes."""
        await self.reader.readexactly(size)

    async def to_the_end(self) -> int:
        """How many bytes came until the connection closed."""
        size = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := await self.reader.read(2**16):
                size += len(chunk)
        return size

    def leaves(self) -> None:
        """It closes its connection."""
        self.writer.close()
