"""Finding channels: by words, page by page."""

import pytest

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.relay.ports import Upstream
from plexbridge.web.channel_list import channel_document, find

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
    found = find(ROWS, query=query, limit=9)
    assert [channel.guide_number for channel in found.channels] == numbers
    assert (found.matches, found.next_after) == (len(numbers), None)


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    """Whatever a page holds."""
    for limit in range(1, 6):
        seen: list[str] = []
        after = None
        while True:
            page = find(ROWS, after=after, limit=limit)
            assert page.matches == 4
            seen += [channel.guide_number for channel in page.channels]
            after = page.next_after
            if after is None:
                break
        assert seen == ["2", "5.1", "5.10", "10"]


def test_a_number_that_is_gone_is_still_a_place_to_go_on_from() -> None:
    """A refresh between two pages loses nobody."""
    assert [c.guide_number for c in find(ROWS, after="5.5", limit=9).channels] == ["5.10", "10"]
    assert find(ROWS, after="11", limit=9).channels == ()
    assert find(ROWS, limit=0).next_after is None


def test_a_channel_is_told_of_without_addresses() -> None:
    """One source per upstream."""
    document = channel_document(ROWS.channels[0])
    assert document["sources"] == ["house", "house"]
    assert "host" not in str(document)
