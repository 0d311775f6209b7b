"""What a relay asks of its surroundings: a player to write to, an upstream to read, one to tell."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from events.ids import ChannelId, SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One URL of a provider account. `url` may hold a login: it is never logged nor shown."""

    source: SourceId
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    redacted: str
    """What may be shown of the URL."""
    digest: str
    """Keyed digest of the URL, 16 hex digits: tells two URLs apart without showing either."""


class Sink(Protocol):
    """A player's connection, as a relay sees it. Writing never waits and never raises."""

    on_writable: Callable[[], None] | None
    """Set by the relay; called when the connection takes bytes again after it did not."""

    @property
    def writable(self) -> bool:
        """False while the connection holds enough unsent bytes."""
        ...

    def write(self, chunk: bytes | memoryview) -> None:
        """Hand over whole MPEG-TS packets; ignored once the player is gone. The memory is used
        again after the call: what cannot be sent at once is copied."""
        ...

    def fill(self, packets: bytes) -> None:
        """Hand over packets that are no programme, to keep the player connected; ignored before
        the first programme packet. They do not count as accepted."""
        ...

    def accepted(self) -> int:
        """Programme bytes the player's socket has accepted so far (written less still
        buffered)."""
        ...


class UpstreamFailed(Exception):
    """An upstream could not be opened, or ended. `reason` and `detail` are words of the log."""

    def __init__(self, reason: str, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        """`stream_failed`, `timeout`, `response_invalid`."""
        self.detail = detail
        """`upstream_http_404`, `upstream_refused`, `upstream_no_data`, `not_mpeg_ts`, …"""
        self.retry_after_s = retry_after_s


class UpstreamReceiver(Protocol):
    """Takes what an open upstream delivers: bytes read into its own memory, or chunks."""

    def room(self) -> memoryview:
        """Memory to read body bytes into at once; before anything else is done with the receiver
        `filled` is told how many."""
        ...

    def filled(self, count: int) -> None:
        """That many body bytes were read into `room`."""
        ...

    def received(self, chunk: bytes) -> None:
        """Body bytes, any size, that were read elsewhere: they are copied."""
        ...

    def ended(self, failure: UpstreamFailed | None) -> None:
        """The body is over: None when a finite body (one with a length) was read whole."""
        ...


class OpenUpstream(Protocol):
    """An upstream whose body is flowing."""

    @property
    def silence_ms(self) -> int:
        """How long it may be without a byte and yet be well; 0 for one that flows steadily."""
        ...

    def pause(self) -> None: ...
    def resume(self) -> None: ...

    def close(self) -> None:
        """Close the socket at once; `ended` is not called afterwards."""
        ...

    @property
    def closed(self) -> "asyncio.Future[None]":
        """Resolves when the socket is gone."""
        ...


class Connector(Protocol):
    """Opens upstreams."""

    async def open(self, upstream: Upstream, receiver: UpstreamReceiver) -> OpenUpstream:
        """Connect, follow redirects, check the answer, let the body flow into `receiver`.

        Raises:
            UpstreamFailed: within the connect and header deadlines.
        """
        ...


class RelayListener(Protocol):
    """Told, synchronously, what becomes of the upstream. Decides everything; the relay nothing."""

    async def may_open(self, channel: ChannelId, upstream: Upstream, *, attempt: int) -> bool:
        """Asked before each attempt: whether a connection of this upstream's source is the
        relay's, or is its own from now on. The socket of the attempt before is gone."""
        ...

    def upstream_opened(self, channel: ChannelId, upstream: Upstream, *, attempt: int) -> None: ...

    def upstream_first_byte(self, channel: ChannelId, *, attempt: int, after_ms: int) -> None:
        """First good MPEG-TS packets of this attempt. After a loss: the gap is over."""
        ...

    def upstream_lost(
        self,
        channel: ChannelId,
        *,
        attempt: int,
        failure: UpstreamFailed,
        gave_bytes: bool,
        more: bool,
    ) -> None:
        """This attempt is over, at opening (`gave_bytes` False) or after it had delivered. The
        relay tries again by itself (back-off, other upstreams) until it is closed. `more`: nothing
        was ever delivered, and an upstream that was not tried yet is asked now."""
        ...

    def upstream_completed(self, channel: ChannelId, *, attempt: int) -> None:
        """A finite upstream was read whole and every reader has been handed all of it."""
        ...
