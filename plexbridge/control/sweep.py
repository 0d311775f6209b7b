"""The sweep: compares sockets and relays with the decided state, in both directions.

Whatever it finds is a bug of ours. It is recorded as `swept`, counted, said loudly, and put right:
never silently. What is found once may be on its way; only what two sweeps in a row find counts.
Deadlines do not wait for it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from events.ids import BRIDGE_STREAM, ChannelId, SessionId
from events.machine import RECOVERING
from events.refusals import AlreadyEnded, UnknownSession
from events.world import World
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.viewers import Viewers

_log = structlog.get_logger(__name__)

SECOND_LOOK_S: Final = 1.0
"""Between the two looks of one sweep, after what was on its way to the disk at the first one has
arrived: longer than carrying anything out takes."""

FEW_SESSIONS: Final = 10
MANY_SESSIONS: Final = 50


def interval_s(setting_ms: int | str, sessions: int) -> float:
    """Seconds between two sweeps: as set, or the seed's adaptive schedule (strictly more than 50
    sessions 60 s, more than 10 30 s, else 15 s)."""
    if not isinstance(setting_ms, str):
        return setting_ms / 1_000
    if sessions > MANY_SESSIONS:
        return 60.0
    return 30.0 if sessions > FEW_SESSIONS else 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that one side has and the other does not."""

    what: str
    """`session_without_connection`, `connection_without_session`, `lease_without_relay`,
    `relay_without_lease`."""
    name: str
    which: int
    """Version of the lease, or number of the connection: the next one of the same name is another
    thing."""


def drift(world: World, effects: Effects, viewers: Viewers) -> Iterator[Finding]:
    """Where sockets and relays differ from what was decided, right now."""
    for session in world.sessions.values():
        if session.state != RECOVERING and session.id not in viewers:
            yield Finding("session_without_connection", session.id, session.connection or 0)
    for name in viewers.sessions():
        viewer = viewers.get(name)
        if viewer is not None and name not in world.sessions:
            yield Finding("connection_without_session", name, viewer.connection)
    for channel, lease in world.leases.items():
        running = effects.relays.get(channel)
        if running is None or running.lease != lease.ver:
            yield Finding("lease_without_relay", channel, lease.ver)
    for channel, running in effects.relays.items():
        if channel not in world.leases:
            yield Finding("relay_without_lease", channel, running.lease)


class Sweep:
    """Used on the event loop only."""

    def __init__(
        self, door: Door, effects: Effects, viewers: Viewers, *, setting_ms: int | str
    ) -> None:
        """`setting_ms`: `CLEANUP_INTERVAL`, milliseconds or `auto`."""
        self.found = 0
        """Findings since the start; 0 unless we have a bug."""
        self._door = door
        self._effects = effects
        self._viewers = viewers
        self._setting_ms = setting_ms
        self._set_otherwise = asyncio.Event()

    def set_interval(self, setting_ms: int | str) -> None:
        """From now on: the pause that goes on is as long as the new setting says, from here."""
        if setting_ms != self._setting_ms:
            self._setting_ms = setting_ms
            self._set_otherwise.set()

    def drift_now(self) -> int:
        """Sessions without connection plus connections without session, at this moment."""
        findings = drift(self._door.world, self._effects, self._viewers)
        return sum("connection" in finding.what for finding in findings)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            self._set_otherwise.clear()
            pause_s = interval_s(self._setting_ms, len(self._door.world.sessions))
            try:
                async with asyncio.timeout(pause_s):
                    await self._set_otherwise.wait()
            except TimeoutError:
                await self.sweep()

    async def sweep(self) -> None:
        """Look twice, and record and put right what both looks found."""
        first = set(drift(self._door.world, self._effects, self._viewers))
        if not first:
            return
        await self._door.settled()  # what is given waits for the disk, which may be slow
        await asyncio.sleep(SECOND_LOOK_S)
        again = set(drift(self._door.world, self._effects, self._viewers))
        for finding in sorted(first & again, key=lambda found: (found.what, found.name)):
            self.found += 1
            _log.error("The sweep found a leak: a bug of ours", what=finding.what, of=finding.name)
            await self._door.note(
                BRIDGE_STREAM, "swept", {"what": finding.what, "of": finding.name}
            )
            await self._put_right(finding)

    async def _put_right(self, finding: Finding) -> None:
        if finding.what == "session_without_connection":
            try:
                await self._door.stop(
                    SessionId(finding.name), reason="orphaned", detail="swept", actor="sweep"
                )
            except (AlreadyEnded, UnknownSession):
                _log.info("It ended by itself meanwhile", session=finding.name)
        elif finding.what == "connection_without_session":
            viewer = self._viewers.take(SessionId(finding.name))
            if viewer is not None:
                viewer.supersede()
        elif finding.what == "relay_without_lease":
            self._effects.close_relay(ChannelId(finding.name))
        else:
            self._effects.lost_relay(ChannelId(finding.name), self._door.world)
