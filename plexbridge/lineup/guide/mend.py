"""Text of a guide to XML that a strict parser may be given: no prolog, no references but XML's own.

What stands before the root element is read here and dropped, so that no document type ever reaches
the parser: there are no entities to expand and no files to load, whatever a parser's options do.
Bare `&` and HTML's named characters, which real guides are full of, become what was meant.
"""

import re
from collections.abc import Iterator
from html.entities import html5
from typing import Final

from plexbridge.lineup.guide.errors import GuideFault

PROLOG_CHARS_MAX: Final = 256 * 1024
"""Real prologs have some hundred characters; one with the whole XMLTV DTD in it has 30,000."""

ROOT: Final = "tv"

_HELD_CHARS: Final = 48
"""At the end of a piece, from here on, what may be half of a reference or a CDATA mark waits for
the next piece. The longest name of an HTML character has 33."""

_OPEN: Final = "<![CDATA["
_CLOSE: Final = "]]>"
_HALF: Final = re.compile(r"[&<\]]")
_REFERENCE: Final = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos);)"
    r"(?:#(?P<decimal>[0-9]{1,8});|#[xX](?P<hex>[0-9a-fA-F]{1,7});|(?P<name>[A-Za-z][A-Za-z0-9]{0,33};))?"
)
_ESCAPED: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}

_ASK: Final = "check the URL and the login in it"
_SPACE: Final = re.compile(r"\s*")
_ELEMENT: Final = re.compile(r"<([A-Za-z_][\w.:-]{0,40})(?=[\s/>])")
_MISC: Final = (("<?", "?>"), ("<!--", "-->"))
_DOCTYPE: Final = re.compile(r"<!DOCTYPE\b", re.IGNORECASE)
_IN_DOCTYPE: Final = re.compile(r"\"[^\"]*\"|'[^']*'|<!--.*?-->|[\[\]>]", re.DOTALL)


def without_prolog(texts: Iterator[str]) -> Iterator[str]:
    """From the root element on; line ends before it are kept, so that lines count as they were.

    Raises:
        GuideFault: something else than XMLTV, or a document type that declares entities.
    """
    head = ""
    for text in texts:
        head += text
        root = _root_at(head)
        if root is not None and root <= PROLOG_CHARS_MAX:
            yield "\n" * head.count("\n", 0, root)
            yield head[root:]
            yield from texts
            return
        if len(head) > PROLOG_CHARS_MAX:
            raise GuideFault(
                "refused",
                f"begins with more than {PROLOG_CHARS_MAX // 1024} KiB before its first element",
                _ASK,
            )
    raise GuideFault("broken", "ends before its first element", "try again later")


def _root_at(head: str) -> int | None:
    """Where the root element begins; None while that has not come."""
    at = 0
    while True:
        at = _end_of(_SPACE, head, at)
        for opening, closing in _MISC:
            if head.startswith(opening, at):
                end = head.find(closing, at)
                if end < 0:
                    return None
                at = end + len(closing)
                break
        else:
            if _DOCTYPE.match(head, at):
                end_of_type = _doctype_end(head, at)
                if end_of_type is None:
                    return None
                at = end_of_type
                continue
            element = _ELEMENT.match(head, at)
            if element is not None:
                _expect_guide(element[1])
                return at
            if len(head) - at < _HELD_CHARS and head.startswith("<", at):
                return None
            if at == len(head):
                return None
            raise GuideFault("not_a_guide", f"is {_something_else(head[at:])}", _ASK)


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _doctype_end(head: str, at: int) -> int | None:
    inside = False
    for found in _IN_DOCTYPE.finditer(head, at):
        match found[0]:
            case "[":
                inside = True
            case "]":
                inside = False
            case ">" if not inside:
                if "<!ENTITY" in head[at : found.end()]:
                    raise GuideFault(
                        "refused",
                        "declares entities of its own, which a guide has no need of",
                        "check what the provider sends",
                    )
                return found.end()
    return None


def _expect_guide(root: str) -> None:
    if root == ROOT:
        return
    if root.lower() == "html":
        raise GuideFault("not_a_guide", "is a web page", _ASK)
    raise GuideFault("not_a_guide", f"is XML, but not XMLTV: it begins with <{root}>", _ASK)


def _something_else(text: str) -> str:
    if text.startswith("#EXTM3U"):
        return "an M3U playlist"
    if text.startswith(("{", "[")):
        return "JSON, not XMLTV"
    if text.startswith("<"):
        return "not XML"
    return "text or data, not XMLTV"


def mended(texts: Iterator[str]) -> Iterator[str]:
    """The same text with every reference one that XML knows by itself."""
    mending = _Mending()
    held = ""
    for text in texts:
        text = held + text
        half = _HALF.search(text, max(0, len(text) - _HELD_CHARS))
        cut = len(text) if half is None else half.start()
        held = text[cut:]
        yield mending.mend(text[:cut])
    yield mending.mend(held)


class _Mending:
    """Knows whether the text it is at is CDATA, where `&` means itself."""

    def __init__(self) -> None:
        self._in_cdata = False

    def mend(self, text: str) -> str:
        """A piece that ends in no half of a reference or mark."""
        if not self._in_cdata and _OPEN not in text:
            return _REFERENCE.sub(_meant, text) if "&" in text else text
        parts: list[str] = []
        at = 0
        while at < len(text):
            mark = _CLOSE if self._in_cdata else _OPEN
            found = text.find(mark, at)
            end = len(text) if found < 0 else found + len(mark)
            part = text[at:end]
            parts.append(part if self._in_cdata else _REFERENCE.sub(_meant, part))
            if found >= 0:
                self._in_cdata = not self._in_cdata
            at = end
        return "".join(parts)


def _meant(found: re.Match[str]) -> str:
    """What a reference was meant to be."""
    decimal, hexadecimal, name = found.group("decimal", "hex", "name")
    if name is not None:
        character = html5.get(name)
        if character is None:
            return f"&amp;{name}"
        return "".join(_ESCAPED.get(one, one) for one in character)
    if decimal is None and hexadecimal is None:
        return "&amp;"
    number = int(decimal) if decimal is not None else int(hexadecimal, 16)
    return f"&#{number};" if _is_character(number) else ""


def _is_character(number: int) -> bool:
    """XML 1.0, production 2."""
    return (
        number in (9, 10, 13)
        or 0x20 <= number <= 0xD7FF
        or 0xE000 <= number <= 0xFFFD
        or 0x10000 <= number <= 0x10FFFF
    )
