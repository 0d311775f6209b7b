"""From bytes to elements: encodings, what is mended, what is compressed."""

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexbridge.lineup.guide.decode import texts
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.inflate import plain
from plexbridge.lineup.guide.mend import mended, without_prolog
from plexbridge.lineup.guide.parse import elements

GUIDE = '<tv>\n<programme channel="a"><title>Café {}</title></programme>\n</tv>'


def pieces(body: bytes, size: int = 7) -> Iterator[bytes]:
    """A body as it comes from a disk, but in tiny pieces."""
    return (body[at : at + size] for at in range(0, len(body), size))


def titles(body: bytes, size: int = 7) -> list[str]:
    """The titles in a guide."""
    read = mended(without_prolog(texts(plain(pieces(body, size), len(body)))))
    found = elements(read, memory_kib_max=None)
    return [element.findtext("title") or "" for element in found]


@pytest.mark.parametrize(
    "body",
    [
        GUIDE.encode(),
        b"\xef\xbb\xbf" + GUIDE.encode(),
        GUIDE.encode("utf-16"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + GUIDE).encode("utf-16"),
        GUIDE.encode("utf-32"),
        ('<?xml version="1.0" encoding="UTF-8"?>' + GUIDE).encode("latin-1"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>' + GUIDE).encode("latin-1"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>' + GUIDE).encode("utf-8"),
        ('<?xml version="1.0" encoding="rot13"?>' + GUIDE).encode("utf-8"),
        (
            '<?xml version="1.0"?>\n<!-- <tv> & -->\n<!DOCTYPE tv SYSTEM "xmltv.dtd">' + GUIDE
        ).encode(),
        ("<!DOCTYPE tv [<!ELEMENT tv ANY><!-- > ] -->]>" + GUIDE).encode(),
        ("\r\n  " + GUIDE).encode(),
        gzip.compress(GUIDE.encode()),
        gzip.compress(gzip.compress(GUIDE.encode())),
        gzip.compress(GUIDE[:20].encode()) + gzip.compress(GUIDE[20:].encode()) + b"\0\0\0",
        gzip.compress(GUIDE.encode()) + b"garbage",
        lzma.compress(GUIDE.encode()),
        lzma.compress(GUIDE[:20].encode()) + b"\0" * 4 + lzma.compress(GUIDE[20:].encode()),
        gzip.compress(lzma.compress(GUIDE.encode())),
    ],
)
def test_a_guide_is_read_however_it_is_packed(body: bytes) -> None:
    """Compression by magic bytes, encodings by mark, declaration and what is really there."""
    assert titles(body) == ["Café {}"]
    assert titles(body, 1) == ["Café {}"]


@pytest.mark.parametrize(
    ("inside", "read"),
    [
        ("AT&T", "AT&T"),
        ("a & b", "a & b"),
        ("a &amp; b &lt; &#65; &#x42;", "a & b < A B"),
        ("caf&eacute; &nbsp;&hearts;", "café \xa0♥"),
        ("&unknown; &&;", "&unknown; &&;"),
        ("&#0;&#8;&#xFFFF;x&#99999999;", "x"),
        ("\x01\x0bx\ufffe", "x"),
        ("<![CDATA[a & b &amp; <c>]]> &eacute;", "a & b &amp; <c> é"),
        ("&LT;script&GT;", "<script>"),
        ("&" + "x" * 40 + ";", "&" + "x" * 40 + ";"),
    ],
)
def test_references_become_what_was_meant(inside: str, read: str) -> None:
    """Bare ampersands and HTML's names are in every second guide; CDATA stays as it is."""
    body = GUIDE.format(inside).encode()
    for size in (1, 3, 64, 100_000):
        assert titles(body, size) == [f"Café {read}"]


@given(st.text(), st.integers(1, 40))
def test_any_text_in_a_title_is_read_or_refused(text: str, size: int) -> None:
    """Never another exception than a fault, whatever the text and however it is cut."""
    body = GUIDE.replace("{}", text).encode("utf-8", "surrogatepass")
    with suppress(GuideFault):
        assert len(titles(body, size)) <= 1


@given(st.binary(max_size=400), st.integers(1, 40))
def test_any_bytes_are_refused_with_a_line(body: bytes, size: int) -> None:
    """Noise, also behind magic bytes."""
    for start in (b"", b"\x1f\x8b\x08", b"\xfd7zXZ\x00", b"<tv>", b"<!DOCTYPE tv [", b"<?xml "):
        with pytest.raises(GuideFault) as caught:
            titles(start + body, size)
        assert caught.value.fault.isprintable()


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "not_a_guide", "is empty"),
        (b"<!DOCTYPE html>\n<html><body>no</body></html>", "not_a_guide", "is a web page"),
        (b"<rss></rss>", "not_a_guide", "begins with <rss>"),
        (b'{"a": 1}', "not_a_guide", "JSON"),
        (b"#EXTM3U\n", "not_a_guide", "M3U"),
        (b"PK\x03\x04abcdef", "not_a_guide", "ZIP"),
        (bz2.compress(b"<tv/>"), "not_a_guide", "bzip2"),
        (GUIDE.encode()[:-9], "broken", "ends in the middle"),
        (gzip.compress(GUIDE.encode())[:-9], "broken", "cut off"),
        (lzma.compress(GUIDE.encode())[:-9], "broken", "cut off"),
        (GUIDE.format("a < b").encode(), "broken", "at line 2"),
        (b'<!DOCTYPE tv [<!ENTITY a "b">]><tv>&a;</tv>', "refused", "entities"),
        (b"<!DOCTYPE tv [<!ENTITY % a SYSTEM 'file:///x'>%a;]><tv/>", "refused", "entities"),
        (b"<!--" + b"x" * 300_000 + b"--><tv/>", "refused", "256 KiB"),
        (gzip.compress(b"<tv>" + b"<!-- -->\n" * 5_000_000), "refused", "unpacks to more"),
        (b"<tv>" + b"<x>" * 1_000, "refused", "too deep"),
        (b"<tv><x " + b"a=' ' " * 300_000, "refused", "too long"),
        (b"<tv><x>" + b"y" * 2_000_000, "refused", "too long"),
    ],
)
def test_what_is_no_guide_says_so(body: bytes, kind: str, words: str) -> None:
    """Each with its clear line."""
    with pytest.raises(GuideFault) as caught:
        titles(body, 65_536)
    assert caught.value.kind == kind
    assert words in caught.value.fault
