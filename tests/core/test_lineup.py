"""From entries to a lineup: one channel or several, ids that stay, numbers that are unique, and
what may be shown of a URL."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.ids import ChannelId, SourceId
from plexbridge.lineup.assign import UPSTREAMS_MAX, Listing, assign
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.m3u import Entry
from plexbridge.lineup.numbering import guide_number
from plexbridge.lineup.redact import digest, redact

KEY = b"a secret of this installation"


def entry(
    name: str = "", url: str = "", *, tvg_id: str = "", number: str = "", group: str = ""
) -> Entry:
    url = url or f"http://host/{name or 'x'}.ts"
    return Entry(line=1, name=name, url=url, tvg_id=tvg_id, number=number, group=group)


def lineup(*entries: Entry, source: str = "a") -> Lineup:
    return assign([Listing(SourceId(source), entries)], KEY)


def numbered(made: Lineup) -> list[tuple[str, str]]:
    return [(channel.guide_number, channel.guide_name) for channel in made.channels]


def id_of(made: Lineup, name: str) -> ChannelId:
    (channel,) = [channel for channel in made.channels if channel.guide_name == name]
    return channel.id


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", "5"),
        ("5.1", "5.1"),
        ("007", "7"),
        ("5.10", "5.10"),
        ("5.01", "5.1"),
        ("0", None),
        ("", None),
        ("5_1", None),
        ("5-1", None),
        ("5.", None),
        (".5", None),
        ("-1", None),
        ("5.1.2", None),
        ("٥", None),
        ("1" * 40, None),
        ("5\n", None),
    ],
)
def test_a_guide_number_is_digits_with_at_most_one_dot(text: str, number: str | None) -> None:
    """Never `_`, at which Jellyfin splits; `0` is what lists write for none."""
    assert guide_number(text) == number


def test_numbers_of_the_list_are_kept_and_the_rest_get_free_ones() -> None:
    """Whoever asks for a number has it, wherever it stands; the others count around them."""
    made = lineup(
        entry("a"), entry("b", number="2"), entry("c"), entry("d", number="no"), entry("e")
    )
    assert numbered(made) == [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"), ("5", "e")]


def test_a_number_asked_for_twice_is_given_once() -> None:
    """With duplicates Plex finds a single channel; the second gets a free one."""
    made = lineup(entry("a", number="5"), entry("b", number="5"), entry("c", number="05"))
    assert numbered(made) == [("1", "b"), ("2", "c"), ("5", "a")]


def test_channels_stand_in_the_order_of_their_numbers() -> None:
    """As numbers, not as text: 5, 5.1, 5.2, 5.10, 6, 50."""
    wanted = ["50", "5.10", "6", "5.2", "5", "5.1"]
    made = lineup(*(entry(f"n{number}", number=number) for number in wanted))
    assert [channel.guide_number for channel in made.channels] == [
        "5",
        "5.1",
        "5.2",
        "5.10",
        "6",
        "50",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (entry("N", "http://h/1", tvg_id="n"), entry("N", "http://h/2", tvg_id="n")),
        (entry("N", "http://h/1", number="5"), entry("N", "http://h/2", number="5")),
        (entry("N", "http://h/1", group="G"), entry("N", "http://h/2", group="G")),
        (
            entry("N", "http://h/1", tvg_id="n", number="5"),
            entry("N", "http://h/2", tvg_id="", number="5"),
        ),
    ],
    ids=["id and name", "number and name", "name and group", "number and name, one with id"],
)
def test_entries_that_are_the_same_channel_are_its_backups(first: Entry, second: Entry) -> None:
    """One channel with two upstreams, in the order of the list."""
    (channel,) = lineup(first, second).channels
    assert [upstream.url for upstream in channel.upstreams] == ["http://h/1", "http://h/2"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (entry("N HD", tvg_id="n"), entry("N SD", tvg_id="n")),
        (entry("N", "http://h/1", tvg_id="n"), entry("N", "http://h/2", tvg_id="m")),
        (entry("N", "http://h/1", number="5"), entry("N", "http://h/2", number="6")),
        (entry("N", "http://h/1", group="UK"), entry("N", "http://h/2", group="US")),
        (entry("", "http://h/1"), entry("", "http://h/2")),
    ],
    ids=["id alone", "name, other id", "name, other number", "name, other group", "no name"],
)
def test_entries_that_only_resemble_each_other_are_channels(first: Entry, second: Entry) -> None:
    """HD and SD of a station share their tvg-id; stations of two countries share a name."""
    assert len(lineup(first, second)) == 2


def test_the_same_url_again_is_no_backup() -> None:
    """A line that a list holds twice changes nothing."""
    (channel,) = lineup(entry("N", "http://h/1"), entry("N", "http://h/1")).channels
    assert len(channel.upstreams) == 1


def test_the_same_channel_of_another_source_is_a_backup() -> None:
    """The earlier source is preferred, and each upstream knows its account."""
    entries = entry("N", "http://a/1", tvg_id="n"), entry("N", "http://b/1", tvg_id="n")
    made = assign([Listing(SourceId(s), [e]) for s, e in zip("ab", entries, strict=True)], KEY)
    (channel,) = made.channels
    assert [upstream.source for upstream in channel.upstreams] == ["a", "b"]


def test_a_channel_has_a_bounded_number_of_upstreams() -> None:
    """What is over becomes channels of its own, each with an id of its own."""
    count = UPSTREAMS_MAX * 3
    made = lineup(*(entry("N", f"http://h/{n}") for n in range(count)))
    assert [len(channel.upstreams) for channel in made.channels] == [UPSTREAMS_MAX] * 3


def test_an_id_is_sixteen_hex_digits() -> None:
    """It stands in addresses: `/stream/{id}`."""
    assert re.fullmatch(r"[0-9a-f]{16}", id_of(lineup(entry("N")), "N"))


def test_an_id_stays_when_token_number_order_and_neighbours_change() -> None:
    """The same channel after the next refresh, though the provider changed everything around."""
    before = lineup(
        entry("A", "http://h/old/1.ts", tvg_id="a", number="7"), entry("B", "http://h/old/2.ts")
    )
    after = lineup(
        entry("New"), entry("B", "http://h/new/2.ts"), entry("A", "http://x/y", tvg_id="a")
    )
    assert id_of(before, "A") == id_of(after, "A")
    assert id_of(before, "B") == id_of(after, "B")


def test_an_id_stays_when_the_provider_decorates_a_name() -> None:
    """A tvg-id is what a channel is known by, where there is one."""
    before, after = lineup(entry("A", tvg_id="a")), lineup(entry("A ◉", tvg_id="a"))
    assert before.channels[0].id == after.channels[0].id


def test_channels_known_by_the_same_keep_their_ids_in_any_order() -> None:
    """HD and SD with one tvg-id: the order of the list has no say in whose id is whose."""
    hd, sd, uhd = (entry(name, tvg_id="n") for name in ("N HD", "N SD", "N 4K"))
    one, other = lineup(hd, sd, uhd), lineup(uhd, sd, hd)
    assert {c.guide_name: c.id for c in one.channels} == {
        c.guide_name: c.id for c in other.channels
    }
    assert len({channel.id for channel in one.channels}) == 3


def test_the_same_channel_at_two_sources_has_two_ids() -> None:
    """An id belongs to the account it came with."""
    assert (
        lineup(entry("N"), source="a").channels[0].id
        != lineup(entry("N"), source="b").channels[0].id
    )


def test_an_entry_without_any_name_is_named_after_its_number() -> None:
    """Never after its URL, which may be a login; known by the end of its path, token or not."""
    before = lineup(entry(url="http://h/user/pass/77.ts")).channels[0]
    after = lineup(entry(url="http://h/user/other/77.ts")).channels[0]
    assert before.guide_name == "Channel 1"
    assert before.id == after.id


def test_a_channel_is_found_by_number_and_by_id() -> None:
    """And what is not there is nothing."""
    made = lineup(entry("a", number="5.1"), entry("b"))
    channel = made.by_number("5.1")
    assert channel is not None
    assert made.by_id(channel.id) is channel
    assert made.by_number("5.2") is None
    assert made.by_id(ChannelId("0" * 16)) is None


def test_the_empty_lineup_is_one() -> None:
    """Before anything was read there is nothing, and that can be asked too."""
    assert len(Lineup.EMPTY) == 0
    assert lineup() == Lineup.EMPTY
    assert Lineup.EMPTY.by_number("1") is None


def test_the_digest_tells_whether_anything_changed() -> None:
    """The same list gives the same digest; a name, a number, a URL or a header another one."""
    plain = entry("a", "http://h/1", number="1")
    same, others = (
        lineup(plain),
        [
            lineup(plain._replace(name="b")),
            lineup(plain._replace(number="2")),
            lineup(plain._replace(url="http://h/2")),
            lineup(plain._replace(headers=(("User-Agent", "x"),))),
            lineup(plain._replace(group="g")),
            Lineup.EMPTY,
        ],
    )
    assert lineup(plain).digest == same.digest
    digests = {other.digest for other in others} | {same.digest}
    assert len(digests) == len(others) + 1


def test_a_lineup_never_holds_a_number_or_an_id_twice() -> None:
    """That is our own promise: to break it is our own fault."""
    channel = lineup(entry("a")).channels[0]
    with pytest.raises(AssertionError):
        Lineup([channel, channel])


_texts = st.sampled_from(["", "a", "b", "A"])
_entries = st.builds(
    entry,
    name=_texts,
    url=st.sampled_from(["http://h/u/p/1.ts", "http://h/u/q/1.ts", "http://[bad", "http://h"]),
    tvg_id=_texts,
    number=st.sampled_from(["", "1", "2", "1.1", "x"]),
    group=_texts,
)


@given(st.lists(_entries, max_size=40))
def test_whatever_a_list_repeats_ids_and_numbers_are_unique(entries: Sequence[Entry]) -> None:
    """And every channel has an upstream and a name, and no URL is lost."""
    made = lineup(*entries)
    channels: tuple[Channel, ...] = made.channels
    assert all(channel.upstreams and channel.guide_name for channel in channels)
    assert all("_" not in channel.guide_number for channel in channels)
    assert {u.url for c in channels for u in c.upstreams} == {e.url for e in entries}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h:8080/live/USER/PASS/123.ts", "http://h:8080/live/***/***/123.ts"),
        ("http://h/USER/PASS/123", "http://h/***/***/123"),
        ("http://h/timeshift/USER/PASS/60/2024/1.ts", "http://h/timeshift/***/***/***/***/1.ts"),
        ("http://h/play/TOKEN/ts", "http://h/play/***/ts"),
        ("http://h/TOKEN", "http://h/***"),
        ("http://h/TOKEN.m3u8", "http://h/***.m3u8"),
        ("http://h/a.TOKEN.m3u8", "http://h/***"),
        ("http://h/x.TOKENTOKEN", "http://h/***"),
        ("http://h/TOKEN/", "http://h/***/"),
        (
            "http://h/get.php?username=USER&password=PASS&type=m3u",
            "http://h/get.php?username=***&password=***&type=***",
        ),
        ("http://h/1.ts?TOKEN", "http://h/1.ts?***"),
        ("http://h/1.ts?" + "a=TOKEN&" * 20, "http://h/1.ts?" + "a=***&" * 8 + "…"),
        ("http://USER:PASS@h/1.ts", "http://h/1.ts"),
        ("http://USER:P@SS@h/1.ts", "http://h/1.ts"),
        ("http://USER:PASS@h", "http://h"),
        ("http://USER:TOKEN", "http://***"),
        ("http://h/1.ts#TOKEN", "http://h/1.ts"),
        ("http://[::1]:80/live/1.ts", "http://[::1]:80/live/1.ts"),
        ("HTTPS://h/1.ts", "https://h/1.ts"),
        ("http://h", "http://h"),
        ("http://h/", "http://h/"),
        ("http://h?TOKEN=PASS", "http://h?TOKEN=***"),
        ("/home/me/list.m3u", "/home/me/list.m3u"),
        ("file:///home/me/list.m3u", "file:///home/me/list.m3u"),
        ("://TOKEN", "***"),
    ],
)
def test_of_a_url_only_what_is_harmless_is_shown(url: str, shown: str) -> None:
    """Scheme, host, known words, stream numbers, extensions, names of parameters."""
    assert redact(url) == shown


@given(
    st.sampled_from(
        [
            "http://{}@h/x/1.ts",
            "http://{}:x@h/",
            "http://h/{}",
            "http://h/{}/",
            "http://h/{}/1.ts",
            "http://h/live/a/{}/1.ts",
            "http://h/1.ts?{}",
            "http://h/1.ts?k={}",
            "http://h/1.ts#{}",
        ]
    ),
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=11, max_size=40),
)
def test_a_secret_is_never_shown_wherever_a_url_holds_it(form: str, secret: str) -> None:
    """Any word of eleven letters and digits or more, in each of the places of a login."""
    if secret in ("player_api", "chunklist", "timeshift"):
        return
    assert secret not in redact(form.format(secret))


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    """Playlists hold anything; what is shown never has a fragment or a user in it."""
    for url in (f"http://{text}", f"http://h/{text}"):
        shown = redact(url)
        assert "#" not in shown
        assert "@" not in shown
    redact(text)


def test_a_digest_tells_urls_apart_and_needs_the_key() -> None:
    """16 hex digits, the same at every start, useless without the secret."""
    assert re.fullmatch(r"[0-9a-f]{16}", digest("http://h/1", KEY))
    assert digest("http://h/1", KEY) == digest("http://h/1", KEY)
    assert digest("http://h/1", KEY) != digest("http://h/2", KEY)
    assert digest("http://h/1", KEY) != digest("http://h/1", b"another")


def test_upstreams_carry_their_redacted_form_and_headers() -> None:
    """What is shown is made once, when the lineup is."""
    given_ = entry("N", "http://h/live/USER/PASS/1.ts")._replace(headers=(("User-Agent", "x"),))
    (upstream,) = lineup(given_).channels[0].upstreams
    assert upstream.redacted == "http://h/live/***/***/1.ts"
    assert upstream.headers == {"User-Agent": "x"}
    assert upstream.digest == digest(upstream.url, KEY)
