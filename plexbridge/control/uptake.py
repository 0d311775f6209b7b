"""Looks once a second at how much each client takes of its channel; tells who takes too little.

The rule is `events.uptake`; here is only the looking.
"""

from collections.abc import Callable, Iterator

from events.commands import TooSlow
from events.ids import ChannelId, ConnectionId, SessionId, UnixMicros
from events.machine import ACTIVE
from events.uptake import Sample, UptakeTrack, too_slow
from events.world import World
from plexbridge.control.effects import Effects
from plexbridge.control.viewers import Viewers

LOOK_EVERY_MS = 1_000
"""A thirtieth of the window: late by that at most."""


LATE_MS = 1_500
"""A look that comes later than this tells that the bridge itself was held up: what its clients did
not take in that time they were not given, and is not held against them."""


class UptakeWatch:
    """Used on the event loop only."""

    def __init__(
        self,
        effects: Effects,
        viewers: Viewers,
        media_rate: Callable[[ChannelId], float | None],
    ) -> None:
        """`media_rate`: a channel's bytes per second by its own clock, if it is known."""
        self._effects = effects
        self._viewers = viewers
        self._media_rate = media_rate
        self._looked_at = UnixMicros(0)
        self._tracks: dict[tuple[SessionId, ConnectionId], UptakeTrack] = {}

    def too_slow(self, world: World, now: UnixMicros) -> Iterator[TooSlow]:
        """The commands for clients that do not keep up; none before the next look is due."""
        if now - self._looked_at < LOOK_EVERY_MS * 1_000:
            return
        if now - self._looked_at > LATE_MS * 1_000:
            self._tracks = {}
        self._looked_at = now
        before, self._tracks = self._tracks, {}
        for channel, running in list(self._effects.relays.items()):
            readers = running.relay.readers
            free = any(reader.lag_bytes == 0 for reader in readers)
            rate = self._media_rate(channel)
            for reader in readers:
                viewer = self._viewers.get(reader.key)
                session = world.sessions.get(reader.key)
                if viewer is None or session is None or session.state != ACTIVE:
                    continue
                progress = viewer.progress()
                sample = Sample(
                    at=now,
                    accepted_bytes=progress.bytes,
                    relayed_bytes=running.relay.bytes_in,
                    waiting=reader.waiting,
                    free=free,
                    media_bytes_s=rate,
                    skips=reader.skips,
                )
                seen = (reader.key, viewer.connection)
                track = self._tracks[seen] = before.get(seen) or UptakeTrack()
                uptake = track.add(sample, world.policy.uptake_window_ms)
                if too_slow(uptake, world.policy):
                    yield TooSlow(
                        at=now,
                        session=reader.key,
                        connection=viewer.connection,
                        progress=progress,
                        uptake=uptake,
                    )
