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
from random import SystemRandom
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry

from events.commands import Command, Note, Recover, ShutDown, Started
from events.ids import BRIDGE_STREAM, ChannelId, SourceId
from events.machine import MACHINE_ID
from events.world import World
from plexbridge.clock import SteadyClock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.gauges import Gauges
from plexbridge.control.projector import Projector
from plexbridge.control.retention import Retention, tell_head
from plexbridge.control.stamp import Stamper
from plexbridge.control.sweep import Sweep
from plexbridge.control.telling import Telling
from plexbridge.control.ticker import Ticker
from plexbridge.control.viewers import Viewers
from plexbridge.data_dir import LINEUP_FILE
from plexbridge.demo.provider import DemoProvider
from plexbridge.ids import Ids
from plexbridge.installation import Installation
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edit_store import EditStore
from plexbridge.lineup.edits_in_force import EditsInForce
from plexbridge.lineup.edits_plan import NumberTaken, UnknownChannel
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.lineup.guide.download import HEAD_TIMEOUT_S
from plexbridge.lineup.guide.in_force import GuideInForce
from plexbridge.lineup.guide.store import Guide
from plexbridge.lineup.in_force import LineupInForce
from plexbridge.live_settings import LiveSettings, Parts
from plexbridge.log.driver import SQLITE_VERSION
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import Durable
from plexbridge.log.sqlite import SqliteLog
from plexbridge.notices.joining import make_desk
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.provisioning import Provisions, make_logos
from plexbridge.relay.child.connector import ChildConnector
from plexbridge.relay.child.process import Spawner
from plexbridge.relay.child.spawning import DEFAULT_PROGRAM
from plexbridge.relay.kinds import UpstreamConnector
from plexbridge.relay.policy import RelayPolicy
from plexbridge.server.start_rate import StartRate
from plexbridge.settings import Settings
from plexbridge.timings import Timings
from plexbridge.tuner.asked import Askings
from plexbridge.tuner.device import Device
from plexbridge.tuner.marks import SETS, Mark
from plexbridge.tuner.routes import Tuner
from plexbridge.tuner.streaming import Streams
from plexbridge.tuner.transcoding import Transcodes
from plexbridge.tuner.tuner_rows import tuner_rows
from plexbridge.version import __version__
from plexbridge.web.feed import Feed

_log = structlog.get_logger(__name__)

LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
NODE: Final = "local"

