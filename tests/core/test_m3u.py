"""Playlists as they are met: what each dialect means, and what cannot be used."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexbridge.lineup import decoding
from plexbridge.lineup.decoding import UndecodableBody, decode
from plexbridge.lineup.m3u import Entry, Header, OddLine, parse_m3u

URL = "http://host/1.ts"


def items(text: str) -> list[Entry | OddLine | Header]:
    return list(parse_m3u(text.split("\n")))


def entry(text: str) -> Entry:
    (found,) = [item for item in items(text) if isinstance(item, Entry)]
    return found


def odd(text: str) -> list[tuple[int, str]]:
    return [(item.line, item.what) for item in items(text) if isinstance(item, OddLine)]


def test_an_entry_carries_what_its_attributes_say() -> None:
    """The whole vocabulary of a usual list, keys in any case."""
    found = entry(
        "#EXTM3U\n"
        '#EXTINF:-1 TVG-ID="bbc1.uk" tvg-name="BBC1" tvg-chno="101" tvg-logo="http://l/b.png" '
        'group-title="UK",BBC One\n'
        f"{URL}"
    )
    assert found == Entry(
        line=3,
        name="BBC One",
        url=URL,
        tvg_id="bbc1.uk",
        tvg_name="BBC1",
        number="101",
        logo="http://l/b.png",
        group="UK",
    )


@pytest.mark.parametrize(
    ("info", "tvg_id", "group", "name"),
    [
        ('-1 tvg-id="a" group-title="b",N', "a", "b", "N"),
        ("-1 tvg-id='a' group-title='b c',N", "a", "b c", "N"),
        ("-1 tvg-id=a group-title=b,N", "a", "b", "N"),
        ('-1 tvg-id= group-title="b",N', "", "b", "N"),
        ('-1 tvg-id="" group-title="b",N', "", "b", "N"),
        ("0,N", "", "", "N"),
        (" -1 ,N", "", "", "N"),
        ('10.5 tvg-id="a", N ', "a", "", "N"),
        ('-1,tvg-id="a" group-title="b",N', "a", "b", "N"),
        ('-1 tvg-id="a", group-title="b",N', "a", "b", "N"),
        ('-1 tvg-id="a"  \tgroup-title="b" ,N', "a", "b", "N"),
        ('-1 tvg-id="a" tvg-id="z" group-title="b;c",N', "a", "b", "N"),
        ('tvg-id="a",N', "a", "", "N"),
        ('-1 channel-id="a",N', "a", "", "N"),
    ],
)
def test_attributes_are_read_however_they_are_quoted(
    info: str, tvg_id: str, group: str, name: str
) -> None:
    """Double, single or no quotes, commas between attributes, doubled keys, several groups."""
    found = entry(f"#EXTINF:{info}\n{URL}")
    assert (found.tvg_id, found.group, found.name) == (tvg_id, group, name)


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ('-1 tvg-id="a",Test, Two "comma"', 'Test, Two "comma"'),
        ('-1 group-title="News, UK",A, B', "A, B"),
        ("-1 group-title='News, UK',A", "A"),
        ('-1,Say "hi"', 'Say "hi"'),
        ("-1,a=b", "a=b"),
        ("-1,,x", ",x"),
        ('-1 tvg-name="The "Best" One" group-title="G",Name', "Name"),
        ('-1 tvg-name="open,Name', "Name"),
        ("-1 tvg-logo=http://l/a.png,Name", "Name"),
        ("-1 some junk,Name", "Name"),
    ],
)
def test_the_name_begins_after_the_first_comma_behind_the_last_attribute(
    info: str, name: str
) -> None:
    """Names keep their commas and quotes; quotes torn inside a value do not reach the name."""
    assert entry(f"#EXTINF:{info}\n{URL}").name == name


def test_an_attribute_behind_torn_quotes_is_still_found() -> None:
    """A value with quotes inside costs its own tail, not the group after it."""
    found = entry(f'#EXTINF:-1 tvg-name="The "Best" One" group-title="G",Name\n{URL}')
    assert found.group == "G"


def test_a_name_is_taken_from_the_attributes_when_the_line_has_none() -> None:
    """`tvg-name` first, then `tvg-id`."""
    assert entry(f'#EXTINF:-1 tvg-id="a" tvg-name="A",\n{URL}').name == "A"
    assert entry(f'#EXTINF:-1 tvg-id="a"\n{URL}').name == "a"


@pytest.mark.parametrize("key", ["tvg-chno", "ch-number", "channel-number", "tvh-chnum"])
def test_every_synonym_of_the_number_is_known(key: str) -> None:
    """The number is kept as it was written."""
    assert entry(f'#EXTINF:-1 {key}="5.1",N\n{URL}').number == "5.1"


def test_a_group_line_stays_in_force_until_the_next_group() -> None:
    """`#EXTGRP` as in Kodi's IPTV Simple; a `group-title` of an entry wins, and ends it."""
    found = items(
        f"#EXTINF:-1,a\n#EXTGRP: One\n{URL}\n"
        f"#EXTINF:-1,b\n{URL}\n"
        f'#EXTINF:-1 group-title="Two",c\n{URL}\n'
        f"#EXTINF:-1,d\n{URL}"
    )
    assert [(e.name, e.group) for e in found if isinstance(e, Entry)] == [
        ("a", "One"),
        ("b", "One"),
        ("c", "Two"),
        ("d", ""),
    ]


