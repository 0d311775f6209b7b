"""A granted stream, from its first byte to the end of its connection.

Whatever happens, `finally` runs here and returns the session: the one place where a connection lets
go of it.
"""

import asyncio
import contextlib
from functools import partial
from typing import TypeVar

import structlog

from events.commands import Accepted, Disconnect, Progress, Stop
from events.ids import ChannelId, ConnectionId, SessionId
from events.refusals import AlreadyEnded, UnknownSession
from plexbridge.clock import Clock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.control.viewers import Viewer
from plexbridge.server.media import LostHow, MediaConnection
from plexbridge.tuner.answers import SYSTEM_BUSY, TUNE_FAILED
from plexbridge.tuner.duration import Duration
from plexbridge.tuner.transcoding import Transcode, TranscodedViewer
from plexbridge.tuner.viewer import PlayerViewer

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Viewing:
    """One connection of one session; used once."""

    def __init__(
        self,
        door: Door,
        effects: Effects,
        clock: Clock,
        *,
        session: SessionId,
        connection: ConnectionId,
        seconds: float | None,
    ) -> None:
        """`seconds`: as many as were asked for, from the first byte; None, where it goes on."""
        self._door = door
        self._effects = effects
        self._clock = clock
        self._session = session
        self._connection = connection
        self._lasting = Duration(seconds, self._completed)
        self._player: PlayerViewer | None = None
        self._viewer: Viewer | None = None

    async def go_on(
        self,
        media: MediaConnection,
        channel: ChannelId,
        lost: "asyncio.Future[LostHow]",
        transcode: Transcode | None,
    ) -> None:
        """Until the player is lost, or its session has ended."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            found = self._door.world.sessions.get(self._session)
            if found is None:
                self._refuse(media)
                return
            if found.connection != self._connection:
                media.abort()  # taken over by a later request, while it became durable
                return
            self._viewer = self._player = PlayerViewer(
                media,
                connection=self._connection,
                session=self._session,
                tuner=self._door.world.lease_of(found).tuner,
                clock=self._clock,
                before=Progress(bytes=found.bytes, accepted_at=found.accepted_at),
                on_first_byte=self._first_byte,
                on_over=partial(settle, over, None),
            )
            if transcode is not None:
                self._viewer = TranscodedViewer(self._player, transcode, self._not_transcoded)
            self._effects.attach(self._session, channel, self._viewer)
            await asyncio.wait((lost, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._release(lost)

    def _refuse(self, media: MediaConnection) -> None:
        """It ended while it became durable: what every upstream of its channel answers was known
        already, or the bridge is stopping."""
        answer = SYSTEM_BUSY if self._door.world.stopping else TUNE_FAILED
        media.refuse(answer.status, answer.error)

    def _first_byte(self) -> None:
        self._lasting.begin()
        progress = self._progress()
        assert progress is not None, "bytes come after the viewer was made"
        if self._session in self._door.world.sessions:
            command = Accepted(at=self._clock.now(), session=self._session, progress=progress)
            self._door.report(command, actor="player")

    def _release(self, lost: "asyncio.Future[LostHow]") -> None:
        """The connection is over; so is the session, unless it ended first or goes on elsewhere."""
        self._lasting.cancel()
        if self._viewer is not None:
            self._effects.detach(self._session, self._viewer)
        how = lost.result() if lost.done() else LostHow.CLIENT_CLOSED
        self._end("client_disconnect", str(how))

    def _completed(self) -> None:
        self._end("disconnect", "completed")

    def _end(self, reason: str, detail: str) -> None:
        found = self._door.world.sessions.get(self._session)
        if found is None or found.connection != self._connection:
            return
        try:
            self._door.report(
                Disconnect(
                    at=self._clock.now(),
                    session=self._session,
                    connection=self._connection,
                    reason=reason,
                    detail=detail,
                    progress=self._progress(),
                ),
                actor="player",
            )
        except (AlreadyEnded, UnknownSession):
            _log.debug("Cleanup already in progress", session=self._session)

    def _not_transcoded(self, word: str) -> None:
        """A browser cannot show what its session would go on with: it ends."""
        with contextlib.suppress(AlreadyEnded, UnknownSession):  # it ended meanwhile
            self._door.report(
                Stop(
                    at=self._clock.now(),
                    session=self._session,
                    reason="forced",
                    detail=f"transcode_{word.removeprefix('transcode_')}",
                    progress=self._progress(),
                )
            )

    def _progress(self) -> Progress | None:
        return None if self._viewer is None else self._viewer.progress()


def settle(future: "asyncio.Future[T]", value: T) -> None:
    """Resolve a future, unless it is."""
    if not future.done():
        future.set_result(value)