MARKS_PER_SECOND: Final = 5
"""Of one player's address: faster than a thumb. Each is an event and a write to disk."""


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
        self.log = grounds.log
        self.clock = SteadyClock()
        self.live_settings = LiveSettings(settings, self.clock)
        self.askings = Askings(self.clock.now)
        self.viewers = Viewers()
        self.stopping = False
        self._installation = grounds.installation
        self._demo = DemoProvider(self.clock) if demo else None
        self._ids = Ids(self.clock, random.getrandbits)
        reach = OutboundPolicy(allow=settings.upstream_allow + (LOOPBACK if demo else ()))
        self._outbound = Outbound(reach)
        self._providers_outbound = Outbound(reach, head_timeout_s=HEAD_TIMEOUT_S)
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
            allowed=self.allowed,
            report=self._report,
            settle_ms=self.settle_ms,
        )
        key = grounds.installation.digest_key
        self.logos = make_logos(settings, key, self._outbound, self.clock, self._lineup_now)
        self.registry = CollectorRegistry()
        self._timings = Timings(self.registry, self.clock)
        self.projector = Projector(self.log, on_parked=self._projection_parked)
        self.feed = Feed(self.log)
        self.notices = make_desk(self, random)
        self._recorded = False
        """Whether the log has this start: before it, facts wait."""
        self._to_record: list[Note] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.sources: LineupInForce | None = None
        """What the providers list, once the bridge starts."""
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
        await self.notices.open()
        self._join(world)
        kept = (self.door, self.effects, self.sweep, self._ticker, self._retention)
        self.live_settings.join(Parts(*kept, self.tuner.streams.starts, self.tuner.device))
        await self._record_start()
        self._recorded = True
        for fact in self._to_record:
            self.door.report(fact)
        await tell_head(self.log.reader)
        if self._demo is not None:
            await self._demo.start()
        provisions = Provisions(
            settings=self.settings,
            key=self._installation.digest_key,
            outbound=self._providers_outbound,
            clock=self.clock,
            random=self._random,
            note=self.door.note,
            demo=self._demo,
        )
        self.sources = provisions.sources(self.edits.serve)
        await self.logos.open()
        await self.edits.load()
        await self.sources.load()
        self.guides = provisions.guides(self.sources, self._lineup_now, lambda: self.edits.edits)
        await self.guides.load()
        self._begin(self._ticker.run(), "ticker")
        self._begin(self.sweep.run(), "sweep")
        self._begin(self._timings.watch_loop(), "loop lag")
        self._begin(self.sources.run(), "sources")
        self._begin(self.guides.run(), "guides")
        self._begin(self._retention.run(), "retention")
        self._begin(self.notices.run(), "notices")

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
        await self.notices.close()
        await self.effects.close()
        await self._spawner.close()
        await self.door.close()
        await self.logos.close()
        await self._outbound.close()
        await self._providers_outbound.close()
        if self._demo is not None:
            await self._demo.close()
        await self.projector.close()
        await self._tell_last_head()
        await self.log.close()

    @property
    def settings(self) -> Settings:
        """Those in force; some may change while it runs."""
        return self.live_settings.now

    @property
    def durable_position(self) -> int:
        """The last event known to be durable."""
        return self._timings.position

    @property
    def children(self) -> int:
        """Child processes that are alive."""
        return self._spawner.children

    @property
    def children_running(self) -> int:
        """Those of them that were not told to end."""
        return self._spawner.running

    @property
    def lineup(self) -> Lineup:
        """The lineup in force, edits and all."""
        return self.edits.lineup

    @property
    def lineup_problem(self) -> str | None:
        """Why an older lineup serves, if it does."""
        return None if self.sources is None else self.sources.problem

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
        self.edits = EditsInForce(EditStore(settings.data_dir / LINEUP_FILE), note=self.door.note)
        """What people changed in the channels."""
        self._mark_rate = StartRate(MARKS_PER_SECOND, self.clock.monotonic)
        self.gauges = Gauges(self.door, self.effects, self.viewers, self.clock)
        self.sweep = Sweep(
            self.door, self.effects, self.viewers, setting_ms=settings.cleanup_interval_ms
        )
        self._retention = Retention(
            self.log,
            note=self.door.note,
            save=self.projector.save,
            clock=self.clock,
            days=settings.retention_days,
            megabytes=settings.retention_mb,
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
        self.transcodes = Transcodes(self._spawner)
        streams = Streams(
            self.door,
            self.effects,
            clock=self.clock,
            ids=self._ids,
            allowed=self.allowed,
            progress=self.viewers.progress,
            starts_per_second=settings.starts_per_second,
            transcodes=self.transcodes,
        )
        self.tuner = Tuner(
            device=self._device(),
            lineup=self._lineup_now,
            base_url=settings.base_url,
            tuner_rows=self._tuner_rows,
            tuner_rates=self.gauges.tuner_rates,
            streams=streams,
            guide=self._guide,
            set_mark=self._set_mark,
            logos=self.logos,
        )

    def _device(self) -> Device:
        settings = self.settings
        return Device(
            device_id=settings.device_id or self._installation.device_id,
            friendly_name=settings.friendly_name,
            tuners=settings.tuner_count,
        )

    async def _tell_last_head(self) -> None:
        try:
            await tell_head(self.log.reader)
        except StorageFailed as fault:
            _log.warning("The log's head cannot be told", why=str(fault))

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

    def _lineup_now(self) -> Lineup:
        return self.lineup

    def _projection_parked(self, name: str, position: int, fault: Exception) -> None:
        """A fold of ours has raised: it is a fact, as any other."""
        payload = (("name", name), ("position", position), ("fault", type(fault).__name__))
        parked = Note(
            at=self.clock.now(), stream=BRIDGE_STREAM, type="projection_parked", payload=payload
        )
        if self._recorded:
            self.door.report(parked)
        else:
            self._to_record.append(parked)

    def _channel(self, channel: ChannelId) -> Channel | None:
        return self.lineup.by_id(channel)

    async def _set_mark(self, channel: ChannelId, mark: Mark, address: str) -> bool:
        if not self._mark_rate.allows(address):
            return False
        try:
            await self.edits.change(lambda *_: {channel: SETS[mark]}, by=address, how="player")
        except (NumberTaken, StoreUnusable, UnknownChannel) as error:
            _log.warning("A player's mark was not kept", why=str(error), client=address)
            return False
        return True

    def allowed(self, source: SourceId) -> int:
        """Connections a source allows; 0 where that is not known. The lowest, where several say."""
        said = (
            self.settings.source_connections,
            0 if self.sources is None else self.sources.allowed(source),
        )
        return min((number for number in said if number), default=0)

    def settle_ms(self, source: SourceId) -> int:
        """Between two connections of a source: as it is said of it, else as for all."""
        said = None if self.sources is None else self.sources.settle_ms(source)
        return self.settings.source_settle_ms if said is None else said

    def _report(self, command: Command) -> "asyncio.Future[Durable] | None":
        return self.door.report(command)

    def _tuner_rows(self) -> list[dict[str, Any]]:
        return tuner_rows(self.projector, self.door.world, self.lineup)