@pytest.mark.parametrize(
    ("lines", "headers"),
    [
        ('#EXTINF:-1 http-user-agent="A",N', {"User-Agent": "A"}),
        (
            "#EXTINF:-1,N\n#EXTVLCOPT:http-user-agent=A b\n"
            "#EXTVLCOPT:http-referrer=http://r/?x=1\n#EXTVLCOPT:http-origin=http://o",
            {"User-Agent": "A b", "Referer": "http://r/?x=1", "Origin": "http://o"},
        ),
        ('#EXTINF:-1 http-user-agent="A",N\n#EXTVLCOPT:http-user-agent=B', {"User-Agent": "B"}),
        ("#EXTVLCOPT--http-user-agent=A\n#EXTINF:-1,N", {"User-Agent": "A"}),
        (
            "#EXTINF:-1,N\n#KODIPROP:inputstream.adaptive.stream_headers=User-Agent=A%2Fb&X-K=v",
            {"User-Agent": "A/b", "X-K": "v"},
        ),
        ("#EXTINF:-1,N\n#KODIPROP:inputstream.adaptive.license_key=k", {}),
        ('#EXTINF:-1,N\n#EXTHTTP:{"cookie":"a=b","n":1}', {"cookie": "a=b"}),
        ("#EXTVLCOPT:http-reconnect=true\n#EXTINF:-1,N", {}),
        ('#EXTM3U user-agent="H"\n#EXTINF:-1,N', {"User-Agent": "H"}),
    ],
)
def test_directives_set_the_headers_of_their_entry(lines: str, headers: dict[str, str]) -> None:
    """Before or after `#EXTINF`; `#EXTVLCOPT` beats the attribute, as in Kodi."""
    found = entry(f"{lines}\n{URL}")
    assert dict(found.headers) == headers


def test_headers_of_one_entry_do_not_reach_the_next() -> None:
    """Each entry speaks for itself."""
    found = items(f"#EXTINF:-1,a\n#EXTVLCOPT:http-user-agent=A\n{URL}\n#EXTINF:-1,b\n{URL}")
    assert [e.headers for e in found if isinstance(e, Entry)] == [(("User-Agent", "A"),), ()]


def test_headers_after_a_pipe_belong_to_the_request_not_to_the_url() -> None:
    """Their values are URL-encoded, and they beat what directives said."""
    found = entry(
        f"#EXTINF:-1,N\n#EXTVLCOPT:http-user-agent=V\n{URL}|User-Agent=a%2Fb&Referer=http%3A%2F%2Fr"
    )
    assert found.url == URL
    assert dict(found.headers) == {"User-Agent": "a/b", "Referer": "http://r"}


def test_a_pipe_without_headers_is_part_of_the_url() -> None:
    """Only `name=value` behind a pipe is taken for headers."""
    assert entry(f"#EXTINF:-1,N\n{URL}?a|b").url == f"{URL}?a|b"


def test_a_playlist_cannot_write_our_requests() -> None:
    """Framing and routing headers, line breaks and impossible names are left out."""
    found = entry(
        "#EXTINF:-1,N\n"
        '#EXTHTTP:{"Host":"inside","X-A":"a\\r\\nX-B: b","X C":"c","Transfer-Encoding":"chunked"}\n'
        f"{URL}|content-length=5&connection=close&X-D=%0d%0aX-E:e&Ok=1"
    )
    assert dict(found.headers) == {"Ok": "1"}


def test_the_header_line_names_the_guides() -> None:
    """`x-tvg-url` or `url-tvg`, several parted by commas; what is no URL is left out."""
    (header,) = items('#EXTM3U x-tvg-url="http://g/1.xml, http://g/2.xml.gz,nonsense"')
    assert header == Header(("http://g/1.xml", "http://g/2.xml.gz"), "")
    (header,) = items('#EXTM3U url-tvg="http://g/3.xml"')
    assert header == Header(("http://g/3.xml",), "")


