"""Which bytes are a picture that may be shown: by their first bytes, whatever their server says.

Pure. Raster forms only: SVG is a document with scripts.
"""

from typing import Final

_GIF: Final = (b"GIF87a", b"GIF89a")
_WEBP_BYTES: Final = 12


def media_type(body: bytes) -> str | None:
    """The type of a picture; None: none that may be shown."""
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(_GIF):
        return "image/gif"
    if len(body) >= _WEBP_BYTES and body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return None
