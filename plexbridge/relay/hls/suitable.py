"""Whether a media playlist can be stitched, must be remuxed, or cannot be played at all. Pure."""

from plexbridge.relay.hls.faults import NeedsRemux, PlaylistInvalid, Protected
from plexbridge.relay.hls.playlist import Key, MediaPlaylist

AES_128 = "AES-128"
_IDENTITY = "identity"


def check_stitchable(playlist: MediaPlaylist) -> None:
    """Let a playlist of MPEG-TS segments pass.

    Raises:
        NeedsRemux: there are initialisation sections, or samples encrypted one by one.
        Protected, PlaylistInvalid: as `check_readable`.
    """
    for segment in playlist.segments:
        if segment.key is not None and segment.key.method.startswith("SAMPLE-AES"):
            _check_identity(segment.key)
            raise NeedsRemux("sample_aes")
        if segment.init is not None:
            raise NeedsRemux("fmp4")
    check_readable(playlist)


def check_readable(playlist: MediaPlaylist) -> None:
    """Let a playlist pass whose segments can be fetched as plain bytes.

    Raises:
        Protected: only a DRM system has the keys.
        PlaylistInvalid: an encryption method that RFC 8216 does not know.
    """
    for segment in playlist.segments:
        for key in (segment.key, segment.init.key if segment.init is not None else None):
            if key is None:
                continue
            _check_identity(key)
            if key.method != AES_128 and not key.method.startswith("SAMPLE-AES"):
                raise PlaylistInvalid(0, "an unknown encryption method")


def _check_identity(key: Key) -> None:
    if key.key_format != _IDENTITY:
        raise Protected("the key belongs to a DRM system")
