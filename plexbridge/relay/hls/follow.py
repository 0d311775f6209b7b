"""One rendition followed from segment to segment: reloads, keys, retries, and when to give up.

The shell around `plan`: it waits and fetches as the plan says. Knows nothing of what segments hold
once they are decrypted, nor who reads them.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from plexbridge.clock import Clock
from plexbridge.relay.hls.crypt import SegmentCipher, iv_of
from plexbridge.relay.hls.faults import (
    NeedsRemux,
    PlaylistInvalid,
    PlaylistTooBig,
    Protected,
    Unfetched,
)
from plexbridge.relay.hls.fetch import STALL_S, Body, Fetcher
from plexbridge.relay.hls.parsing import parse_playlist
from plexbridge.relay.hls.plan import Plan, Planned
from plexbridge.relay.hls.playlist import InitSection, Key, MasterPlaylist, MediaPlaylist
from plexbridge.relay.hls.suitable import AES_128
from plexbridge.relay.ports import UpstreamFailed

_PARSED_ON_THE_LOOP_CHARS_MAX: Final = 65_536
"""Some 600 segments, 2 ms. What is longer is parsed in a thread."""
SEGMENT_TARGETS_MAX: Final = 3
"""A segment that takes longer than so many target durations to read will not catch up."""
_SEGMENT_S_MIN: Final = 10.0
_RETRY_S: Final = 0.25
"""Before a segment whose connection failed is asked for once more."""
_INVALID: Final = frozenset(
    {
        "hls_bad_padding",
        "hls_bad_playlist",
        "hls_drm",
        "hls_empty",
        "hls_key_wrong_length",
        "hls_needs_remux",
        "hls_no_tables",
        "hls_not_mpeg_ts",
        "hls_playlist_too_big",
    }
)


def upstream_failed(detail: str, retry_after_s: float | None = None) -> UpstreamFailed:
    """The failure of a whole upstream for one of our words."""
    if detail in _INVALID:
        return UpstreamFailed("response_invalid", detail)
    is_late = detail == "hls_stale" or detail.endswith("timeout")
    reason = "timeout" if is_late else "stream_failed"
    return UpstreamFailed(reason, detail, retry_after_s=retry_after_s)


async def parsed(text: str, base_uri: str) -> MasterPlaylist | MediaPlaylist:
    """A playlist's values.

    Raises:
        UpstreamFailed: `hls_bad_playlist`, `hls_playlist_too_big`.
    """
    try:
        if len(text) > _PARSED_ON_THE_LOOP_CHARS_MAX:
            return await asyncio.to_thread(parse_playlist, text, base_uri)
        return parse_playlist(text, base_uri)
    except PlaylistInvalid:
        detail = "hls_bad_playlist"
    except PlaylistTooBig:
        detail = "hls_playlist_too_big"
    raise upstream_failed(detail)


async def media_at(fetcher: Fetcher, url: str) -> tuple[MediaPlaylist, str]:
    """The media playlist at a URL, and its final URL.

    Raises:
        UpstreamFailed: it could not be fetched, or is none.
    """
    try:
        text, final_url = await fetcher.text(url)
    except Unfetched as unfetched:
        failure = upstream_failed(unfetched.detail, unfetched.retry_after_s)
    except PlaylistTooBig:
        failure = upstream_failed("hls_playlist_too_big")
    else:
        playlist = await parsed(text, final_url)
        if isinstance(playlist, MediaPlaylist):
            return playlist, final_url
        failure = upstream_failed("hls_bad_playlist")
    raise failure


class OpenSegment:
    """A segment that is being read, decrypted on the way."""

    def __init__(
        self, planned: Planned, body: Body, cipher: SegmentCipher | None, within_s: float
    ) -> None:
        self.segment = planned.segment
        self.fresh = planned.fresh
        """It does not go on where the one before it ended."""
        self._body = body
        self._cipher = cipher
        self._within_s = within_s

    async def read(self) -> bytes:
        """The next bytes, none at the end.

        Raises:
            Unfetched: it broke off.
            SegmentUnusable: it cannot be decrypted.
        """
        while chunk := await self._body.read(within_s=self._within_s):
            if self._cipher is None:
                return chunk
            plain = self._cipher.feed(chunk)
            if plain:
                return plain
        cipher, self._cipher = self._cipher, None
        return b"" if cipher is None else cipher.finish()

    async def close(self) -> None:
        """Close the socket and see it gone."""
        await self._body.close()


class Follower:
    """The segments of one rendition, one after another."""

    def __init__(
        self,
        fetcher: Fetcher,
        playlist: MediaPlaylist,
        *,
        asked_url: str,
        final_url: str,
        check: Callable[[MediaPlaylist], None],
        clock: Clock,
    ) -> None:
        """`asked_url`: as its author wrote it; `final_url`: where redirects led. `check`: raises
        for a playlist that cannot be read.

        Raises:
            UpstreamFailed: `hls_drm`, `hls_bad_playlist`.
            NeedsRemux: from `check`.
        """
        self._fetcher = fetcher
        self._asked_url = asked_url
        self._url = final_url
        self._check = check
        self._clock = clock
        self._checked(playlist)
        self.plan = Plan(playlist, began_s=clock.monotonic())

    @property
    def silence_ms(self) -> int:
        """How long it may be without a byte and yet be well: segments come one target duration
        apart. It watches its playlist and its segments itself, and ends in time."""
        return round((self.plan.stale_after_s + STALL_S) * 1_000)

    async def next(self) -> OpenSegment | None:
        """The next segment, opened as soon as the playlist has it; None after the last one of a
        finite playlist.

        Raises:
            UpstreamFailed: the playlist died, or too many segments did not come.
        """
        while True:
            now_s = self._clock.monotonic()
            word = self.plan.failure(now_s)
            if word is not None:
                raise upstream_failed(word)
            reload_at_s = self.plan.reload_at_s
            if reload_at_s is not None and now_s >= reload_at_s:
                await self._reload()
            planned = self.plan.next()
            if planned is not None:
                opened = await self._opened(planned)
                if opened is not None:
                    return opened
            elif self.plan.finished:
                return None
            else:
                await self._wait()

    async def init_section(self, init: InitSection) -> bytes:
        """The bytes of an EXT-X-MAP, decrypted.

        Raises:
            Unfetched, SegmentUnusable.
        """
        cipher = None
        if init.key is not None and init.key.method == AES_128:
            # RFC 8216 section 4.3.2.5: such a key has an IV of its own.
            cipher = SegmentCipher(await self._fetcher.key(init.key.uri), init.key.iv or iv_of(0))
        body = await self._fetcher.segment(init.uri, init.byte_range)
        parts: list[bytes] = []
        try:
            while chunk := await body.read(within_s=_SEGMENT_S_MIN):
                parts.append(chunk)
        finally:
            await body.close()
        data = b"".join(parts)
        return data if cipher is None else cipher.feed(data) + cipher.finish()

    async def _wait(self) -> None:
        reload_at_s = self.plan.reload_at_s
        assert reload_at_s is not None, "what is not finished is looked at again"
        await asyncio.sleep(max(reload_at_s - self._clock.monotonic(), 0.001))

    async def _reload(self) -> None:
        began_s = self._clock.monotonic()
        try:
            # To the end of the redirects: asking at their beginning would open a new session
            # with many providers, until the one we have is over.
            playlist, self._url = await media_at(self._fetcher, self._url)
        except UpstreamFailed as failed:
            if failed.detail == "hls_playlist_too_big":
                raise
            # A server that is just writing the file, or a token that has expired.
            self._url = self._asked_url
            self.plan.reload_failed(failed.detail, began_s=began_s)
            return
        self._recheck(playlist)
        self.plan.reloaded(playlist, began_s=began_s)

    def _recheck(self, playlist: MediaPlaylist) -> None:
        try:
            self._checked(playlist)
        except NeedsRemux:
            failure = upstream_failed("hls_needs_remux")
        else:
            return
        raise failure

    def _checked(self, playlist: MediaPlaylist) -> None:
        try:
            self._check(playlist)
        except Protected:
            detail = "hls_drm"
        except PlaylistInvalid:
            detail = "hls_bad_playlist"
        else:
            return
        raise upstream_failed(detail)

    async def _opened(self, planned: Planned) -> OpenSegment | None:
        """The planned segment; None where it does not come. A connection that failed is tried
        once more; a status is an answer, and silence has taken the time for more."""
        segment = planned.segment
        within_s = max(self.plan.target_s * SEGMENT_TARGETS_MAX, _SEGMENT_S_MIN)
        detail = ""
        for attempt in (1, 2):
            try:
                cipher = await self._cipher(segment.key, segment.sequence)
                body = await self._fetcher.segment(segment.uri, segment.byte_range)
                return OpenSegment(planned, body, cipher, within_s)
            except Unfetched as unfetched:
                detail = unfetched.detail
                answered = unfetched.status is not None and unfetched.status < 500
                if answered or detail.endswith("timeout"):
                    break
            if attempt == 1:
                await asyncio.sleep(_RETRY_S)
        self.plan.skipped(detail)
        return None

    async def _cipher(self, key: Key | None, sequence: int) -> SegmentCipher | None:
        if key is None or key.method != AES_128:
            return None
        return SegmentCipher(await self._fetcher.key(key.uri), key.iv or iv_of(sequence))
