"""One programme: what is kept of it, in which order, and what makes it an episode."""

import pytest
from lxml import etree

from plexbridge.lineup.guide.programme import DESC_CHARS_MAX, inner_xml
from plexbridge.lineup.guide.times import parse_time
from tests.core.guide_rules import checked

START = parse_time("20260301200000 +0000") or 0
HOUR_S = 3_600


def kept(inner: str, *, seconds: int | None = HOUR_S) -> etree._Element:
    """What a programme with `inner` in it becomes; valid, or this fails."""
    element = etree.fromstring(f"<programme>{inner}</programme>")
    stop = None if seconds is None else START + seconds
    made = inner_xml(element, START, stop)
    assert made is not None
    root = checked(
        f'<tv><channel id="a.b"><display-name>A</display-name></channel><programme channel="a.b" '
        f'start="20260301200000 +0000" stop="20260301210000 +0000">{made}</programme></tv>'.encode()
    )
    found = root.find("programme")
    assert found is not None
    return found


def numbers(inner: str, *, seconds: int | None = HOUR_S) -> dict[str, str]:
    """Its episode numbers by system."""
    programme = kept(inner, seconds=seconds)
    return {one.get("system") or "": one.text or "" for one in programme.iterfind("episode-num")}


def test_everything_kept_comes_out_in_the_order_of_the_dtd() -> None:
    """Whatever order it came in, and though it came more often than allowed."""
    made = kept(
        "<new/><new/><star-rating><value>4/5</value></star-rating><rating system='MPAA'>PG</rating>"
        "<premiere>first</premiere><previously-shown start='20200101 +0100' channel='x'/><live/>"
        "<episode-num system='dd_progid'>EP01.0002</episode-num>"
        "<episode-num system='xmltv_ns'> 1 . 4/10 . 0/1 </episode-num>"
        "<icon src='https://x.example/a.png?b=1&amp;c=2'/><category lang='de'>Krimi</category>"
        "<date>2021-05-06</date><desc>  two\n lines </desc><credits><actor>A</actor></credits>"
        "<sub-title>Part &lt;1&gt;</sub-title><title lang='en'>A &amp; B</title><video/>"
        "<x:y xmlns:x='z'/>"
    )
    assert [child.tag for child in made] == [
        "title", "sub-title", "desc", "date", "category", "keyword", "icon",
        "episode-num", "episode-num", "episode-num",
        "previously-shown", "premiere", "new", "rating", "star-rating",
    ]  # fmt: skip
    assert made.findtext("title") == "A & B"
    assert made.findtext("sub-title") == "Part <1>"
    assert made.findtext("desc") == "two lines"
    assert made.findtext("date") == "20210506"
    systems = [(one.get("system"), one.text) for one in made.iterfind("episode-num")]
    assert systems == [
        ("xmltv_ns", "1.4/10.0/1"),
        ("onscreen", "S02E05"),
        ("dd_progid", "EP01.0002"),
    ]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<episode-num>S03E07</episode-num>", {"xmltv_ns": "2.6.", "onscreen": "S03E07"}),
        (
            "<episode-num system='onscreen'>Season 1, Episode 12</episode-num>",
            {"xmltv_ns": "0.11.", "onscreen": "Season 1, Episode 12"},
        ),
        (
            "<episode-num system='xmltv_ns'>.7.</episode-num>",
            {"xmltv_ns": ".7.", "onscreen": "E08"},
        ),
        ("<episode-num system='xmltv_ns'>S1</episode-num>", {"onscreen": "S1"}),
        ("<episode-num system='x'>Z</episode-num>", {"x": "Z"}),
        ("<category>News</category>", {"xmltv_ns": "2025.300.", "onscreen": "S2026E0301"}),
        (
            "<sub-title>One</sub-title><date>20200512</date>",
            {"xmltv_ns": "2019.511.", "onscreen": "S2020E0512"},
        ),
        ("", {"xmltv_ns": "2025.300.", "onscreen": "S2026E0301"}),
        ("<category>Movie</category>", {}),
        ("<category lang='de'>Spielfilm / Drama</category>", {}),
    ],
)
def test_a_series_always_has_a_number(inner: str, expected: dict[str, str]) -> None:
    """Without one, Plex takes it for a film; a film gets none."""
    assert numbers(f"<title>T</title>{inner}") == expected


def test_two_hours_without_a_word_may_be_a_film() -> None:
    """Nothing says that it is an episode."""
    assert numbers("<title>T</title>", seconds=2 * HOUR_S) == {}
    assert numbers("<title>T</title>", seconds=None) != {}


def test_no_title_no_programme() -> None:
    """Players need one, and the DTD wants one."""
    for inner in ("", "<title/>", "<title>  \n</title>", "<desc>D</desc>"):
        element = etree.fromstring(f"<programme>{inner}</programme>")
        assert inner_xml(element, START, None) is None


def test_fields_are_bounded() -> None:
    """One field cannot fill a disk, and what is no URL of the web is no icon."""
    made = kept(
        f"<title>{'t' * 9_999}</title><desc>{'word ' * 9_999}</desc>"
        + "<category>C</category>" * 99
        + "<icon src='file:///etc/passwd'/>"
        + "<title lang='&quot;&gt;'>U</title>"
    )
    assert len(made.findtext("desc") or "") <= DESC_CHARS_MAX
    assert len(made.findtext("title") or "") < 1_000
    assert len(made.findall("category")) == 10
    assert made.find("icon") is None
    assert made.findall("title")[1].get("lang") is None
