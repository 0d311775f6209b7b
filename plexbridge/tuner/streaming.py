"""A stream response, from the request to the last byte.

A bare ASGI callable, no generator: whatever happens, `finally` runs here and returns the session.
The watcher for the player's loss is armed before the first `await`.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import TypeVar

import structlog
from starlette.types import Scope, Send

from events.commands import Accepted as AcceptedCommand
from events.commands import ChannelRef, ClientRef, Disconnect, Progress, Tune, TuneUnknown
from events.ids import ConnectionId, SessionId, TunerNumber
from events.refusals import AlreadyEnded, Refused, UnknownSession
from plexbridge.clock import Clock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.ids import Ids
from plexbridge.lineup.channels import Channel
from plexbridge.server.media import MEDIA_EXTENSION, LostHow, MediaConnection
from plexbridge.tuner.answers import BY_RULE, UNKNOWN_CHANNEL
from plexbridge.tuner.client import client_of
from plexbridge.tuner.viewer import PlayerViewer

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Streams:
    """Answers stream requests. One for the process; used on the event loop only."""

    def __init__(
        self,
        door: Door,
        effects: Effects,
        *,
        clock: Clock,
        ids: Ids,
        source_limits: Mapping[str, int],
        progress: Callable[[], tuple[tuple[SessionId, Progress], ...]],
    ) -> None:
        """`source_limits`: connections each source allows; one that is not named has no bound.
        `progress`: what the sockets of all sessions have accepted."""
        self._door = door
        self._effects = effects
        self._clock = clock
        self._ids = ids
        self._source_limits = source_limits
        self._progress = progress
        self._connections = count(1)

    async def respond(
        self,
        scope: Scope,
        *,
        channel: Channel | None,
        asked: str,
        kind: str,
        query: Mapping[str, str],
        tuner: TunerNumber | None = None,
    ) -> None:
        """Stream `channel` to the player, or refuse; None: `asked` is not in the lineup."""
        media: MediaConnection = scope["extensions"][MEDIA_EXTENSION]
        lost: asyncio.Future[LostHow] = asyncio.get_running_loop().create_future()
        media.watch(partial(_settle, lost))
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        client = client_of(media.peer[0], headers, query)
        if channel is None:
            self._refuse_unknown(media, asked, client)
            return
        connection = ConnectionId(next(self._connections))
        try:
            session = await self._admitted(channel, client, connection, kind, tuner, lost)
        except Refused as refused:
            answer = BY_RULE[refused.rule]
            _log.info("Refused", rule=refused.rule, why=str(refused), client=client.address)
            media.refuse(answer.status, answer.error)
            return
        if session is not None:
            await self._stream(media, session, connection, channel, lost)

    async def _admitted(
        self,
        channel: Channel,
        client: ClientRef,
        connection: ConnectionId,
        kind: str,
        tuner: TunerNumber | None,
        lost: "asyncio.Future[LostHow]",
    ) -> SessionId | None:
        """The session, once it is durable; None when the player left before."""
        asked_at = self._clock.now()
        reference = ChannelRef(
            id=channel.id,
            guide_number=channel.guide_number,
            name=channel.guide_name,
            sources=tuple(
                (upstream.source, self._source_limits.get(upstream.source, 0))
                for upstream in channel.upstreams
            ),
        )
        session, refusal_id = self._ids.session(), self._ids.refusal()

        def ask() -> Tune:
            return Tune(
                at=self._clock.now(),
                asked_at=asked_at,
                session=session,
                connection=connection,
                channel=reference,
                client=client,
                kind=kind,
                tuner=tuner,
                refusal_id=refusal_id,
                progress=self._progress(),
            )

        tuning = asyncio.get_running_loop().create_task(self._door.tune(ask))
        try:
            await asyncio.wait((tuning, lost), return_when=asyncio.FIRST_COMPLETED)
            if tuning.done():
                return tuning.result()
            return None
        finally:
            # Cancelled while it waits, it leaves nothing; when it was just granted, it takes back.
            tuning.cancel()

    async def _stream(
        self,
        media: MediaConnection,
        session: SessionId,
        connection: ConnectionId,
        channel: Channel,
        lost: "asyncio.Future[LostHow]",
    ) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        viewer: PlayerViewer | None = None
        try:
            found = self._door.world.sessions.get(session)
            if found is None or found.connection != connection:
                media.abort()  # ended, or taken over by a later request, while it became durable
                return
            viewer = PlayerViewer(
                media,
                connection=connection,
                session=session,
                tuner=self._door.world.lease_of(found).tuner,
                clock=self._clock,
                before=Progress(bytes=found.bytes, accepted_at=found.accepted_at),
                on_first_byte=lambda: self._first_byte(session, viewer),
                on_over=partial(_settle, over, None),
            )
            self._effects.attach(session, channel.id, viewer)
            await asyncio.wait((lost, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._release(session, connection, viewer, lost)

    def _first_byte(self, session: SessionId, viewer: PlayerViewer | None) -> None:
        assert viewer is not None, "bytes come after the viewer was made"
        if session in self._door.world.sessions:
            command = AcceptedCommand(
                at=self._clock.now(), session=session, progress=viewer.progress()
            )
            self._door.report(command, actor="player")

    def _release(
        self,
        session: SessionId,
        connection: ConnectionId,
        viewer: PlayerViewer | None,
        lost: "asyncio.Future[LostHow]",
    ) -> None:
        """The connection is over; so is the session, unless it ended first or goes on elsewhere."""
        progress = None
        if viewer is not None:
            progress = viewer.progress()
            self._effects.detach(session, viewer)
        found = self._door.world.sessions.get(session)
        if found is None or found.connection != connection:
            return
        how = lost.result() if lost.done() else LostHow.CLIENT_CLOSED
        try:
            self._door.report(
                Disconnect(
                    at=self._clock.now(),
                    session=session,
                    connection=connection,
                    reason="client_disconnect",
                    detail=str(how),
                    progress=progress,
                ),
                actor="player",
            )
        except (AlreadyEnded, UnknownSession):
            _log.debug("Cleanup already in progress", session=session)

    def _refuse_unknown(self, media: MediaConnection, asked: str, client: ClientRef) -> None:
        command = TuneUnknown(
            at=self._clock.now(), asked=asked, client=client, refusal_id=self._ids.refusal()
        )
        self._door.refuse(command)
        media.refuse(UNKNOWN_CHANNEL.status, UNKNOWN_CHANNEL.error)


def _settle(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


async def head_answer(send: Send, *, known: bool) -> None:
    """A HEAD on a stream: what a GET would say, without tuner and upstream."""
    answer = (200, []) if known else (404, [(b"x-hdhomerun-error", b"801 Unknown Channel")])
    headers = [(b"content-type", b"video/mpeg"), (b"cache-control", b"no-cache"), *answer[1]]
    await send({"type": "http.response.start", "status": answer[0], "headers": headers})
    await send({"type": "http.response.body", "body": b""})
