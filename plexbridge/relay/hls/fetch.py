"""Fetching for HLS: playlists, keys and segments, one request at a time, with bounds on each.

Knows HTTP bodies, whose login goes where, and how long things may take; nothing of what they hold.
A provider counts connections: the next request waits until the socket of the last one is gone.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Final

import aiohttp
from yarl import URL

from plexbridge.clock import Clock
from plexbridge.outbound import CREDENTIAL_HEADERS, Outbound, OutboundFailed
from plexbridge.relay.hls.crypt import KEY_BYTES
from plexbridge.relay.hls.faults import PlaylistTooBig, Unfetched
from plexbridge.relay.hls.parsing import PLAYLIST_BYTES_MAX
from plexbridge.relay.hls.playlist import ByteRange
from plexbridge.relay.ports import Upstream

READ_BYTES_MAX: Final = 65_536
"""What one read takes at most: the size at which stitching costs least, and 188 packets' worth of
what a relay lets through before it can pause."""
SEGMENT_BYTES_MAX: Final = 64 * 1024 * 1024
"""A minute at 8 Mbit/s; an endless body is not a segment (`reference/transport.md`, fault 30)."""
STALL_S: Final = 5.0
"""Without a byte of a body, in seconds."""
PLAYLIST_S_MAX: Final = 5.0
"""For the whole body of a playlist or key, in seconds."""
_GONE_S_MAX: Final = 1.0
"""For an aborted socket to be gone: a matter of two steps of the loop."""
_COOKIES_MAX: Final = 20
"""Session cookies of one provider."""


class Body:
    """A response whose body is read here. At most one is open; `close` lets the next be asked."""

    def __init__(
        self, response: aiohttp.ClientResponse, what: str, clock: Clock, turn: asyncio.Lock
    ) -> None:
        self.final_url = str(response.url)
        self.given_bytes = 0
        """What was read so far and is part of what was asked for."""
        self._response = response
        self._what = what
        self._clock = clock
        self._turn: asyncio.Lock | None = turn
        self._skip_bytes = 0
        self._bytes_max: int | None = None
        self._spent_s = 0.0
        connection = response.connection
        # A body that came with its headers is over already, and its connection let go of.
        self._transport = None if connection is None else connection.transport
        protocol = None if connection is None else connection.protocol
        lost = None if protocol is None else protocol.closed
        self._reset = False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolves when the socket is gone."""
        self._was_whole = lost is None
        if lost is None:
            self.gone.set_result(None)
        else:
            lost.add_done_callback(self._connection_lost)

    def _connection_lost(self, lost: "asyncio.Future[None]") -> None:
        self._reset = not lost.cancelled() and lost.exception() is not None
        self.gone.set_result(None)

    def cut_to(self, byte_range: ByteRange) -> None:
        """Give only this part of the resource; a server that ignored `Range` sent all of it."""
        self._skip_bytes = byte_range.offset if self._response.status != 206 else 0
        self._bytes_max = byte_range.length

    async def read(self, *, within_s: float) -> bytes:
        """The next bytes, none at the end. `within_s` is for all reads of this body together; the
        time between them does not count.

        Raises:
            Unfetched: `…_timeout`, `…_cut_short`, `…_reset`, `…_empty`, `…_too_big`.
        """
        while True:
            if self._bytes_max is not None and self.given_bytes >= self._bytes_max:
                return b""
            chunk = await self._chunk(within_s)
            if not chunk:
                self._check_end()
                return b""
            if self._skip_bytes:
                skipped = min(self._skip_bytes, len(chunk))
                self._skip_bytes -= skipped
                chunk = chunk[skipped:]
            if self._bytes_max is not None:
                chunk = chunk[: self._bytes_max - self.given_bytes]
            self.given_bytes += len(chunk)
            if self.given_bytes > SEGMENT_BYTES_MAX:
                raise Unfetched(f"hls_{self._what}_too_big")
            if chunk:
                return chunk

    def _check_end(self) -> None:
        # A body that ends with its connection looks whole after a reset too.
        if self._reset:
            raise Unfetched(f"hls_{self._what}_reset")
        if self._bytes_max is not None:
            raise Unfetched(f"hls_{self._what}_cut_short")
        if not self.given_bytes:
            raise Unfetched(f"hls_{self._what}_empty")

    async def _chunk(self, within_s: float) -> bytes:
        began_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(max(min(STALL_S, within_s - self._spent_s), 0.0)):
                return await self._response.content.read(READ_BYTES_MAX)
        except TimeoutError:
            detail = "timeout"
        except (aiohttp.ClientError, OSError):
            detail = "reset" if self._reset else "cut_short"
        finally:
            self._spent_s += self._clock.monotonic() - began_s
        raise Unfetched(f"hls_{self._what}_{detail}")

    def abort(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            # Not `close`: over TLS that would wait for the other side's farewell.
            self._transport.abort()
        self._response.close()
        if self._turn is not None:
            self._turn.release()
            self._turn = None

    async def close(self) -> None:
        """Close the socket and see it gone."""
        if self._transport is not None:
            self._transport.abort()
        self._response.close()
        try:
            if self._was_whole:
                await asyncio.sleep(0)  # The client library closes it in the next step of the loop.
            else:
                await asyncio.wait([self.gone], timeout=_GONE_S_MAX)
        finally:
            self.abort()


class Fetcher:
    """All requests for one upstream."""

    def __init__(
        self, outbound: Outbound, upstream: Upstream, clock: Clock, *, from_public: bool = False
    ) -> None:
        """`from_public`: the playlist we begin with is a public host's."""
        self._outbound = outbound
        self._from_public = from_public
        self._clock = clock
        self._headers = dict(upstream.headers)
        self._turn = asyncio.Lock()
        self._keys: dict[str, bytes] = {}
        self._cookies: dict[URL, dict[str, str]] = {}
        self.current: Body | None = None
        """The body that is or was open last."""
        url = URL(upstream.url)
        self._origin = url.origin()
        # The final URL of a request comes without its login, and so do addresses relative to it.
        self._authorization = None
        if url.user is not None:
            login = f"{url.user}:{url.password or ''}".encode()
            self._authorization = f"Basic {base64.b64encode(login).decode()}"

    async def adopt(self, response: aiohttp.ClientResponse) -> Body:
        """A playlist's response that somebody else asked for."""
        await self._turn.acquire()
        return self._opened(response, "playlist")

    async def text(self, url: str) -> tuple[str, str]:
        """A playlist, and the URL it was finally fetched from.

        Raises:
            Unfetched, PlaylistTooBig.
        """
        return await self.text_of(await self._open(url, "playlist"))

    async def text_of(self, body: Body) -> tuple[str, str]:
        """The text of an open playlist, which is closed, and its final URL.

        Raises:
            Unfetched, PlaylistTooBig.
        """
        parts: list[bytes] = []
        try:
            while chunk := await body.read(within_s=PLAYLIST_S_MAX):
                parts.append(chunk)
                if body.given_bytes > PLAYLIST_BYTES_MAX:
                    raise PlaylistTooBig("bytes", body.given_bytes, PLAYLIST_BYTES_MAX)
        finally:
            await body.close()
        return b"".join(parts).decode("utf-8", "replace"), body.final_url

    async def key(self, url: str) -> bytes:
        """A key; asked for once.

        Raises:
            Unfetched: also for a key of a wrong length (`hls_key_wrong_length`).
        """
        if url not in self._keys:
            body = await self._open(url, "key")
            key = b""
            try:
                while chunk := await body.read(within_s=PLAYLIST_S_MAX):
                    key += chunk
                    if len(key) > KEY_BYTES:
                        break
            finally:
                await body.close()
            if len(key) != KEY_BYTES:
                raise Unfetched("hls_key_wrong_length")
            # Providers rotate keys: only the one in use is worth keeping.
            self._keys = {url: key}
        return self._keys[url]

    async def segment(self, url: str, byte_range: ByteRange | None) -> Body:
        """An open segment.

        Raises:
            Unfetched: `hls_segment_http_404`, `hls_segment_refused`, …
        """
        if byte_range is None:
            return await self._open(url, "segment")
        last = byte_range.offset + byte_range.length - 1
        body = await self._open(url, "segment", {"Range": f"bytes={byte_range.offset}-{last}"})
        body.cut_to(byte_range)
        return body

    def abort(self) -> None:
        """Close the socket that is open, at once."""
        if self.current is not None:
            self.current.abort()

    async def _open(self, url: str, what: str, extra: Mapping[str, str] | None = None) -> Body:
        await self._turn.acquire()
        try:
            headers = {**self._headers_for(url), **(extra or {})}
            asked = await self._outbound.ask(url, headers, from_public=self._from_public)
        except OutboundFailed as failed:
            self._turn.release()
            word = failed.detail.removeprefix("upstream_")
            failure = Unfetched(
                f"hls_{what}_{word}", status=failed.status, retry_after_s=failed.retry_after_s
            )
        except BaseException:
            self._turn.release()
            raise
        else:
            self._from_public = self._from_public or asked.from_public
            return self._opened(asked.response, what)
        raise failure

    def _opened(self, response: aiohttp.ClientResponse, what: str) -> Body:
        self._keep_cookies(response)
        self.current = Body(response, what, self._clock, self._turn)
        return self.current

    def _headers_for(self, url: str) -> dict[str, str]:
        """A login and cookies go to the origin they belong to, and to no other."""
        try:
            origin = URL(url).origin()
        except ValueError:
            return {}  # The way out refuses such a URL, in its own word.
        headers = dict(self._headers)
        if origin != self._origin:
            headers = {k: v for k, v in headers.items() if k.lower() not in CREDENTIAL_HEADERS}
        present = {name.lower() for name in headers}
        if origin == self._origin and self._authorization and "authorization" not in present:
            headers["Authorization"] = self._authorization
        if "cookie" not in present and self._cookies.get(origin):
            pairs = self._cookies[origin].items()
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in pairs)
        return headers

    def _keep_cookies(self, response: aiohttp.ClientResponse) -> None:
        """Some providers tie segments to a cookie of their playlist."""
        kept = self._cookies.setdefault(response.url.origin(), {})
        for name, morsel in response.cookies.items():
            if len(kept) < _COOKIES_MAX:
                kept[name] = morsel.coded_value
