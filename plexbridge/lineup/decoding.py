"""Bytes of a playlist to its lines, whatever wrote them, a piece at a time.

Knows compression, byte order marks and encodings, and nothing of what the lines mean. Blocking, and
never the whole body at once: for a worker.
"""

import codecs
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from plexbridge.lineup.unpacking import (
    GZIP_MAGIC,
    PIECE_BYTES,
    GzipBroken,
    bounded,
    gunzipped,
    head_of,
)

LINE_BYTES_MAX = 64 * 1024
"""The longest line looked at. Real ones stay under 4 KiB (a logo as a data URL under 32); the rest
of a longer line is dropped, and the parser sees by its length that it was cut."""

BODY_BYTES_MAX = 256 * 1024 * 1024
"""A playlist, compressed or not. A million entries with long URLs are 250 MB."""

GZIP_RATIO_MAX = 200
"""Bytes out for one byte in. Playlists reach 30 to 50; a bomb lives at 1,000."""

GZIP_LAYERS_MAX = 2
"""A `.m3u.gz` served with `Content-Encoding: gzip` is compressed twice."""

_RATIO_FREE_BYTES = 1024 * 1024
"""Below this much output the ratio says nothing."""
_MARK_BYTES = 4
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class UndecodableBody(Exception):
    """A compressed body that is broken, cut off, or a bomb. The text says which."""


def decode(body: bytes) -> Iterator[str]:
    """The lines of `body`: see `lines_of`."""
    pieces = (body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES))
    return lines_of(pieces, len(body))


def read_pieces(path: Path) -> Iterator[bytes]:
    """What a file holds.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def lines_of(pieces: Iterator[bytes], size_bytes: int) -> Iterator[str]:
    """The lines of a body of `size_bytes`, without their ends; LF, CRLF and lone CR all end a line.

    gzip is known by its magic bytes. UTF-16 and UTF-32 are known by their mark; everything else is
    UTF-8 where a line is valid UTF-8, and Windows-1252 where it is not: line by line, because lists
    are glued together from several.

    Raises:
        UndecodableBody: while the lines are read.
    """
    return _split(_as_utf8(plain(pieces, size_bytes)))


def plain(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """A body of `size_bytes`, unpacked where it is gzip, within `BODY_BYTES_MAX` and the ratio.

    Raises:
        UndecodableBody: while it is read: broken, cut off, too big or too dense.
    """
    bytes_max = min(BODY_BYTES_MAX, max(_RATIO_FREE_BYTES, size_bytes * GZIP_RATIO_MAX))
    for _ in range(GZIP_LAYERS_MAX):
        head, pieces = head_of(pieces, _MARK_BYTES)
        if not head.startswith(GZIP_MAGIC):
            break
        pieces = bounded(_inflated(pieces), bytes_max, _too_dense)
    return pieces


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from gunzipped(pieces)
    except GzipBroken as broken:
        raise UndecodableBody(str(broken)) from broken


def _too_dense() -> UndecodableBody:
    return UndecodableBody("gzip data that unpacks to far more than a playlist")


def _as_utf8(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Wide characters narrowed, marks gone, and LF for a lone CR where nothing else ends lines."""
    head, pieces = head_of(pieces, _MARK_BYTES)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            pieces = _narrowed(pieces, encoding)
            break
    first = b""
    while b"\n" not in first and len(first) <= LINE_BYTES_MAX and (piece := next(pieces, b"")):
        first += piece
    pieces = chain((first.removeprefix(codecs.BOM_UTF8),), pieces)
    if b"\r" in first and b"\n" not in first:
        return (piece.replace(b"\r", b"\n") for piece in pieces)
    return pieces


def _narrowed(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        yield decoder.decode(piece).encode()
    yield decoder.decode(b"", final=True).encode()


def _split(pieces: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()[: LINE_BYTES_MAX + 1]
        for line in lines:
            yield from _texts(line) if b"\r" in line else (_text(line),)
    if rest:
        yield from _texts(rest)


def _texts(line: bytes) -> Iterator[str]:
    """The lines in what stands between two LFs: more than one, where some end with CR alone."""
    if len(line) > LINE_BYTES_MAX:
        yield _text(line)
        return
    for part in line.splitlines() or (b"",):
        yield _text(part)


def _text(line: bytes) -> str:
    if len(line) > LINE_BYTES_MAX:  # a character for each byte: its length is seen
        return line[: LINE_BYTES_MAX + 1].decode("latin-1")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing there
        return line.decode("latin-1")
