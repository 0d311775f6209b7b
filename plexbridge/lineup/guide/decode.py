"""Plain bytes of a guide to text, whatever was said about its encoding.

Real guides declare one encoding and are in another, and are glued together from several sources.
Knows encodings; nothing of XML but its declaration.
"""

import codecs
import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from plexbridge.lineup.guide.errors import GuideFault

HEAD_BYTES: Final = 64 * 1024
"""Looked at to tell encodings apart: some hundred programmes."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0?\0", "utf-16-le"),
    (b"\0<\0?", "utf-16-be"),
)
_DECLARED: Final = re.compile(
    rb"\s*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']"
)
_KNOWN: Final = re.compile(
    r"(?:iso[-_]?8859|windows|cp|latin|koi8|mac|shift|sjis|euc|gb|big5|us-ascii)[a-z0-9_-]*"
)
"""Encodings of text. Python also has codecs of that kind that are programs of their own."""

_NON_ASCII: Final = re.compile(rb"[\x80-\xff]")
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold, not even escaped."""

_ERRORS: Final = "plexbridge-guide"


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """A byte that is not UTF-8 is Windows-1252; the five that mean nothing there, Latin-1."""
    assert isinstance(error, UnicodeDecodeError), "registered for decoding"
    wrong = error.object[error.start : error.end]
    try:
        return wrong.decode("cp1252"), error.end
    except UnicodeDecodeError:
        return wrong.decode("latin-1"), error.end


codecs.register_error(_ERRORS, _as_windows_1252)


def texts(pieces: Iterator[bytes]) -> Iterator[str]:
    """The text in `pieces`, without its byte order mark and what XML cannot hold.

    Raises:
        GuideFault: there is nothing at all.
    """
    head = b""
    while len(head) < HEAD_BYTES and (piece := next(pieces, b"")):
        head += piece
    if not head or head.isspace():
        raise GuideFault("not_a_guide", "is empty", "check what the provider sends")
    encoding = _encoding(head)
    errors = _ERRORS if encoding == "utf-8" else "replace"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for piece in chain((head,), pieces):
        yield _printable(decoder.decode(piece))
    yield _printable(decoder.decode(b"", True))


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("", text.removeprefix("\ufeff"))


def _encoding(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    declared = _DECLARED.match(head)
    if declared is None:
        return "utf-8"
    name = declared[1].decode("ascii").lower()
    if not _KNOWN.fullmatch(name) or _is_utf8_with_more_than_ascii(head):
        return "utf-8"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "utf-8"


def _is_utf8_with_more_than_ascii(head: bytes) -> bool:
    if not _NON_ASCII.search(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
