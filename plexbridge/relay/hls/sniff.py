"""Whether an answer is an HLS playlist. Pure; knows content types and the first line, no more."""

from typing import Final

PLAYLIST_HEAD: Final = b"#EXTM3U"
"""The first line of every playlist (RFC 8216 section 4.3.1.1)."""
_BOM: Final = b"\xef\xbb\xbf"

_CONTENT_TYPES: Final = frozenset(
    {
        "application/vnd.apple.mpegurl",
        "application/mpegurl",
        "application/x-mpegurl",
        "audio/mpegurl",
        "audio/x-mpegurl",
    }
)
_TELLS_NOTHING: Final = frozenset({"", "application/octet-stream", "text/plain"})
"""What servers send when they do not know; there the name in the URL decides."""


def looks_like_hls(content_type: str, url_path: str, head: bytes) -> bool:
    """Whether to read the body as a playlist.

    `head`: the first body bytes, empty when none were read yet; once there are any they alone
    decide, because servers send `.m3u8` addresses that answer with MPEG-TS and the reverse.
    """
    if head:
        return head.removeprefix(_BOM).lstrip()[: len(PLAYLIST_HEAD)] == PLAYLIST_HEAD
    bare = content_type.partition(";")[0].strip().lower()
    if bare in _CONTENT_TYPES:
        return True
    return bare in _TELLS_NOTHING and url_path.lower().endswith((".m3u8", ".m3u"))
