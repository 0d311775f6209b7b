"""Finding channels: by words, page by page."""

import pytest

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edits import Edit, apply
from plexbridge.lineup.finding import Filter, find
from plexbridge.relay.ports import Upstream
from plexbridge.web.answers import ApiError
from plexbridge.web.channel_list import (
    channel_document,
    filter_asked,
    selection,
    whole_document,
)
from plexbridge.web.wording import initials

UPSTREAM = Upstream(
    source=SourceId("house"), url="http://u:p@host/1", redacted="http://host/1", digest="0" * 16
)


def lineup(*rows: tuple[str, str, str]) -> Lineup:
    """Channels of number, name and group."""
    return Lineup(
        Channel(
            id=ChannelId(f"{index:016x}"),
            guide_number=number,
            guide_name=name,
            group=group,
            upstreams=(UPSTREAM, UPSTREAM),
        )
        for index, (number, name, group) in enumerate(rows)
    )


ROWS = lineup(
    ("10", "News Ten", "World"),
    ("2", "Sky News", "World"),
    ("5.1", "Straße", "Local"),
    ("5.10", "Sport", "Local"),
)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", ["2", "5.1", "5.10", "10"]),
        ("  news ", ["2", "10"]),
        ("STRASSE", ["5.1"]),
        ("world ten", ["10"]),
        ("5.1", ["5.1", "5.10"]),
        ("nothing", []),
    ],
)
def test_every_word_is_in_number_name_or_group(query: str, numbers: list[str]) -> None:
    """In any order and spelling of case, in the order of guide numbers."""
    found = find(ROWS, Filter(query=query), {}, limit=9)
    assert [channel.guide_number for channel in found.channels] == numbers
    assert (found.matches, found.next_after) == (len(numbers), None)


@pytest.mark.parametrize("query", ["κρητη", "munchen", "MÜNCHEN κρήτη"])
def test_accents_do_not_matter(query: str) -> None:
    """Who looks for a channel may have no key for them."""
    rows = lineup(("7", "Κρήτη TV", "München"), ("8", "Meadow", "Local"))
    found = find(rows, Filter(query=query), {}, limit=9)
    assert [channel.guide_number for channel in found.channels] == ["7"]


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Northern Lights TV", "NL"), ("3sat [Geo-blocked]", "3"), ("Meadow (720p)", "M"), ("", "")],
)
def test_notes_of_providers_are_no_part_of_the_initials(name: str, letters: str) -> None:
    """They stand for a logo."""
    assert initials(name) == letters


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    """Whatever a page holds."""
    for limit in range(1, 6):
        seen: list[str] = []
        after = None
        while True:
            page = find(ROWS, Filter(), {}, after=after, limit=limit)
            assert page.matches == 4
            seen += [channel.guide_number for channel in page.channels]
            after = page.next_after
            if after is None:
                break
        assert seen == ["2", "5.1", "5.10", "10"]


def test_a_number_that_is_gone_is_still_a_place_to_go_on_from() -> None:
    """A refresh between two pages loses nobody."""

    def numbers(after: str | None, limit: int = 9) -> list[str]:
        found = find(ROWS, Filter(), {}, after=after, limit=limit)
        return [channel.guide_number for channel in found.channels]

    assert numbers("5.5") == ["5.10", "10"]
    assert numbers("11") == []
    assert find(ROWS, Filter(), {}, limit=0).next_after is None


def test_switches_and_groups_narrow_what_is_found() -> None:
    """Disabled channels are found too, unless asked otherwise."""
    edits = {ROWS.channels[0].id: Edit(enabled=False, favourite=True)}
    lineup = apply(ROWS, edits)

    def numbers(**wanted: str) -> list[str]:
        found = find(lineup, filter_asked(wanted), edits, limit=9)
        return [channel.guide_number for channel in found.channels]

    assert numbers() == ["2", "5.1", "5.10", "10"]
    assert numbers(enabled="true") == ["5.1", "5.10", "10"]
    assert numbers(enabled="false", group="World") == ["2"]
    assert numbers(favourite="true") == numbers(edited="true") == ["2"]
    assert numbers(edited="false", group="World") == ["10"]
    assert numbers(group="") == []
    with pytest.raises(ApiError):
        filter_asked({"enabled": "maybe"})
    given = {"q": "a b", "group": "", "enabled": "true", "favourite": "false", "edited": "true"}
    assert selection(filter_asked(given)) == {
        "q": "a b",
        "group": "",
        "enabled": True,
        "favourite": False,
        "edited": True,
    }
    assert selection(filter_asked({})) == {"all": True}


def test_a_channel_is_told_of_without_addresses() -> None:
    """One source per upstream; beside it what is edited."""
    channel = ROWS.channels[0]
    edit = Edit(name="Mine")
    document = channel_document(channel, {channel.id: edit})
    assert document["sources"] == ["house", "house"]
    assert document["edits"] == ["name"]
    assert "host" not in str(document)
    whole = whole_document(apply(ROWS, {channel.id: edit}).channels[0], channel, edit)
    assert (whole["name"], whole["listed"]["name"]) == ("Mine", "Sky News")
    assert [one["digest"] for one in whole["upstreams"]] == ["0" * 16] * 2
    assert "u:p" not in str(whole)
