"""A running bridge: every part, made once and joined here. Nothing else knows all parts.

Starting follows one order (recovery, then the lineup, then listening is the caller's); closing
takes the reverse one.
"""

import asyncio
import os
import platform
from collections.abc import Coroutine
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry

from events.commands import Command, Recover, ShutDown, Started
from events.ids import ChannelId, SourceId
from events.machine import MACHINE_ID
from events.world import World
from plexbridge.clock import SteadyClock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.gauges import Gauges
from plexbridge.control.projector import Projector
from plexbridge.control.stamp import Stamper
from plexbridge.control.sweep import Sweep
from plexbridge.control.telling import Telling
from plexbridge.control.ticker import Ticker
from plexbridge.control.viewers import Viewers
from plexbridge.data_dir import GUIDES_DIR, LINEUP_FILE
from plexbridge.demo.provider import DemoProvider
from plexbridge.ids import Ids
from plexbridge.installation import Installation
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.guide.download import HEAD_TIMEOUT_S, GuideFetcher
from plexbridge.lineup.guide.in_force import GuideInForce, guide_key
from plexbridge.lineup.guide.store import Guide
from plexbridge.lineup.in_force import LineupInForce, source_of
from plexbridge.lineup.store import LineupStore
from plexbridge.log.driver import SQLITE_VERSION
from plexbridge.log.port import Durable
from plexbridge.log.sqlite import SqliteLog
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.relay.child.connector import ChildConnector
from plexbridge.relay.child.process import Spawner
from plexbridge.relay.child.spawning import DEFAULT_PROGRAM
from plexbridge.relay.kinds import UpstreamConnector
from plexbridge.relay.policy import RelayPolicy
from plexbridge.settings import Settings
from plexbridge.timings import Timings
from plexbridge.tuner.device import Device
from plexbridge.tuner.routes import Tuner
from plexbridge.tuner.streaming import Streams
from plexbridge.tuner.transcoding import Transcodes
from plexbridge.version import __version__
from plexbridge.web.feed import Feed

_log = structlog.get_logger(__name__)

LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
NODE: Final = "local"
DEMO_SOURCE: Final = SourceId("demo")


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a bridge stands on: opened before the event loop runs, because opening blocks."""

    settings: Settings
    log: SqliteLog
    installation: Installation
    ca_file: str | None = None
    """Certificates of authorities, for ffmpeg builds that do not find the system's."""


