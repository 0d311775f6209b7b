"""Stream requests: who may begin a stream, and what those are told who may not.

Bare ASGI callables, no generators. The watcher for the player's loss is armed before the first
`await`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count

import structlog
from starlette.types import Scope, Send

from events.commands import ChannelRef, ClientRef, Progress, Tune, TuneTooOften, TuneUnknown
from events.ids import ConnectionId, SessionId, SourceId, TunerNumber
from events.refusals import Refused
from plexbridge.clock import Clock
from plexbridge.control.door import Door
from plexbridge.control.effects import Effects
from plexbridge.ids import Ids
from plexbridge.lineup.channels import Channel
from plexbridge.server.media import MEDIA_EXTENSION, LostHow, MediaConnection
from plexbridge.server.start_rate import StartRate
from plexbridge.tuner.answers import BY_RULE, SYSTEM_BUSY, UNKNOWN_CHANNEL
from plexbridge.tuner.client import client_of
from plexbridge.tuner.duration import duration_s
from plexbridge.tuner.transcoding import Transcode, Transcodes, TranscodesInUse
from plexbridge.tuner.viewing import Viewing, settle

_log = structlog.get_logger(__name__)

PREVIEW = "preview"
"""The kind of session that `/streams/preview/` begins."""

RETRY_AFTER_S = "1"
"""For who begins streams too fast: its bucket is full again after a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a request asks for."""

    channel: Channel
    kind: str
    tuner: TunerNumber | None
    seconds: float | None
    """How long it is to last; None where it is to go on."""


class Streams:
    """Answers stream requests. One for the process; used on the event loop only."""

    def __init__(
        self,
        door: Door,
        effects: Effects,
        *,
        clock: Clock,
        ids: Ids,
        allowed: Callable[[SourceId], int],
        progress: Callable[[SessionId], Progress | None],
        starts_per_second: int = 0,
        transcodes: Transcodes | None = None,
    ) -> None:
        """`allowed`: connections a source allows; 0 where that is not known.
        `progress`: what a session's socket has accepted. `starts_per_second`: of one
        address other than loopback; 0 is no bound. `transcodes`: None where there is no ffmpeg to
        be had."""
        self._door = door
        self._effects = effects
        self._clock = clock
        self._ids = ids
        self._allowed = allowed
        self._progress = progress
        self._connections = count(1)
        self._transcodes = transcodes
        self.starts = StartRate(starts_per_second, clock.monotonic)

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
        media.watch(partial(settle, lost))
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        # The scope's before the connection's, which may be a reverse proxy's.
        address, _ = scope.get("client") or media.peer
        client = client_of(address, headers, query)
        if not self.starts.allows(client.address):
            self._refuse_too_often(media, asked, client)
            return
        if channel is None:
            self._refuse_unknown(media, asked, client)
            return
        wish = Wish(channel=channel, kind=kind, tuner=tuner, seconds=duration_s(query))
        try:
            with self._transcoded(kind, query) as transcode:
                await self._serve(media, wish, client, lost, transcode)
        except TranscodesInUse as full:
            _log.info("Refused", rule="too_many_transcodes", why=str(full), client=client.address)
            media.refuse(SYSTEM_BUSY.status, SYSTEM_BUSY.error)

    @contextlib.contextmanager
    def _transcoded(self, kind: str, query: Mapping[str, str]) -> Iterator[Transcode | None]:
        """A place for transcoding, where a preview asks for it.

        Raises:
            TranscodesInUse: there is none left.
        """
        if kind != PREVIEW or query.get("transcode") != "true" or self._transcodes is None:
            yield None
            return
        transcode = self._transcodes.take()
        try:
            yield transcode
        finally:
            transcode.close()

    async def _serve(
        self,
        media: MediaConnection,
        wish: Wish,
        client: ClientRef,
        lost: "asyncio.Future[LostHow]",
        transcode: Transcode | None,
    ) -> None:
        connection = ConnectionId(next(self._connections))
        try:
            session = await self._admitted(wish, client, connection, lost)
        except Refused as refused:
            answer = BY_RULE[refused.rule]
            _log.info("Refused", rule=refused.rule, why=str(refused), client=client.address)
            media.refuse(answer.status, answer.error)
            return
        if session is None:
            return
        viewing = Viewing(
            self._door,
            self._effects,
            self._clock,
            session=session,
            connection=connection,
            seconds=wish.seconds,
        )
        await viewing.go_on(media, wish.channel.id, lost, transcode)

    async def _admitted(
        self,
        wish: Wish,
        client: ClientRef,
        connection: ConnectionId,
        lost: "asyncio.Future[LostHow]",
    ) -> SessionId | None:
        """The session, once it is durable; None when the player left before."""
        asked_at, channel = self._clock.now(), wish.channel
        reference = ChannelRef(
            id=channel.id,
            guide_number=channel.guide_number,
            name=channel.guide_name,
            sources=tuple(
                (upstream.source, self._allowed(upstream.source)) for upstream in channel.upstreams
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
                kind=wish.kind,
                tuner=wish.tuner,
                refusal_id=refusal_id,
                progress=self._of_same_viewer(client),
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

    def _of_same_viewer(self, client: ClientRef) -> tuple[tuple[SessionId, Progress], ...]:
        """What those sessions have accepted that may hand over to another one of this client."""
        sessions = self._door.world.sessions.values()
        same = [s.id for s in sessions if client.key == s.client_key or client.address == s.address]
        seen = ((session, self._progress(session)) for session in same)
        return tuple((session, progress) for session, progress in seen if progress is not None)

    def _refuse_unknown(self, media: MediaConnection, asked: str, client: ClientRef) -> None:
        command = TuneUnknown(
            at=self._clock.now(), asked=asked, client=client, refusal_id=self._ids.refusal()
        )
        self._door.refuse(command)
        media.refuse(UNKNOWN_CHANNEL.status, UNKNOWN_CHANNEL.error)

    def _refuse_too_often(self, media: MediaConnection, asked: str, client: ClientRef) -> None:
        command = TuneTooOften(
            at=self._clock.now(),
            asked=asked,
            client=client,
            per_second=self.starts.per_second,
            refusal_id=self._ids.refusal(),
        )
        answer = BY_RULE[self._door.refuse(command).rule]
        media.refuse(answer.status, answer.error, [("Retry-After", RETRY_AFTER_S)])


async def head_answer(send: Send, *, known: bool) -> None:
    """A HEAD on a stream: what a GET would say, without tuner and upstream."""
    answer = (200, []) if known else (404, [(b"x-hdhomerun-error", b"801 Unknown Channel")])
    headers = [(b"content-type", b"video/mpeg"), (b"cache-control", b"no-cache"), *answer[1]]
    await send({"type": "http.response.start", "status": answer[0], "headers": headers})
    await send({"type": "http.response.body", "body": b""})
