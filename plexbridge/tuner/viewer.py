"""One player's connection for one session: sends the head with the first bytes, counts what the
socket accepted, and closes in the way the session's end asks for."""

from collections.abc import Callable

from events.commands import Progress
from events.ids import ConnectionId, SessionId, TunerNumber, UnixMicros
from events.payloads import EndData
from plexbridge.clock import Clock
from plexbridge.server.media import MediaConnection
from plexbridge.tuner.answers import ended_unheard

_ABORTED = frozenset({"client_stalled", "client_too_slow", "peer_vanished", "client_reset"})
"""Details of ends after which nobody reads what is still in the socket: it is dropped at once."""


class PlayerViewer:
    """A relay's `Sink` and control's `Viewer` on a `MediaConnection`."""

    def __init__(
        self,
        media: MediaConnection,
        *,
        connection: ConnectionId,
        session: SessionId,
        tuner: TunerNumber,
        clock: Clock,
        before: Progress,
        on_first_byte: Callable[[], None],
        on_over: Callable[[], None],
    ) -> None:
        """`before`: what the session had accepted on earlier connections."""
        self._media = media
        self._connection = connection
        self._clock = clock
        self._before = before
        self._seen_bytes = 0
        self._filler_bytes = 0
        self._programme_bytes = 0
        self._accepted_at: UnixMicros = before.accepted_at
        self._begun = False
        self._on_first_byte = on_first_byte
        self._on_over = on_over
        self._head = [
            ("Content-Type", "video/mpeg"),
            ("Cache-Control", "no-cache"),
            ("Connection", "close"),
            ("Access-Control-Allow-Origin", "*"),
            ("transferMode.dlna.org", "Streaming"),
            ("X-HDHomeRun-Resource", f"tuner{tuner}"),
            ("X-PlexBridge-Session", session),
        ]

    @property
    def connection(self) -> ConnectionId:
        """Which connection of this process it is."""
        return self._connection

    @property
    def on_writable(self) -> Callable[[], None] | None:
        """See `Sink`."""
        return self._media.on_writable

    @on_writable.setter
    def on_writable(self, callback: Callable[[], None] | None) -> None:
        self._media.on_writable = callback

    @property
    def writable(self) -> bool:
        """See `Sink`."""
        return self._media.writable

    def write(self, chunk: bytes | memoryview) -> None:
        """Hand over packets; the status line goes out before the first of them."""
        if self._begun:
            self._media.write(chunk)
            return
        self._begun = True
        self._media.begin(self._head)
        self._media.write(chunk)
        if self._media.accepted():
            self._on_first_byte()

    def fill(self, packets: bytes) -> None:
        """See `Sink`."""
        if self._begun:
            self._filler_bytes += len(packets)
            self._media.write(packets)

    def accepted(self) -> int:
        """See `Sink`: of this connection."""
        # While filler waits in the socket, this is less than the truth; it never falls.
        programme = self._media.accepted() - self._filler_bytes
        self._programme_bytes = max(self._programme_bytes, programme)
        return self._programme_bytes

    def progress(self) -> Progress:
        """Of the whole session; when was as of the last time that it was looked at."""
        accepted = self.accepted()
        if accepted > self._seen_bytes:
            self._seen_bytes = accepted
            self._accepted_at = self._clock.now()
        return Progress(bytes=self._before.bytes + accepted, accepted_at=self._accepted_at)

    def acknowledging(self) -> bool:
        """See `Viewer`."""
        info = self._media.tcp_info()
        return info is not None and info.peer_answers

    def close(self, end: EndData) -> None:
        """See `Viewer`."""
        if not self._begun:
            answer = ended_unheard(end["reason"], end["detail"])
            self._media.refuse(answer.status, answer.error)
        elif end["detail"] in _ABORTED:
            self._media.abort()
        else:
            self._media.finish()
        self._on_over()

    def supersede(self) -> None:
        """See `Viewer`."""
        if self._begun:
            self._media.finish()
        else:
            self._media.abort()
        self._on_over()