class Bridge:
    """One data directory, running. Used on the event loop only."""

    def __init__(self, grounds: Grounds, *, demo: bool) -> None:
        settings = grounds.settings
        random = SystemRandom()
        self.settings = settings
        self.log = grounds.log
        self.clock = SteadyClock()
        self.viewers = Viewers()
        self.stopping = False
        self._installation = grounds.installation
        self._demo = DemoProvider(self.clock) if demo else None
        self._ids = Ids(self.clock, random.getrandbits)
        reach = OutboundPolicy(allow=settings.upstream_allow + (LOOPBACK if demo else ()))
        self._outbound = Outbound(reach)
        self._guides_outbound = Outbound(reach, head_timeout_s=HEAD_TIMEOUT_S)
        self._spawner = Spawner(settings.ffmpeg_path or DEFAULT_PROGRAM, os.environ)
        children = ChildConnector(self._spawner, reach, self.clock, ca_file=grounds.ca_file)
        self.effects = Effects(
            viewers=self.viewers,
            connector=UpstreamConnector(self._outbound, children, self.clock),
            clock=self.clock,
            random=random,
            relay_policy=RelayPolicy(
                first_byte_ms=settings.first_byte_timeout_ms,
                stall_ms=settings.upstream_stall_ms,
                resilient=settings.auto_upgrade_to_resilient,
            ),
            channel=self._channel,
            allowed=self._allowed,
            report=self._report,
            settle_ms=settings.source_settle_ms,
        )
        self.registry = CollectorRegistry()
        self._timings = Timings(self.registry, self.clock)
        self.projector = Projector(self.log)
        self.feed = Feed(self.log)
        self._tasks: list[asyncio.Task[None]] = []
        self._lineup: LineupInForce | None = None
        self.guides: GuideInForce | None = None
        """The programme guides, once the lineup is there."""
        self._random = random

    async def start(self) -> None:
        """Recover what a crash left open, then read the lineup. Nothing listens yet.

        Raises:
            LineupError: no lineup can be had, and none was stored.
        """
        world = await self.projector.start()
        self.log.subscribe(Telling().became_durable)
        self.log.subscribe(self._timings.became_durable)
        self._join(world)
        await self._record_start()
        if self._demo is not None:
            await self._demo.start()
        self._lineup = LineupInForce(
            self._playlists(),
            fetcher=PlaylistFetcher(self._outbound),
            store=LineupStore(self._lineup_file),
            key=self._installation.digest_key,
            note=self.door.note,
        )
        await self._lineup.load()
        self.guides = self._make_guides()
        await self.guides.load()
        self._begin(self._ticker.run(), "ticker")
        self._begin(self.sweep.run(), "sweep")
        self._begin(self._timings.watch_loop(), "loop lag")
        self._begin(self._lineup.retry(), "lineup")
        self._begin(self.guides.run(), "guides")

    def drain(self) -> None:
        """End every session and give nothing more; at once. For the server, at a signal."""
        if self.stopping:
            return
        self.stopping = True
        _log.info("Stopping", sessions=len(self.door.world.sessions))
        self.door.report(ShutDown(at=self.clock.now(), progress=self.viewers.all_progress()))
        self.feed.close()

    async def close(self) -> None:
        """After the server: close upstreams, store what is on its way, let go of the files."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.effects.close()
        await self._spawner.close()
        await self.door.close()
        await self._outbound.close()
        await self._guides_outbound.close()
        if self._demo is not None:
            await self._demo.close()
        await self.projector.close()
        await self.log.close()

    @property
    def durable_position(self) -> int:
        """The last event known to be durable."""
        return self._timings.position

    @property
    def children(self) -> int:
        """Child processes that are alive."""
        return self._spawner.children

    @property
    def lineup(self) -> Lineup:
        """The lineup in force."""
        return Lineup.EMPTY if self._lineup is None else self._lineup.lineup

    @property
    def lineup_problem(self) -> str | None:
        """Why an older lineup serves, if it does."""
        return None if self._lineup is None else self._lineup.problem

    @property
    def _lineup_file(self) -> Path:
        return self.settings.data_dir / LINEUP_FILE

    def _playlists(self) -> list[tuple[SourceId, str]]:
        key = self._installation.digest_key
        if self._demo is not None:  # its port differs at each start, its channels do not
            return [(DEMO_SOURCE, self._demo.playlist_url)]
        return [(source_of(location, key), location) for location in self.settings.playlist]

    def _make_guides(self) -> GuideInForce:
        key = self._installation.digest_key
        guides = [(guide_key(location, key), location) for location in self.settings.guide]
        if self._demo is not None:
            guides = [(DEMO_SOURCE, self._demo.guide_url)]
        return GuideInForce(
            guides,
            directory=self.settings.data_dir / GUIDES_DIR,
            fetcher=GuideFetcher(self._guides_outbound),
            clock=self.clock,
            random=self._random,
            lineup=lambda: self.lineup,
            note=self.door.note,
        )

    def _guide(self) -> Guide:
        return Guide(()) if self.guides is None else self.guides.guide

    def _join(self, world: World) -> None:
        """Make what needs the decided state."""
        settings = self.settings
        self.door = Door(
            self.log,
            world,
            clock=self.clock,
            stamper=Stamper(self._ids, node=NODE),
            apply=self.effects.apply,
            observe=self.viewers.progress,
        )
        self.gauges = Gauges(self.door, self.effects, self.viewers, self.clock)
        self.sweep = Sweep(
            self.door, self.effects, self.viewers, setting_ms=settings.cleanup_interval_ms
        )
        self._ticker = Ticker(
            self.door,
            self.effects,
            self.viewers,
            self.clock,
            throttle_ms=settings.activity_tracking_throttle_ms,
            gauges=self.gauges.sample,
            media_rate=self.effects.media_rate,
        )
        streams = Streams(
            self.door,
            self.effects,
            clock=self.clock,
            ids=self._ids,
            allowed=self._allowed,
            progress=self.viewers.progress,
            starts_per_second=settings.starts_per_second,
            transcodes=Transcodes(self._spawner),
        )
        self.tuner = Tuner(
            device=Device(
                device_id=settings.device_id or self._installation.device_id,
                friendly_name=settings.friendly_name,
                tuners=settings.tuner_count,
            ),
            lineup=lambda: self.lineup,
            base_url=settings.base_url,
            tuner_rows=self._tuner_rows,
            tuner_rates=self.gauges.tuner_rates,
            streams=streams,
            guide=self._guide,
        )

    async def _record_start(self) -> None:
        facts = (
            ("python", platform.python_version()),
            ("sqlite", ".".join(map(str, SQLITE_VERSION))),
        )
        started = Started(
            at=self.clock.now(),
            version=__version__,
            machine=MACHINE_ID,
            policy=self.settings.policy(),
            facts=facts,
        )
        found = self.door.world
        if found.sessions or found.leases:
            _log.warning(
                "Reclaiming what the last run left open",
                sessions=len(found.sessions),
                tuners=len(found.leases),
            )
            recovered = self.door.report(Recover(at=self.clock.now()))
            assert recovered is not None, "a recovery is always recorded"
            await asyncio.shield(recovered)
        recorded = self.door.report(started)
        assert recorded is not None, "a start is always recorded"
        await asyncio.shield(recorded)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._task_ended)
        self._tasks.append(task)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """None of them ends by itself with a fault: that is our bug, and it is said at once."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("A task of the bridge failed", task=task.get_name(), exc_info=fault)

    def _channel(self, channel: ChannelId) -> Channel | None:
        return self.lineup.by_id(channel)

    def _allowed(self, source: SourceId) -> int:
        """Connections a source allows; 0 where that is not known. A playlist does not tell."""
        return self.settings.source_connections

    def _report(self, command: Command) -> "asyncio.Future[Durable] | None":
        return self.door.report(command)

    def _tuner_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.projector.dashboard()["tuners"]
        return rows
