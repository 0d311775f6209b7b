"""Text of a guide to its finished elements, one after the other, in bounded memory.

Knows XML and how lxml is kept from growing. Knows nothing of what the elements say.
"""

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree
from lxml.etree import _Element

from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.memory import resident_kib

CHANNEL: Final = "channel"
PROGRAMME: Final = "programme"

FED_CHARS: Final = 64 * 1024
"""Given to the parser at once: what it makes of it is taken and freed before the next."""

TOKEN_CHARS_MAX: Final = 1024 * 1024
"""From one `<` to the next, which a tag's attributes cannot hold and texts do not. The parser's own
bounds (10 MB for each part of it) stop the rest, but not a tag of a million attributes."""

MEMORY_KIB_MAX: Final = 256 * 1024
"""Resident memory of the process that parses. A guide of 200 MB takes under 100 MiB; only one with
endless children in one element, or endless names, comes here."""

_TOO_LONG: Final = "holds something far too long or too deep"
_ASK: Final = "check what the provider sends"
_HUGE: Final = re.compile(r"huge|too long|too big|limit exceeded|depth", re.IGNORECASE)
_PLACE: Final = re.compile(r",? line [0-9]+, column [0-9]+$")


def elements(texts: Iterator[str], *, memory_kib_max: int | None) -> Iterator[_Element]:
    """Every finished `<channel>` and `<programme>`; each is emptied when the next is asked for.

    `memory_kib_max`: of this whole process, which is not ours alone where it is None.

    Raises:
        GuideFault: not well-formed, cut off, or made to fill our memory.
    """
    parser = etree.XMLPullParser(
        events=("end",),
        tag=(CHANNEL, PROGRAMME),
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    token_chars = 0
    try:
        for text in texts:
            for at in range(0, len(text), FED_CHARS):
                fed = text[at : at + FED_CHARS]
                token_chars = 0 if "<" in fed else token_chars + len(fed)
                if token_chars > TOKEN_CHARS_MAX:
                    raise GuideFault("refused", f"{_TOO_LONG} (one of over 1 MiB)", _ASK)
                parser.feed(fed.encode("utf-8", "replace"))
                yield from _finished(parser)
            if memory_kib_max is not None:
                _check_memory(memory_kib_max)
    except etree.XMLSyntaxError as error:
        raise _fault(error) from error
    try:
        parser.close()
    except etree.XMLSyntaxError as error:  # at the end only: more was to come
        raise _cut_off(error) from error
    yield from _finished(parser)


def _finished(parser: "etree.XMLPullParser") -> Iterator[_Element]:
    for _, element in parser.read_events():
        assert isinstance(element, _Element), "no other events are asked for"
        yield element
        element.clear()
        parent = element.getparent()
        if parent is not None:
            while element.getprevious() is not None:
                del parent[0]


def _check_memory(kib_max: int) -> None:
    if resident_kib() > kib_max:
        raise GuideFault(
            "refused", f"needs more than {kib_max // 1024} MiB of memory to be read", _ASK
        )


def _fault(error: etree.XMLSyntaxError) -> GuideFault:
    said = _PLACE.sub("", " ".join((error.msg or "").split()))[:200]
    line = error.lineno or 0
    if _HUGE.search(said):
        return GuideFault("refused", f"{_TOO_LONG} ({said})", _ASK)
    return GuideFault("broken", f"is broken XML at line {line}: {said}", _ASK)


def _cut_off(error: etree.XMLSyntaxError) -> GuideFault:
    line = error.lineno or 0
    return GuideFault("broken", f"ends in the middle, at line {line}", "try again later")