def test_radio_is_marked() -> None:
    """An entry with `radio="true"` carries sound only."""
    assert entry(f'#EXTINF:-1 radio="true",N\n{URL}').radio
    assert not entry(f"#EXTINF:-1,N\n{URL}").radio


def test_a_list_without_a_header_is_read_all_the_same() -> None:
    """Also one that is nothing but URLs."""
    assert [e.url for e in items("http://a/1\n\nhttp://a/2") if isinstance(e, Entry)] == [
        "http://a/1",
        "http://a/2",
    ]


@pytest.mark.parametrize("scheme", ["https", "rtsp", "rtp", "udp", "file", "HTTP"])
def test_every_scheme_is_an_entry(scheme: str) -> None:
    """What can be played is decided by whoever plays."""
    assert entry(f"#EXTINF:-1,N\n{scheme}://x/1").url == f"{scheme}://x/1"


def test_comments_blank_lines_and_unknown_directives_between_are_skipped() -> None:
    """They neither end the entry nor count as odd."""
    found = items(f"#EXTM3U\n\n#EXTINF:-1,N\n# hello\n#EXT-X-SOMETHING:1\n\t \n  {URL}  ")
    assert [type(item) for item in found] == [Header, Entry]


def test_an_entry_without_a_url_is_odd() -> None:
    """Named by the line of its `#EXTINF`, in the middle and at the end of a list."""
    text = f"#EXTM3U\n#EXTINF:-1,a\n#EXTINF:-1,b\n{URL}\n#EXTINF:-1,c"
    assert odd(text) == [(2, "entry without a URL"), (5, "entry without a URL")]
    assert entry(text).name == "b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"#EXTINF:-1,a\n{URL}\n{URL}", (3, "URL without #EXTINF")),
        ("#EXTINF:-1,a\nhttp://h/\x01x", (2, "control character in a URL")),
        (f"#EXTINF:-1,a\n{URL}?{'x' * 8200}", (2, "URL longer than 8 KiB")),
        (f"#EXTINF:-1,a\n#EXTHTTP:nonsense\n{URL}", (2, "#EXTHTTP without a JSON object")),
        ("<html>", (1, "neither a directive nor a URL")),
    ],
)
def test_what_cannot_be_used_is_odd_and_never_quoted(text: str, expected: tuple[int, str]) -> None:
    """The number of the line and what is wrong with it; its text may hold a login."""
    assert odd(text) == [expected]


def test_a_torn_line_before_the_url_does_not_cost_the_channel() -> None:
    """A name with a line break in it leaves a stray line; the URL after it still counts."""
    text = f"#EXTINF:-1,first half\nsecond half\n{URL}"
    assert entry(text).name == "first half"
    assert odd(text) == [(2, "neither a directive nor a URL")]


def test_an_endless_line_is_dropped_alone() -> None:
    """Longer than 64 KiB: odd, and the list goes on."""
    text = f"#EXTM3U {'x' * 70_000}\n#EXTINF:-1,N\n{URL}"
    assert odd(text) == [(1, "line longer than 64 KiB")]
    assert entry(text).name == "N"


def test_names_are_one_clean_line_of_bounded_length() -> None:
    """No control characters, terminal escapes, direction overrides; blanks collapsed; 255 long."""
    dirty = "A\x00B\x1b[31m\u202eC\u2028D  E\r"
    assert entry(f"#EXTINF:-1,{dirty}\n{URL}").name == "A B [31m C D E"
    assert len(entry(f"#EXTINF:-1,{'n' * 300}\n{URL}").name) == 255


def test_names_keep_every_script() -> None:
    """Letters of any language, joiners, and signs."""
    for name in ("Первый канал", "القناة الأولى", "می‌خواهم", "NHK 総合", "UK ◉ ᴴᴰ 👨‍👩‍👧"):
        assert entry(f"#EXTINF:-1,{name}\n{URL}").name == name


@pytest.mark.parametrize("logo", ["file:///etc/passwd", "../x.png", "data:image/png;base64,x"])
def test_a_logo_that_is_no_web_address_is_no_logo(logo: str) -> None:
    """Nothing on this machine is ever fetched for a playlist."""
    assert entry(f'#EXTINF:-1 tvg-logo="{logo}",N\n{URL}').logo == ""


