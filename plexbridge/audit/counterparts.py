"""Which session and which lease of a hypothetical course stands for which recorded one.

As long as both courses are alike the names are the same. Once they differ, a viewer may be on with
an older session of its own, or have been given a new one, and a channel's lease has another number.
"""

from dataclasses import replace
from typing import Final

from events.commands import (
    Accepted,
    ChangeSource,
    Command,
    Disconnect,
    Expire,
    LingerOver,
    Progress,
    ShutDown,
    Stop,
    TooSlow,
    Tune,
    UpstreamClosed,
    UpstreamCompleted,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamOpened,
)
from events.ids import ChannelId, SessionId
from events.world import World

AllProgress = tuple[tuple[SessionId, Progress], ...]


class Counterparts:
    """Recorded names on the left, hypothetical ones on the right."""

    def __init__(self) -> None:
        self._sessions: dict[SessionId, tuple[SessionId, int]] = {}
        """Recorded session → its counterpart, and how many bytes more that has accepted."""
        self._recorded: dict[SessionId, SessionId] = {}
        self._leases: dict[ChannelId, tuple[int, int]] = {}

    def here(self, session: SessionId) -> SessionId:
        """The hypothetical session of a recorded one; of the same name, unless it was paired."""
        pair = self._sessions.get(session)
        return session if pair is None else pair[0]

    def recorded(self, session: SessionId) -> SessionId:
        """The recorded session of a hypothetical one."""
        return self._recorded.get(session, session)

    def pair(self, session: SessionId, here: SessionId, more_bytes: int) -> None:
        """From now on these two are one viewer's."""
        if session == here and more_bytes == 0:
            self.part(session)
            return
        self._sessions[session] = here, more_bytes
        self._recorded[here] = session

    def part(self, session: SessionId) -> None:
        """The recorded session is over."""
        pair = self._sessions.pop(session, None)
        if pair is not None:
            self._recorded.pop(pair[0], None)

    def pair_leases(self, channel: ChannelId, recorded: int, here: int) -> None:
        """These leases of a channel are one relay's."""
        self._leases[channel] = recorded, here

    def clear(self) -> None:
        """The bridge starts anew."""
        self._sessions.clear()
        self._recorded.clear()
        self._leases.clear()

    def command(self, command: Command, world: World) -> Command | None:
        """A recorded command in the names of the hypothetical `world`; None where it speaks of
        something that is not there."""
        if isinstance(command, Accepted | Disconnect | Stop | Expire | TooSlow):
            session = self.here(command.session)
            if session not in world.sessions:
                return None
            if session == command.session and session not in self._recorded:
                return command
            progress = command.progress and self._progress(command.session, command.progress)
            return replace(command, session=session, progress=progress)  # type: ignore[arg-type]
        if isinstance(command, Tune | ShutDown):
            return replace(command, progress=self._all(command.progress))
        if isinstance(command, UpstreamClosed):
            return self._closed(command, world)
        if isinstance(command, _ON_LEASES):
            lease = self._lease(command.channel, command.lease)
            if lease is None:
                return None
            if isinstance(command, UpstreamLost | UpstreamCompleted):
                return replace(command, lease=lease, progress=self._all(command.progress))
            return replace(command, lease=lease)
        return command

    def _lease(self, channel: ChannelId, recorded: int) -> int | None:
        pair = self._leases.get(channel)
        return None if pair is None or pair[0] != recorded else pair[1]

    def _closed(self, command: UpstreamClosed, world: World) -> UpstreamClosed | None:
        """The recorded socket is gone; where the lease is still held here, this one is not."""
        here = self._lease(command.channel, command.lease)
        lease = world.leases.get(command.channel)
        if here is not None and lease is not None and lease.ver == here:
            return None
        return command if here is None else replace(command, lease=here)

    def _progress(self, session: SessionId, progress: Progress) -> Progress:
        _, more = self._sessions.get(session, (session, 0))
        return replace(progress, bytes=progress.bytes + more) if more else progress

    def _all(self, progress: AllProgress) -> AllProgress:
        return tuple((self.here(one), self._progress(one, seen)) for one, seen in progress)


_ON_LEASES: Final = (
    UpstreamOpened,
    UpstreamFirstByte,
    UpstreamLost,
    ChangeSource,
    UpstreamCompleted,
    LingerOver,
)
