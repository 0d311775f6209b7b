"""What decided events lead to: relays open and close, players' connections close.

Here control and relay meet. Effects carry out and report; they decide nothing. A relay of a channel
opens its upstream only after every upstream that was told to close is really gone, so that a
provider never counts one connection too many.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import cast

from events.commands import (
    ChangeSource,
    Command,
    Note,
    Progress,
    UpstreamClosed,
    UpstreamCompleted,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamOpened,
)
from events.envelope import NewEvent
from events.ids import ChannelId, SessionId, SourceId, source_stream
from events.machine import CONNECT, DISCONNECT, ENDED
from events.payloads import EndData, LeasedData
from events.world import World
from plexbridge.clock import Clock
from plexbridge.control.closings import Closings
from plexbridge.control.viewers import Viewer, Viewers
from plexbridge.lineup.channels import Channel
from plexbridge.log.port import Durable
from plexbridge.relay.fanout import Reader
from plexbridge.relay.health import UpstreamHealth
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import Connector, Upstream, UpstreamFailed
from plexbridge.relay.relay import Relay, RelayState

Report = Callable[[Command], "asyncio.Future[Durable] | None"]


@dataclass(slots=True)
class Running:
    """A relay, and the lease it runs under."""

    relay: Relay
    lease: int
    source: SourceId
    """The one whose connection the lease holds."""
    counted_bytes: int = 0

    @property
    def uncounted_bytes(self) -> int:
        """What it took since that was last counted."""
        return self.relay.bytes_in - self.counted_bytes


class Effects:
    """Used on the event loop only."""

    def __init__(
        self,
        *,
        viewers: Viewers,
        connector: Connector,
        clock: Clock,
        random: Random,
        relay_policy: RelayPolicy,
        channel: Callable[[ChannelId], Channel | None],
        allowed: Callable[[SourceId], int],
        report: Report,
        settle_ms: Callable[[SourceId], int] = lambda _: 0,
    ) -> None:
        """`channel` finds an entry of the lineup in force; `allowed` tells how many connections a
        source allows (0: not known); `report` is the door's; `settle_ms`: see `Closings`."""
        self.relays: dict[ChannelId, Running] = {}
        self._viewers = viewers
        self._connector = connector
        self._clock = clock
        self._health = UpstreamHealth(relay_policy, random)
        self.relay_policy = relay_policy
        """Of the relays that begin from now on."""
        self._channel = channel
        self._allowed = allowed
        self._report = report
        self._bytes_taken: Counter[SourceId] = Counter()
        self._closings = Closings(clock, settle_ms=settle_ms, measured=self._measured)
        self._starting: set[asyncio.Task[None]] = set()

    def apply(self, events: Sequence[NewEvent], world: World) -> None:
        """Carry out one decision, in its order; what takes comes before what gives by the order in
        which decisions draft."""
        for event in events:
            if event.type == "tuner_released":
                self._release(ChannelId(event.stream.removeprefix("channel-")), event)
            elif event.dst == ENDED or (event.type == DISCONNECT and event.dst is not None):
                self._let_go(event)
            elif event.type == "tuner_leased":
                self._lease(event, world)
            elif event.type == CONNECT and event.payload["resumed"]:
                self._supersede(event)

    def attach(self, session: SessionId, channel: ChannelId, viewer: Viewer) -> None:
        """A granted player's connection joins its channel's relay."""
        self._viewers.put(session, viewer)
        running = self.relays.get(channel)
        if running is not None:
            running.relay.join(session, viewer)

    def detach(self, session: SessionId, viewer: Viewer) -> None:
        """A connection is over; a later one of the same session is left alone."""
        if self._viewers.get(session) is viewer:
            self._viewers.take(session)
            self._leave(session)

    def reader(self, session: SessionId, channel: ChannelId) -> Reader | None:
        """A session's place in its relay."""
        running = self.relays.get(channel)
        if running is None:
            return None
        return next((r for r in running.relay.readers if r.key == session), None)

    def media_rate(self, channel: ChannelId) -> float | None:
        """A channel's bytes per second by its own clock; None where that is not known."""
        running = self.relays.get(channel)
        return None if running is None else running.relay.media_bytes_s

    def bytes_by_source(self) -> Mapping[SourceId, int]:
        """Good bytes taken from each source since the start."""
        taken = Counter(self._bytes_taken)
        for running in self.relays.values():
            taken[running.source] += running.uncounted_bytes
        return taken

    def moved(self, channel: ChannelId, source: SourceId) -> None:
        """What a relay reads from now on is another source's."""
        running = self.relays[channel]
        self._count(running)
        running.source = source

    def _count(self, running: Running) -> None:
        self._bytes_taken[running.source] += running.uncounted_bytes
        running.counted_bytes = running.relay.bytes_in

    async def close(self) -> None:
        """Close every relay and wait until their sockets are gone."""
        for channel in list(self.relays):
            self._close(channel)
        await self._closings.over()

    @property
    def closing(self) -> int:
        """Upstream sockets that were told to close and are not gone."""
        return len(self._closings)

    def close_relay(self, channel: ChannelId) -> None:
        """Close a relay that no lease stands for; for the sweep."""
        if channel in self.relays:
            self._close(channel)

    def lost_relay(self, channel: ChannelId, world: World) -> None:
        """A lease has no relay: its sessions end as after a failed upstream; for the sweep."""
        lease = world.leases.get(channel)
        if lease is not None and channel not in self.relays:
            self._report_lost(channel, lease.ver, "swept")

    # Carrying out ----------------------------------------------------------------------------

    def _lease(self, event: NewEvent, world: World) -> None:
        channel = ChannelId(event.stream.removeprefix("channel-"))
        lease = world.leases.get(channel)
        if lease is None or lease.ver != event.ver:
            return  # returned again before it was durable
        assert channel not in self.relays, f"channel {channel} is relayed already"
        source = SourceId(cast(LeasedData, event.payload)["source"])
        entry = self._channel(channel)
        upstreams = () if entry is None else entry.upstreams
        first = next((n for n, u in enumerate(upstreams) if u.source == source), None)
        if first is None:
            # The lineup changed between the decision and now: as if the upstream had refused.
            self._report_lost(channel, event.ver, "not_in_lineup")
            return
        relay = Relay(
            channel,
            upstreams[first:] + upstreams[:first],
            connector=self._connector,
            clock=self._clock,
            health=self._health,
            listener=_Reports(self, source, event.ver, self._clock, self._allowed, self._report),
            policy=self.relay_policy,
        )
        self.relays[channel] = Running(relay, event.ver, source)
        task = asyncio.get_running_loop().create_task(self._start(relay, source))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, relay: Relay, source: SourceId) -> None:
        await self.may_open(source)
        if relay.state is RelayState.IDLE:
            relay.start()

    async def may_open(self, source: SourceId) -> None:
        """Wait until a connection of this source may open."""
        await self._closings.may_open(source)

    def _measured(self, source: SourceId, apart_ms: int) -> None:
        """How far apart two connections of a source were that allows only so many."""
        allowed = self._allowed(source)
        if allowed:
            self._report(
                Note(
                    at=self._clock.now(),
                    stream=source_stream(source),
                    type="overlap_measured",
                    payload=(("apart_ms", apart_ms), ("allowed", allowed)),
                )
            )

    def _report_lost(self, channel: ChannelId, lease: int, detail: str) -> None:
        self._report(
            UpstreamLost(
                at=self._clock.now(),
                channel=channel,
                lease=lease,
                attempt=0,
                reason="stream_failed",
                detail=detail,
                gave_bytes=False,
                progress=(),
            )
        )

    def _release(self, channel: ChannelId, event: NewEvent) -> None:
        running = self.relays.get(channel)
        if running is not None and running.lease == event.payload["lease"]:
            self._close(channel)

    def _close(self, channel: ChannelId) -> None:
        running = self.relays.pop(channel)
        self._count(running)
        running.relay.close()
        closed = running.relay.closed
        self._closings.add(closed, running.source)
        closed.add_done_callback(lambda _: self._closed(running))

    def _closed(self, running: Running) -> None:
        if running.relay.attempt == 0:
            return  # it never opened anything
        self._report(
            UpstreamClosed(
                at=self._clock.now(),
                channel=running.relay.channel,
                lease=running.lease,
                source=running.source,
                attempt=running.relay.attempt,
            )
        )

    def _let_go(self, event: NewEvent) -> None:
        session = SessionId(event.stream.removeprefix("session-"))
        viewer = self._viewers.take(session)
        self._leave(session)
        if viewer is not None:
            viewer.close(cast(EndData, event.payload))

    def _supersede(self, event: NewEvent) -> None:
        session = SessionId(event.stream.removeprefix("session-"))
        viewer = self._viewers.take(session)
        self._leave(session)
        if viewer is not None:
            viewer.supersede()

    def _leave(self, session: SessionId) -> None:
        # A relay may be over with the one who leaves, and be gone.
        for running in list(self.relays.values()):
            running.relay.leave(session)

    def progress_on(self, channel: ChannelId) -> tuple[tuple[SessionId, Progress], ...]:
        """What the sockets of a channel's sessions have accepted."""
        running = self.relays.get(channel)
        readers = () if running is None else running.relay.readers
        found = ((reader.key, self._viewers.progress(reader.key)) for reader in readers)
        return tuple((session, progress) for session, progress in found if progress is not None)


