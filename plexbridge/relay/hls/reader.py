"""HLS as an upstream: from the answer that turned out to be a playlist to one MPEG-TS body.

Knows the order of things (playlist, variant, segments, stitching) and how to start, pause and end
it; the rules are in the pure modules beside this one.
"""

import asyncio
from typing import Final

import aiohttp

from plexbridge.clock import Clock
from plexbridge.outbound import Outbound
from plexbridge.relay.hls.faults import NeedsRemux, PlaylistTooBig, SegmentUnusable, Unfetched
from plexbridge.relay.hls.fetch import Fetcher
from plexbridge.relay.hls.follow import (
    Follower,
    OpenSegment,
    media_at,
    parsed,
    upstream_failed,
)
from plexbridge.relay.hls.playlist import MasterPlaylist, choose_variant, separate_audio
from plexbridge.relay.hls.stitch import Stitcher
from plexbridge.relay.hls.suitable import check_stitchable
from plexbridge.relay.mpegts import PACKET_BYTES
from plexbridge.relay.ports import Upstream, UpstreamFailed, UpstreamReceiver

PUSH_BYTES_MAX: Final = 262_144 // PACKET_BYTES * PACKET_BYTES
"""What is handed on in one piece, so that a relay can pause in time."""
_MP4_BOXES: Final = frozenset({b"ftyp", b"styp", b"moof", b"sidx", b"emsg", b"prft"})


async def open_hls(
    response: aiohttp.ClientResponse,
    upstream: Upstream,
    receiver: UpstreamReceiver,
    *,
    outbound: Outbound,
    clock: Clock,
    from_public: bool = False,
) -> "HlsBody":
    """Follow the playlist that `response` (its body unread) begins with. The response is closed.

    Returns when the first segment has begun to come; nothing is delivered before that.

    Raises:
        UpstreamFailed: `hls_bad_playlist`, `hls_playlist_http_404`, `hls_segment_http_404`, …
        NeedsRemux: sound HLS that only a remuxer can serve.
    """
    fetcher = Fetcher(outbound, upstream, clock, from_public=from_public)
    try:
        follower = await _follower(fetcher, response, upstream.url, clock)
        piece, head = await _first_piece(follower)
    except BaseException:
        response.close()
        fetcher.abort()
        # Let the socket close before the caller opens another one: a provider counts them.
        await asyncio.sleep(0)
        raise
    return HlsBody(fetcher, follower, piece, head, receiver)


async def _follower(
    fetcher: Fetcher, response: aiohttp.ClientResponse, asked_url: str, clock: Clock
) -> Follower:
    body = await fetcher.adopt(response)
    try:
        text, url = await fetcher.text_of(body)
    except Unfetched as unfetched:
        failure = upstream_failed(unfetched.detail)
    except PlaylistTooBig:
        failure = upstream_failed("hls_playlist_too_big")
    else:
        playlist = await parsed(text, url)
        if isinstance(playlist, MasterPlaylist):
            variant = choose_variant(playlist)
            if separate_audio(playlist, variant) is not None:
                raise NeedsRemux("audio_group")
            asked_url = variant.uri
            playlist, url = await media_at(fetcher, asked_url)
        return Follower(
            fetcher,
            playlist,
            asked_url=asked_url,
            final_url=url,
            check=check_stitchable,
            clock=clock,
        )
    raise failure


async def _first_piece(follower: Follower) -> tuple[OpenSegment, bytes]:
    """The first segment that comes, and its first bytes."""
    while True:
        piece = await follower.next()
        if piece is None:
            raise upstream_failed("hls_empty")
        try:
            head = await piece.read()
        except (Unfetched, SegmentUnusable) as fault:
            await piece.close()
            follower.plan.skipped(fault.detail)
            continue
        if head[4:8] in _MP4_BOXES:
            raise NeedsRemux("fmp4")
        if head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xf0"):
            raise NeedsRemux("packed_audio")
        return piece, head


class HlsBody:
    """One continuous MPEG-TS body, made by one task out of segment after segment."""

    def __init__(
        self,
        fetcher: Fetcher,
        follower: Follower,
        piece: OpenSegment,
        head: bytes,
        receiver: UpstreamReceiver,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        """Resolves when the task has ended and its last socket is gone."""
        self._fetcher = fetcher
        self._follower = follower
        self._receiver = receiver
        self._stitcher = Stitcher()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._task = loop.create_task(self._run(piece, head), name="upstream hls")
        self._task.add_done_callback(self._task_over)

    @property
    def silence_ms(self) -> int:
        """See `Follower.silence_ms`."""
        return self._follower.silence_ms

    def pause(self) -> None:
        """Read no further. What is just being asked for, a playlist or the next segment's headers,
        may still come; its bytes wait."""
        self._may_read.clear()

    def resume(self) -> None:
        """Read on."""
        self._may_read.set()

    def close(self) -> None:
        """Close the socket at once; the receiver is not called again."""
        self._task.cancel()
        self._fetcher.abort()

    def _task_over(self, _: "asyncio.Task[None]") -> None:
        body = self._fetcher.current
        assert body is not None, "a body begins with an open playlist"
        body.gone.add_done_callback(self._socket_gone)

    def _socket_gone(self, _: object) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    async def _run(self, piece: OpenSegment | None, head: bytes) -> None:
        try:
            while piece is not None:
                await self._segment(piece, head)
                head = b""
                await self._may_read.wait()
                piece = await self._follower.next()
        except UpstreamFailed as failure:
            self._receiver.ended(failure)
        else:
            self._receiver.ended(None)

    async def _segment(self, piece: OpenSegment, head: bytes) -> None:
        """One segment to its end, good or bad."""
        self._stitcher.begin(fresh=piece.fresh)
        try:
            chunk = head or await piece.read()
            while chunk:
                await self._push(self._stitcher.feed(chunk))
                chunk = await piece.read()
            await self._push(self._stitcher.finish())
        except (Unfetched, SegmentUnusable) as fault:
            self._stitcher.abandon()
            self._follower.plan.skipped(fault.detail)
        else:
            self._follower.plan.delivered()
        finally:
            await piece.close()

    async def _push(self, packets: bytes) -> None:
        for at in range(0, len(packets), PUSH_BYTES_MAX):
            await self._may_read.wait()
            self._receiver.received(packets[at : at + PUSH_BYTES_MAX])
        await self._may_read.wait()
