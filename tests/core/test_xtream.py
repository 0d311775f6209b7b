"""Xtream Codes: what is believed of a panel's answers, and what a person writes down."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from plexbridge.lineup.errors import AccountRefused, LineupError, NotAPlaylist, PlaylistEmpty
from plexbridge.lineup.json_items import ITEM_CHARS_MAX, BrokenJson, items
from plexbridge.lineup.m3u import Entry
from plexbridge.lineup.source import source_of
from plexbridge.lineup.taking import Found
from plexbridge.lineup.xtream import (
    Account,
    Login,
    login_of,
    read_account,
    read_categories,
    take_streams,
)

LOGIN = Login("http://h:8080", "ann", "s/cret")


def pieces(body: bytes, size: int = 7) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def account(**user_info: Any) -> Account:
    return read_account(json.dumps({"user_info": user_info}).encode(), "p")


def taken(*streams: Any) -> tuple[list[Entry], Found]:
    entries: list[Entry] = []
    body = json.dumps(streams).encode()
    found = take_streams(pieces(body), {"1": "News"}, LOGIN, "ts", "p", entries.append)
    return entries, found


@pytest.mark.parametrize(
    ("location", "login"),
    [
        ("xtream+http://ann:s%2Fcret@h:8080", LOGIN),
        ("xtream+http://ann:s%2Fcret@h:8080/", LOGIN),
        ("xtream+https://a:b@h/panel/", Login("https://h/panel", "a", "b")),
        ("xtream+http://a:b@[::1]:1", Login("http://[::1]:1", "a", "b")),
        ("http://h/get.php?username=a&password=b&type=m3u_plus", Login("http://h", "a", "b")),
        ("https://h:1/x/get.php?password=b&username=a%40c", Login("https://h:1/x", "a@c", "b")),
        ("http://h/get.php?username=a", None),
        ("http://h/list.m3u?username=a&password=b", None),
        ("xtream+http://a@h", None),
        ("xtream+http://a:b@", None),
        ("xtream+http://a:b@h:99999", None),
        ("/get.php", None),
        ("http://[", None),
    ],
)
def test_an_account_is_known_by_its_location(location: str, login: Login | None) -> None:
    """Written down as one, or as the playlist of a panel; anything else is none."""
    assert login_of(location) == login


def test_a_login_is_quoted_in_every_url_made_of_it() -> None:
    """In a path and in a query."""
    assert LOGIN.live(7, "ts") == "http://h:8080/live/ann/s%2Fcret/7.ts"
    assert LOGIN.guide == "http://h:8080/xmltv.php?username=ann&password=s%2Fcret"
    assert LOGIN.api("x").endswith("/player_api.php?username=ann&password=s%2Fcret&action=x")


@pytest.mark.parametrize(
    ("said", "connections"),
    [
        ("2", 2),
        (2, 2),
        (2.0, 2),
        ("0", 0),
        (None, 0),
        ("", 0),
        ([], 0),
        (True, 0),
        ("99999", 0),
        (-1, 0),
        ("1e3", 0),
        ("9" * 400, 0),
        (10**30, 0),
        ({"a": 1}, 0),
    ],
)
def test_connections_are_read_however_they_are_written(said: Any, connections: int) -> None:
    """Texts, numbers, nulls; what means "no limit" is none."""
    assert account(auth="1", max_connections=said).max_connections == connections


def test_an_account_says_when_it_ends_and_what_it_gives() -> None:
    """An expiry as text or number or not at all; MPEG-TS unless only HLS is to be had."""
    assert account(auth=1, exp_date="1700000000").expires_at == 1_700_000_000
    assert account(auth=1, exp_date=None).expires_at is None
    assert account(auth=1).extension == "ts"
    assert account(auth=1, allowed_output_formats=["m3u8", "ts"]).extension == "ts"
    assert account(auth=1, allowed_output_formats=["m3u8"]).extension == "m3u8"
    assert account(auth=1, allowed_output_formats={"0": "m3u8"}).extension == "ts"


@pytest.mark.parametrize(
    ("user_info", "says"),
    [
        ({"auth": 0}, "the login is refused"),
        ({"auth": "0"}, "the login is refused"),
        ({"auth": None, "status": "Active"}, "the login is refused"),
        ({"auth": 1, "status": "Expired"}, "the account is expired"),
        ({"auth": 1, "status": "Banned"}, "the account is banned"),
        ({"status": "Disabled"}, "the account is disabled"),
    ],
)
def test_an_account_that_may_not_watch_says_so(user_info: dict[str, Any], says: str) -> None:
    """The login is wrong, or the provider ended it."""
    with pytest.raises(AccountRefused, match=says):
        account(**user_info)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"user_info":[]}',
        b'{"user_info":{}}',
        b"[" * 100000,
        b'{"user_info":"x"}',
        b"\xff\xfe",
        b'{"user_info":{"auth":1',
    ],
)
def test_what_is_no_panel_is_told_as_that(body: bytes) -> None:
    """A web page, an empty list for an object, noise, a cut one, a tower of brackets."""
    with pytest.raises(NotAPlaylist, match="does not answer like an Xtream panel"):
        read_account(body, "p")


def test_streams_become_entries() -> None:
    """Name, number, group, guide id, logo and URL; radio is told; films are left out."""
    entries, found = taken(
        {"num": "5", "name": " A  b ", "stream_id": "9", "category_id": 1, "stream_type": "live"},
        {
            "num": 6,
            "name": "R",
            "stream_id": 8,
            "category_ids": [1],
            "stream_type": "radio_streams",
        },
        {"name": "Film", "stream_id": 7, "stream_type": "movie"},
        {"name": None, "stream_id": 6, "stream_icon": "https://l/6.png", "epg_channel_id": None},
    )
    assert [(one.name, one.number, one.group, one.radio) for one in entries] == [
        ("A b", "5", "News", False),
        ("R", "6", "News", True),
        ("", "", "", False),
    ]
    assert [one.url for one in entries] == [LOGIN.live(number, "ts") for number in (9, 8, 6)]
    assert entries[2].logo == "https://l/6.png"
    assert (found.entries, found.odd_lines, found.guide_urls) == (3, 0, [LOGIN.guide])


@pytest.mark.parametrize(
    "icon", ["file:///etc/passwd", "../x.png", "//h/x", 7, None, "http://h/\rx"]
)
def test_a_logo_that_is_no_web_address_is_none(icon: Any) -> None:
    """Files, paths, line ends."""
    entries, _ = taken({"name": "A", "stream_id": 1, "stream_icon": icon})
    assert entries[0].logo == ""


def test_odd_streams_are_counted_and_cost_no_other() -> None:
    """No object, no id, an id that is a path."""
    entries, found = taken(
        7, None, [], {"name": "A"}, {"stream_id": "../1"}, {"name": "B", "stream_id": 2}
    )
    assert [one.name for one in entries] == ["B"]
    assert found.odd_lines == 5
    assert [odd.line for odd in found.first_odd] == [1, 2, 3, 4, 5]


def test_an_account_without_channels_is_no_lineup() -> None:
    """An empty list in both its forms, and the answer to a refused login."""
    for body in (b"[]", b"{}", b'{"user_info":{"auth":0}}'):
        with pytest.raises(PlaylistEmpty):
            take_streams(pieces(body), {}, LOGIN, "ts", "p", lambda _: None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[{", b'[{"a":1}', b"[nope]", b'"x"', b"7"])
def test_a_list_that_is_broken_or_cut_off_is_refused(body: bytes) -> None:
    """A web page, half a list, a text."""
    with pytest.raises(LineupError, match="its list of channels is"):
        take_streams(pieces(body), {}, LOGIN, "ts", "p", lambda _: None)


def test_categories_are_names_by_id() -> None:
    """A list or an object of them, whatever else stands there."""
    body = b'[{"category_id":1,"category_name":"A"},7,{"category_id":"2","category_name":null}]'
    assert read_categories(pieces(body), "p") == {"1": "A", "2": ""}
    assert read_categories(pieces(b'{"5":{"category_id":"5","category_name":"B"}}'), "p") == {
        "5": "B"
    }


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_json_is_read_item_by_item(size: int) -> None:
    """Wherever the pieces are cut: in an escape, in a character, between items."""
    wanted = [{"a": 'é\u20ac\\"]}'}, {"b": [1, {"c": "x"}]}, 12, "t", None]
    for body in (json.dumps(wanted), json.dumps(wanted, ensure_ascii=False, indent=2)):
        assert list(items(pieces(b"\xef\xbb\xbf" + body.encode(), size))) == wanted
    by_key = json.dumps({str(at): value for at, value in enumerate(wanted)}).encode()
    assert list(items(pieces(by_key, size))) == wanted


@pytest.mark.parametrize("item", [b'"' + b"x" * ITEM_CHARS_MAX, b"[" * ITEM_CHARS_MAX, b"9" * 9000])
def test_an_item_without_end_is_given_up(item: bytes) -> None:
    """A text, a tower of brackets, a number of thousands of digits."""
    body = b"[" + item + b" " * 300_000
    with pytest.raises(BrokenJson):
        list(items(pieces(body + b"x" * ITEM_CHARS_MAX, 65_536)))


# Sources


def test_a_source_says_behind_a_pipe_what_it_wants() -> None:
    """Headers, connections, hours; its id is its location's."""
    plain = source_of("http://h/a.m3u?x=1", b"k")
    source = source_of(
        "http://h/a.m3u?x=1|User-Agent=VLC%2F3&X-Key=a&max-connections=2&refresh-hours=6", b"k"
    )
    assert source.id == plain.id
    assert source.location == "http://h/a.m3u?x=1"
    assert source.headers == (("User-Agent", "VLC/3"), ("X-Key", "a"))
    assert (source.max_connections, source.refresh_hours) == (2, 6)
    assert (plain.max_connections, plain.refresh_hours, plain.headers) == (0, None, ())


