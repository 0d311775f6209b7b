"""Opens upstreams of every kind: a plain body over HTTP, HLS, or what only ffmpeg can read.

Knows which kind an upstream is. Nothing of bodies, packets or readers.
"""

from collections.abc import AsyncIterator

from plexbridge.clock import Clock
from plexbridge.outbound import Outbound
from plexbridge.relay.child.connector import ChildConnector
from plexbridge.relay.connector import HttpConnector
from plexbridge.relay.hls.faults import NeedsRemux
from plexbridge.relay.hls.reader import open_hls
from plexbridge.relay.hls.renditions import Rendition, open_renditions
from plexbridge.relay.hls.sniff import looks_like_hls
from plexbridge.relay.http_body import deliver_body
from plexbridge.relay.ports import OpenUpstream, Upstream, UpstreamFailed, UpstreamReceiver


class UpstreamConnector:
    """A `Connector` for everything a playlist may name. One for the process."""

    def __init__(self, outbound: Outbound, children: ChildConnector, clock: Clock) -> None:
        self._http = HttpConnector(outbound)
        self._outbound = outbound
        self._children = children
        self._clock = clock

    async def open(self, upstream: Upstream, receiver: UpstreamReceiver) -> OpenUpstream:
        """Ask for the URL; nothing is delivered before this has returned.

        Raises:
            UpstreamFailed: with the word of whoever was asked, and `Retry-After`.
        """
        if self._children.handles(upstream.url):
            return await self._children.open(upstream, receiver)
        response, from_public = await self._http.ask(upstream)
        content_type = response.headers.get("Content-Type", "")
        if not looks_like_hls(content_type, response.url.path, b""):
            return deliver_body(response, receiver)
        try:
            return await open_hls(
                response,
                upstream,
                receiver,
                outbound=self._outbound,
                clock=self._clock,
                from_public=from_public,
            )
        except NeedsRemux as needs:
            why = needs.why
        if why == "sample_aes":
            # The child would be fed what only the keys make a stream of.
            raise UpstreamFailed("response_invalid", "hls_sample_aes")
        return await self._open_remuxed(upstream, receiver)

    async def _open_remuxed(self, upstream: Upstream, receiver: UpstreamReceiver) -> OpenUpstream:
        """HLS whose segments are no MPEG-TS, or whose sound comes apart from its picture."""
        renditions = await open_renditions(upstream, outbound=self._outbound, clock=self._clock)
        feeds = [bytes_of(renditions.main)]
        if renditions.audio is not None:
            feeds.append(bytes_of(renditions.audio))
        try:
            body = await self._children.open_fed(
                feeds, upstream, receiver, silence_ms=renditions.silence_ms
            )
        except BaseException:
            renditions.close()
            raise
        body.closed.add_done_callback(lambda _: renditions.close())
        return body


async def bytes_of(rendition: Rendition) -> AsyncIterator[bytes]:
    """A rendition's bytes until its time or its form changes: a child is started anew for that.

    Raises:
        UpstreamFailed: `process_closed`, `hls_changed`; or as the rendition.
    """
    begun = False
    async for piece in rendition.pieces():
        if begun and (piece.is_init or piece.fresh):
            raise UpstreamFailed("process_closed", "hls_changed")
        begun = begun or not piece.is_init
        yield piece.data
