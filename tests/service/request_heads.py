"""Request heads as players send them; `{path}` and `{port}` are filled in.

Those of ffmpeg 5.1, VLC 3.0, mpv 0.35, streamlink 5.2, GStreamer 1.22 and curl 7.88 were measured
with Debian 12's programs, and so was the order of Kodi 20.1's requests. Kodi's exact `User-Agent`,
Plex's and Jellyfin's heads are put together from published captures and sources.
"""

from typing import Final


def _head(first: str, *fields: str) -> str:
    return "\r\n".join((first, *fields)) + "\r\n\r\n"


_HOST: Final = "Host: 127.0.0.1:{port}"
_GET: Final = "GET {path} HTTP/1.1"
_LAVF: Final = ("Accept: */*", "Range: bytes=0-", "Connection: close", _HOST, "Icy-MetaData: 1")
_KODI: Final = "User-Agent: Kodi/20.1 (X11; Linux x86_64) Debian/12 App_Bitness/64 Version/20.1"

KODI: Final = _head(
    _GET,
    _HOST,
    "Range: bytes=0-",
    _KODI,
    "Accept: */*",
    "Accept-Encoding: deflate, gzip, br, zstd",
    "Accept-Charset: UTF-8,*;q=0.8",
)

STREAMS: Final[dict[str, str]] = {
    "ffmpeg": _head(_GET, "User-Agent: Lavf/59.27.100", *_LAVF),
    "Plex": _head(_GET, "User-Agent: Lavf/60.16.100", *_LAVF),
    "Plex, an odd build": _head(_GET, "User-Agent: Lavf/LIBAVFORMAT_VERSION", *_LAVF),
    "VLC": _head(
        _GET,
        _HOST,
        "Accept: */*",
        "Accept-Language: en_US",
        "User-Agent: VLC/3.0.24 LibVLC/3.0.24",
        "Range: bytes=0-",
    ),
    "mpv": _head(_GET, "User-Agent: libmpv", *_LAVF),
    "Kodi": KODI,
    "Jellyfin": _head(_GET, _HOST, "User-Agent: Jellyfin-Server/10.10.3", "Accept: */*"),
    "streamlink": _head(
        _GET,
        _HOST,
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/109.0",
        "Accept-Encoding: gzip, deflate",
        "Accept: */*",
        "Connection: keep-alive",
    ),
    "GStreamer": _head(
        _GET,
        _HOST,
        "icy-metadata: 1",
        "User-Agent: GStreamer souphttpsrc 1.22.0 libsoup/3.2.3",
        "Connection: Keep-Alive",
        "Accept-Encoding: identity",
    ),
    "curl": _head(_GET, _HOST, "User-Agent: curl/7.88.1", "Accept: */*"),
    "curl, HTTP/1.0": _head("GET {path} HTTP/1.0", _HOST, "User-Agent: curl/7.88.1", "Accept: */*"),
}
"""For a channel's bytes."""

_PLEX: Final = (
    "User-Agent: PlexMediaServer/1.43.0.10492-121068a07",
    "Accept: */*",
    "Accept-Encoding: gzip",
)

DOCUMENTS: Final[dict[str, str]] = {
    "Plex": _head(_GET, _HOST, *_PLEX),
    "Plex, HTTP/1.0": _head("GET {path} HTTP/1.0", *_PLEX),
    "Jellyfin": _head(
        _GET,
        _HOST,
        "User-Agent: Jellyfin-Server/10.10.3",
        "Accept: application/json; charset=utf-8, */*",
        "Accept-Encoding: gzip, deflate, br",
    ),
    "Kodi": KODI,
}
"""For what the tuner says of itself."""

PLEX_SCAN: Final = _head(
    "POST /lineup.post?scan=start&source=Cable HTTP/1.1",
    _HOST,
    *_PLEX,
    "Content-Length: 0",
    "Content-Type: application/x-www-form-urlencoded",
)

KODI_HEAD: Final = KODI.replace("GET", "HEAD", 1)