def test_sources_are_told_apart_without_their_logins() -> None:
    """Two accounts of one host have two ids; neither id, place nor text shows a login."""
    one, two = (source_of(f"xtream+http://u{n}:secret{n}@h:80", b"k") for n in (1, 2))
    assert one.id != two.id
    for source in (one, two):
        assert source.kind == "xtream"
        assert source.place == "xtream+http://h:80"
        assert "secret" not in f"{source!r} {source.id}"


def test_a_file_is_known_as_one() -> None:
    """By path or `file:` URL; a pipe is part of a path."""
    for location in ("/a|b.m3u", "file:///a.m3u"):
        source = source_of(location, b"k")
        assert source.is_file
        assert source.location == location
        assert source.id.startswith("file-")


@pytest.mark.parametrize(
    "text",
    [
        "xtream+http://h",
        "xtream+http://u@h",
        "http://h/|max-connections=x",
        "http://h/|max-connections=1001",
        "http://h/|refresh-hours=-1",
        "http://h/|refresh-hours=",
    ],
)
def test_what_is_no_source_is_refused_without_being_quoted(text: str) -> None:
    """The line is shown to whoever started the bridge, and may end in a bug report."""
    with pytest.raises(ValueError, match=r"whole number|are missing") as caught:
        source_of(text, b"k")
    assert text not in str(caught.value)
