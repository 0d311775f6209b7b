"""Bytes of a playlist to its lines, whatever wrote them.

Knows compression, byte order marks and encodings, and nothing of what the lines mean. Blocking and
hungry: for a worker thread.
"""

import codecs
import zlib
from collections.abc import Iterator

LINE_BYTES_MAX = 64 * 1024
"""The longest line looked at. Real ones stay under 4 KiB (a logo as a data URL under 32); the rest
of a longer line is dropped, and the parser sees by its length that it was cut."""

BODY_BYTES_MAX = 256 * 1024 * 1024
"""A playlist, compressed or not. A million entries with long URLs are 250 MB."""

GZIP_RATIO_MAX = 200
"""Bytes out for one byte in. Playlists reach 30 to 50; a bomb lives at 1,000."""

GZIP_LAYERS_MAX = 2
"""A `.m3u.gz` served with `Content-Encoding: gzip` is compressed twice."""

_GZIP_MAGIC = b"\x1f\x8b"
_RATIO_FREE_BYTES = 1024 * 1024
"""Below this much output the ratio says nothing."""
_STEP_BYTES = 1024 * 1024


class UndecodableBody(Exception):
    """A compressed body that is broken, cut off, or a bomb. The text says which."""


def decode(body: bytes) -> Iterator[str]:
    """The lines of `body`, without their ends; LF, CRLF and lone CR all end a line.

    gzip is known by its magic bytes. UTF-16 and UTF-32 are known by their mark; everything else is
    UTF-8 where a line is valid UTF-8, and Windows-1252 where it is not: line by line, because lists
    are glued together from several.

    Raises:
        UndecodableBody: before the first line.
    """
    for _ in range(GZIP_LAYERS_MAX):
        if body.startswith(_GZIP_MAGIC):
            body = inflate(body)
    return _lines(body)


def inflate(body: bytes) -> bytes:
    """A gzip body (of one or more members) unpacked, within `BODY_BYTES_MAX` and the ratio.

    Raises:
        UndecodableBody: broken, cut off, too big or too dense.
    """
    bytes_out_max = min(BODY_BYTES_MAX, max(_RATIO_FREE_BYTES, len(body) * GZIP_RATIO_MAX))
    unpacked = bytearray()
    rest = body
    while rest.startswith(_GZIP_MAGIC):  # every member takes at least 18 bytes: this ends
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            try:
                unpacked += member.decompress(rest, _STEP_BYTES)
            except zlib.error as error:
                raise UndecodableBody("broken gzip data") from error
            if len(unpacked) > bytes_out_max:
                raise UndecodableBody("gzip data that unpacks to far more than a playlist")
            rest = member.unconsumed_tail
            if not rest and not member.eof:  # a whole member has its trailer waiting until the end
                raise UndecodableBody("gzip data that is cut off")
        rest = member.unused_data
    return bytes(unpacked)


def _lines(body: bytes) -> Iterator[str]:
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if body.startswith(mark):
            body = body.decode(encoding, "replace").encode("utf-8")
            break
    if b"\n" not in body:
        body = body.replace(b"\r", b"\n")
    start = len(codecs.BOM_UTF8) if body.startswith(codecs.BOM_UTF8) else 0
    return _split(body, start)


def _split(body: bytes, start: int) -> Iterator[str]:
    while start < len(body):
        end = body.find(b"\n", start)
        if end < 0:
            end = len(body)
        line = body[start : min(end, start + LINE_BYTES_MAX + 1)]
        start = end + 1
        if len(line) > LINE_BYTES_MAX:
            yield line.decode("latin-1")  # a character for each byte: its length is seen
        elif b"\r" in line:
            for part in line.splitlines() or (b"",):
                yield _text(part)
        else:
            yield _text(line)


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing there
        return line.decode("latin-1")
