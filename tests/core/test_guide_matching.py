"""Which guide channel belongs to which lineup channel."""

import time

import pytest

from plexbridge.lineup.guide.job import Wanted
from plexbridge.lineup.guide.matching import Match, match
from plexbridge.lineup.guide.names import country_of, name_key

GUIDE = {
    "bbc1.uk": ("BBC One",),
    "bbc2.uk": ("BBC Two", "BBC 2"),
    "RTL.de": ("RTL",),
    "rtl.nl": ("RTL",),
    "sky1": ("Sky Sports 1",),
    "sky2": ("Sky Sports 2",),
    "disco": ("Discovery Channel",),
    "c4": ("Channel 4",),
    "c4p1": ("Channel 4 +1",),
}


def found(tvg_id: str, name: str) -> Match | None:
    return match([Wanted("x", tvg_id, name)], GUIDE).get("x")


@pytest.mark.parametrize(
    ("tvg_id", "name", "guide_id", "how"),
    [
        ("bbc1.uk", "something else", "bbc1.uk", "id"),
        ("BBC1.UK", "something else", "bbc1.uk", "id_case"),
        ("wrong", "BBC One", "bbc1.uk", "name"),
        ("", "UK: BBC One FHD", "bbc1.uk", "name"),
        ("", "|UK| BBC ONE (1080p)", "bbc1.uk", "name"),
        ("", "[UK] B.B.C. One HEVC", "bbc1.uk", "name"),
        ("", "BBC-2", "bbc2.uk", "name"),
        ("", "NL: RTL HD", "rtl.nl", "name"),
        ("", "DE | RTL", "RTL.de", "name"),
        ("", "RTL", "RTL.de", "name"),
        ("", "Channel 4+1", "c4p1", "name"),
        ("", "Channel 4", "c4", "name"),
        ("", "Discovery Chanel", "disco", "similar"),
    ],
)
def test_the_surest_way_is_taken(tvg_id: str, name: str, guide_id: str, how: str) -> None:
    """Id, id in other case, name without quality and country, one similar name."""
    match_found = found(tvg_id, name)
    assert match_found is not None
    assert (match_found.guide_id, match_found.how) == (guide_id, how)
    assert (match_found.confidence == 100) is (how != "similar")
    assert match_found.confidence >= 92


@pytest.mark.parametrize("name", ["Sky Sports 3", "Sky Sports", "BBC", "", "HD", "4K", "Nothing"])
def test_what_is_not_the_same_is_not_matched(name: str) -> None:
    """A figure makes another channel, however similar the rest is."""
    assert found("", name) is None


def test_what_a_person_chose_goes_before_everything() -> None:
    """Also before the channel's own id and name; nothing chosen is no guide. What this guide does
    not have is looked for as if nothing were chosen, for another may have it."""
    chosen = {
        "other": Wanted("other", "bbc2.uk", "BBC One", chosen=True),
        "none": Wanted("none", "", "BBC One", chosen=True),
        "elsewhere": Wanted("elsewhere", "not.here", "BBC One", chosen=True),
    }
    assert match(chosen.values(), GUIDE) == {
        "other": Match("bbc2.uk", "chosen", 100),
        "elsewhere": Match("bbc1.uk", "name", 100),
    }


def test_two_equally_similar_names_are_none() -> None:
    """A guess between two is wrong half the time."""
    guide = {"a": ("Documentary Naturez",), "b": ("Documentary Naturex",)}
    assert match([Wanted("x", "", "Documentary Nature")], guide) == {}


def test_a_name_of_nothing_but_quality_stays_a_name() -> None:
    """`4K` is also the name of a channel."""
    assert name_key("4K") == "4k"
    assert name_key("UK:") != ""
    assert country_of("USA: HBO") == "us"
    assert country_of("BBC One") == ""


def test_two_hundred_thousand_channels_are_matched_in_seconds() -> None:
    """Linear: half by id, half by name, and none of them found is searched in all."""
    count = 200_000
    guide = {f"id{number}.x": (f"Station {number} West",) for number in range(count)}
    wanted = [
        Wanted(str(number), f"id{number}.x" if number % 2 else "", f"XX: Station {number} West HD")
        for number in range(count)
    ]
    wanted += [Wanted(f"none{number}", "", f"Statiom {number} West") for number in range(1_000)]
    began = time.process_time()
    matches = match(wanted, guide)
    assert time.process_time() - began < 20
    assert all(matches[str(number)].guide_id == f"id{number}.x" for number in range(count))
