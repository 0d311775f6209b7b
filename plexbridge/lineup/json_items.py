"""A JSON array, or object, to its items, one at a time: a list of 200 MB is never whole in memory.

Pure. Knows JSON's outermost bracket; what an item means is the caller's.
"""

import codecs
import json
from collections.abc import Iterator

ITEM_CHARS_MAX = 1024 * 1024
"""Of one item. A stream's description has under 4,000; a longer one is another kind of document."""

_BLANK = " \t\r\n"


class BrokenJson(Exception):
    """Not an array or object of items, or cut off. The text says which, and quotes nothing."""


def items(pieces: Iterator[bytes]) -> Iterator[object]:
    """The items of an array; of an object, its values: panels send one where keys have gaps.

    Raises:
        BrokenJson: while it is read.
    """
    text = _Text(pieces)
    opening = text.next_char(_BLANK + "\ufeff")
    if opening not in ("[", "{"):
        raise BrokenJson("is no JSON list")
    closing = "]" if opening == "[" else "}"
    text.skip()
    while text.next_char(_BLANK + ",") != closing:
        if closing == "}":
            text.value()  # its key
            text.next_char(_BLANK + ":")
        yield text.value()


class _Text:
    """The text from where we are on, as far as it is needed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._scan = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0

    def skip(self) -> None:
        """Go on behind the character at hand."""
        self._at += 1

    def next_char(self, ignored: str) -> str:
        """The next character that is none of these."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in ignored:
                    return self._text[self._at]
                self._at += 1
            if not self._read_on():
                raise BrokenJson("is JSON that is cut off")

    def value(self) -> object:
        """The value at hand; we are behind it then."""
        while True:
            try:
                found, end = self._scan(self._text, self._at)
            except (ValueError, RecursionError):  # cut off by the piece's end, as far as we know
                end = len(self._text)
            if end < len(self._text):
                self._at = end
                value: object = found
                return value
            if len(self._text) - self._at > ITEM_CHARS_MAX or not self._read_on():
                raise BrokenJson("is broken JSON")

    def _read_on(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._text = self._text[self._at :] + self._decoder.decode(piece)
        self._at = 0
        return True
