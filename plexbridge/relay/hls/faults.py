"""What can be wrong with a playlist or a segment. Words and numbers; never a URL."""

from typing import Literal

Remux = Literal["fmp4", "audio_group", "packed_audio", "sample_aes"]


class PlaylistInvalid(Exception):
    """Not a playlist we can follow. `line` counts from 1; 0 is the playlist as a whole."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


class PlaylistTooBig(Exception):
    """A bound was passed."""

    def __init__(self, what: str, count: int, limit: int) -> None:
        super().__init__(f"{count} {what}, at most {limit} are read")
        self.what = what
        self.count = count
        self.limit = limit


class NeedsRemux(Exception):
    """Sound HLS, but not MPEG-TS segments with everything in them: a remuxer must make TS of it."""

    def __init__(self, why: Remux) -> None:
        super().__init__(f"MPEG-TS stitching cannot serve this: {why}")
        self.why: Remux = why


class Protected(Exception):
    """Encrypted for a DRM system, which holds the keys."""


class Unfetched(Exception):
    """Something could not be fetched, or not whole. `detail` is a word of the log."""

    def __init__(
        self, detail: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        """`hls_segment_http_404`, `hls_playlist_timeout`, `hls_key_refused`, …"""
        self.status = status
        """The HTTP status, where one came."""
        self.retry_after_s = retry_after_s


class SegmentUnusable(Exception):
    """A segment came, and is not what it should be. `detail` is a word of the log."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        """`hls_not_mpeg_ts`, `hls_no_tables`, `hls_bad_padding`."""
