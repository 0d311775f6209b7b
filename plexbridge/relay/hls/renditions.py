"""Renditions as raw bytes, for a remuxer: initialisation sections and whole segments, decrypted.

Knows which renditions belong together and in which order their bytes come; nothing of what is in
them, nor of the child that reads them. One request at a time for all of them together: a segment is
read whole before it is handed on, so that a pipe nobody empties does not hold up the other one.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from plexbridge.clock import Clock
from plexbridge.outbound import Outbound
from plexbridge.relay.hls.faults import PlaylistTooBig, SegmentUnusable, Unfetched
from plexbridge.relay.hls.fetch import Fetcher
from plexbridge.relay.hls.follow import Follower, media_at, parsed, upstream_failed
from plexbridge.relay.hls.playlist import (
    InitSection,
    MasterPlaylist,
    MediaPlaylist,
    choose_variant,
    separate_audio,
)
from plexbridge.relay.hls.suitable import check_readable
from plexbridge.relay.ports import Upstream


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a rendition, in order."""

    data: bytes
    is_init: bool
    """An initialisation section, which may come again when it has changed."""
    fresh: bool
    """It does not go on where the one before it ended."""


class Rendition:
    """One rendition. `pieces` may be called once."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    @property
    def silence_ms(self) -> int:
        """See `Renditions`."""
        return self._follower.silence_ms

    async def pieces(self) -> AsyncIterator[Piece]:
        """Its bytes as the playlist offers them, until a finite one is over.

        Raises:
            UpstreamFailed: as `open_hls`.
        """
        known: InitSection | None = None
        while True:
            segment = await self._follower.next()
            if segment is None:
                return
            parts: list[bytes] = []
            try:
                try:
                    while chunk := await segment.read():
                        parts.append(chunk)
                finally:
                    await segment.close()
                init = segment.segment.init
                if init is not None and init != known:
                    data = await self._follower.init_section(init)
                    known = init
                    yield Piece(data, is_init=True, fresh=segment.fresh)
            except (Unfetched, SegmentUnusable) as fault:
                self._follower.plan.skipped(fault.detail)
                continue
            self._follower.plan.delivered()
            yield Piece(b"".join(parts), is_init=False, fresh=segment.fresh)


class Renditions:
    """The renditions of one upstream that are to be played together."""

    def __init__(self, fetcher: Fetcher, main: Rendition, audio: Rendition | None) -> None:
        self.main = main
        """The variant: video, and audio where there is no rendition of its own."""
        self.audio = audio
        self._fetcher = fetcher

    @property
    def silence_ms(self) -> int:
        """How long they may be without a byte and yet be well: see `HlsBody`."""
        return max(one.silence_ms for one in (self.main, self.audio) if one is not None)

    def close(self) -> None:
        """Close the socket that is open, at once. Whoever iterates is cancelled by its owner."""
        self._fetcher.abort()


async def open_renditions(upstream: Upstream, *, outbound: Outbound, clock: Clock) -> Renditions:
    """Fetch the playlists of an upstream that `open_hls` has called a remuxer's business.

    Raises:
        UpstreamFailed: as `open_hls`.
    """
    fetcher = Fetcher(outbound, upstream, clock)
    try:
        text, url = await fetcher.text(upstream.url)
    except Unfetched as unfetched:
        failure = upstream_failed(unfetched.detail, unfetched.retry_after_s)
    except PlaylistTooBig:
        failure = upstream_failed("hls_playlist_too_big")
    else:
        playlist = await parsed(text, url)
        if not isinstance(playlist, MasterPlaylist):
            only = _rendition(fetcher, playlist, (upstream.url, url), clock)
            return Renditions(fetcher, only, None)
        variant = choose_variant(playlist)
        audio = separate_audio(playlist, variant)
        uris = [variant.uri, *([audio.uri] if audio is not None and audio.uri else [])]
        renditions: list[Rendition] = []
        for uri in uris:
            media, final_url = await media_at(fetcher, uri)
            renditions.append(_rendition(fetcher, media, (uri, final_url), clock))
        return Renditions(fetcher, renditions[0], renditions[1] if len(renditions) > 1 else None)
    raise failure


def _rendition(
    fetcher: Fetcher, playlist: MediaPlaylist, urls: tuple[str, str], clock: Clock
) -> Rendition:
    asked_url, final_url = urls
    return Rendition(
        Follower(
            fetcher,
            playlist,
            asked_url=asked_url,
            final_url=final_url,
            check=check_readable,
            clock=clock,
        )
    )