class _Reports:
    """Turns what a relay tells into commands about the lease it runs under."""

    def __init__(
        self,
        effects: Effects,
        source: SourceId,
        lease: int,
        clock: Clock,
        allowed: Callable[[SourceId], int],
        report: Report,
    ) -> None:
        """`source`: the one whose connection the lease was given with."""
        self._effects = effects
        self._source = source
        self._lease = lease
        self._clock = clock
        self._allowed = allowed
        self._report = report

    async def may_open(self, channel: ChannelId, upstream: Upstream, *, attempt: int) -> bool:
        if upstream.source == self._source:
            return True
        changed = self._report(
            ChangeSource(
                at=self._clock.now(),
                channel=channel,
                lease=self._lease,
                source=upstream.source,
                allowed=self._allowed(upstream.source),
                attempt=attempt,
            )
        )
        if changed is None or not await asyncio.shield(changed):
            return False  # that source is full, or was after all when it could be stored
        self._source = upstream.source
        self._effects.moved(channel, upstream.source)
        await self._effects.may_open(upstream.source)
        return True

    def upstream_opened(self, channel: ChannelId, upstream: Upstream, *, attempt: int) -> None:
        self._report(
            UpstreamOpened(
                at=self._clock.now(),
                channel=channel,
                lease=self._lease,
                attempt=attempt,
                url=upstream.redacted,
                digest=upstream.digest,
            )
        )

    def upstream_first_byte(self, channel: ChannelId, *, attempt: int, after_ms: int) -> None:
        self._report(
            UpstreamFirstByte(
                at=self._clock.now(),
                channel=channel,
                lease=self._lease,
                attempt=attempt,
                after_ms=after_ms,
            )
        )

    def upstream_lost(
        self,
        channel: ChannelId,
        *,
        attempt: int,
        failure: UpstreamFailed,
        gave_bytes: bool,
        more: bool,
    ) -> None:
        self._report(
            UpstreamLost(
                at=self._clock.now(),
                channel=channel,
                lease=self._lease,
                attempt=attempt,
                reason=failure.reason,
                detail=failure.detail,
                gave_bytes=gave_bytes,
                more=more,
                progress=self._effects.progress_on(channel),
            )
        )

    def upstream_completed(self, channel: ChannelId, *, attempt: int) -> None:
        self._report(
            UpstreamCompleted(
                at=self._clock.now(),
                channel=channel,
                lease=self._lease,
                attempt=attempt,
                progress=self._effects.progress_on(channel),
            )
        )