@given(st.lists(st.text(st.characters(exclude_characters="\n")), max_size=30))
def test_no_text_makes_the_parser_fail(lines: list[str]) -> None:
    """Any lines: entries are clean and bounded, everything else is odd or nothing."""
    for item in parse_m3u(lines):
        if isinstance(item, Entry):
            assert item.name.isprintable() or not item.name.isascii()
            assert "\r" not in item.url
            assert len(item.name) <= 255


_DIRECTIVES = ("#EXTM3U", "#EXTINF:-1", "#EXTGRP:", "#EXTHTTP:{", "#KODIPROP:", "#EXTVLCOPT:")
_pieces = st.sampled_from(
    (*_DIRECTIVES, *("\"',= x;\t"), " tvg-id=", "a-b=", "http-user-agent=", "http://h/1", "|A=b")
)


@given(st.lists(st.lists(_pieces, max_size=12).map("".join), max_size=8))
def test_no_shuffled_playlist_makes_the_parser_fail(lines: list[str]) -> None:
    """The same with the pieces that playlists are made of."""
    list(parse_m3u(lines))


@pytest.mark.parametrize(
    "body",
    [
        b"one\ntwo \xc3\xbc\n",
        b"\xef\xbb\xbfone\r\ntwo \xc3\xbc\r\n",
        b"one\rtwo \xfc",
        b"one\rtwo \xfc\n",
        "one\ntwo ü".encode("utf-16"),
        "one\r\ntwo ü".encode("utf-32"),
        gzip.compress("one\ntwo ü".encode()),
        gzip.compress(gzip.compress("one\ntwo ü".encode())),
        gzip.compress(b"one\n") + gzip.compress(b"two \xc3\xbc"),
    ],
)
def test_bytes_become_lines_whatever_wrote_them(body: bytes) -> None:
    """Line ends, byte order marks, encodings, compression."""
    assert list(decode(body)) == ["one", "two ü"]


def test_a_line_in_another_encoding_does_not_spoil_the_others() -> None:
    """Lists are glued together: each line is UTF-8 where it can be, Windows-1252 where not."""
    assert list(decode("ü €\n".encode() + "ü €\n".encode("cp1252"))) == ["ü €", "ü €"]
    assert list(decode(b"\x81")) == ["\x81"]


def test_a_long_list_with_lone_carriage_returns_is_not_one_line() -> None:
    """However far the first line feed is."""
    assert len(list(decode(b"#EXTM3U\r" * 100_000))) == 100_000


def test_a_line_without_end_is_cut() -> None:
    """Only as much as shows that it is too long is looked at."""
    (line,) = decode(b"\xc3\xbc" * 1_000_000)
    assert len(line) == decoding.LINE_BYTES_MAX + 1
    assert list(parse_m3u([line])) == [OddLine(1, "line longer than 64 KiB")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (gzip.compress(bytes(50_000_000)), "unpacks to far more"),
        (gzip.compress(b"#EXTM3U\n" * 100)[:-12], "cut off"),
        (gzip.compress(b"#EXTM3U\n" * 100)[:30] + b"garbage" * 9, "broken"),
    ],
    ids=["bomb", "cut", "broken"],
)
def test_a_broken_archive_is_refused_whole(body: bytes, why: str) -> None:
    """A bomb, a cut or broken one: whoever reads on is told."""
    with pytest.raises(UndecodableBody, match=why):
        list(decode(body))


def test_a_playlist_that_packs_well_is_no_bomb() -> None:
    """A list of one repeated entry unpacks; also when it ends exactly at a step's end."""
    lines = b"#EXTINF:-1,N\nhttp://h/1.ts\n" * 30_000
    assert len(list(decode(gzip.compress(lines)))) == 60_000
    packed = gzip.compress(bytes(2 * decoding.PIECE_BYTES))
    pieces = list(decoding.plain(iter((packed,)), len(packed)))
    assert sum(map(len, pieces)) == 2 * decoding.PIECE_BYTES
    assert max(map(len, pieces)) <= decoding.PIECE_BYTES


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_pieces_do_not_show_in_the_lines(size: int) -> None:
    """Cut anywhere: in a mark, a character, a line end, or the trailer of a gzip member."""
    text = "\ufeff#EXTM3U\r\n#EXTINF:-1,Čt é\nhttp://h/1\n\n#x"
    for body in (
        text.encode(),
        text.encode("utf-16"),
        gzip.compress(text[:9].encode()) + gzip.compress(text[9:].encode()) + b"behind",
    ):
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        lines = [line.strip("\ufeff") for line in decoding.lines_of(pieces, len(body))]
        assert lines == ["#EXTM3U", "#EXTINF:-1,Čt é", "http://h/1", "", "#x"]
