"""What people change in channels: a layer that every refresh is laid under."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.ids import ChannelId
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edits import AS_LISTED, FIELDS, Edit, Edits, apply
from plexbridge.lineup.edits_plan import NumberTaken, UnknownChannel, plan
from plexbridge.lineup.edits_told import consequences, document_of, event_of, plex_hint
from tests.core.edit_rules import LISTED, SECRET, channel, edits, numbers, planned


def test_without_edits_the_lineup_is_the_listed_one() -> None:
    """The same object: nothing is computed for those who change nothing."""
    assert apply(LISTED, {}) is LISTED
    assert apply(LISTED, edits(gone=Edit(name="Elsewhere"))) is LISTED


def test_every_field_of_an_edit_is_laid_over_the_listing() -> None:
    """And the others stay as they are listed."""
    edit = Edit(
        enabled=True,
        guide_number="7.1",
        name="Mine",
        group="Home",
        logo="http://logos/1.png",
        favourite=True,
        tvg_id="mine.tv",
        upstreams=("b".rjust(16, "0"),),
    )
    found = apply(LISTED, edits(one=edit)).by_number("7.1")
    assert found is not None
    assert (found.id, found.guide_name, found.group) == ("one", "Mine", "Home")
    assert (found.logo, found.favourite, found.tvg_id) == ("http://logos/1.png", True, "mine.tv")
    assert [upstream.digest[-1] for upstream in found.upstreams] == ["b", "a"]
    assert numbers(apply(LISTED, edits(one=edit))) == {
        "one": "7.1",
        "two": "2",
        "five": "5",
        "six": "6",
    }


def test_a_disabled_channel_is_kept_and_not_given_to_players() -> None:
    """Neither by number nor by id, unless disabled ones are asked for."""
    lineup = apply(LISTED, edits(two=Edit(enabled=False)))
    assert [one.id for one in lineup.channels] == ["one", "five", "six"]
    assert [one.id for one in lineup.everything] == ["one", "two", "five", "six"]
    assert (len(lineup), lineup.by_number("2"), lineup.by_id(ChannelId("two"))) == (3, None, None)
    assert lineup.by_number("2", disabled=True) is lineup.by_id(ChannelId("two"), disabled=True)
    assert lineup.digest != LISTED.digest


def test_edits_survive_a_refresh_and_an_absence() -> None:
    """A channel that comes back has them again; a new one takes no edited number."""
    made = edits(one=Edit(guide_number="9", name="Mine"))
    without = Lineup(one for one in LISTED.everything if one.id != "one")
    assert numbers(apply(without, made)) == {"two": "2", "five": "5", "six": "6"}
    again = Lineup((*without.everything, channel("one", "9"), channel("new", "10")))
    assert numbers(apply(again, made))["one"] == "9"
    taken = Lineup((*without.everything, channel("one", "1"), channel("new", "9")))
    assert numbers(apply(taken, made)) == {
        "one": "9",
        "two": "2",
        "five": "5",
        "six": "6",
        "new": "1",
    }


def test_a_disabled_channel_gives_its_number_way() -> None:
    """To an enabled one that is edited to it; it has it again when that one leaves."""
    made = edits(one=Edit(enabled=False), two=Edit(guide_number="1"))
    assert numbers(apply(LISTED, made)) == {"one": "2", "two": "1", "five": "5", "six": "6"}
    assert numbers(apply(LISTED, edits(one=Edit(enabled=False)))) == numbers(LISTED)


_EDITS = st.builds(
    Edit,
    enabled=st.sampled_from((None, True, False)),
    guide_number=st.sampled_from((None, "1", "2", "3", "5.1")),
    name=st.sampled_from((None, "Mine")),
)
_LISTINGS = st.dictionaries(
    st.sampled_from("abcdef"), st.sampled_from(("1", "2", "3", "4", "5.1", "6"))
)


@given(_LISTINGS, st.dictionaries(st.sampled_from("abcdef"), _EDITS), st.randoms())
def test_numbers_stay_unique_whatever_is_listed_and_edited(
    listing: dict[str, str], made: dict[str, Edit], random: object
) -> None:
    """No order of the list changes who has which; an edited number of an enabled channel is had by
    somebody enabled who asked for it."""
    unique = {number: id_ for id_, number in listing.items()}
    channels = [channel(id_, number) for number, id_ in unique.items()]
    by_id: Edits = {ChannelId(key): edit for key, edit in made.items()}
    lineup = apply(Lineup(channels), by_id)
    assert numbers(apply(Lineup(reversed(channels)), by_id)) == numbers(lineup)
    for one in lineup.channels:
        asked = by_id.get(one.id, AS_LISTED).guide_number
        if asked is not None:
            holder = lineup.by_number(asked)
            assert holder is not None
            assert by_id.get(holder.id, AS_LISTED).guide_number == asked


def test_a_number_of_another_channel_is_refused_with_both_names() -> None:
    """Whoever holds it, by listing or by edit; and when enabling brings the clash."""
    with pytest.raises(NumberTaken) as taken:
        planned({"one": {"guide_number": "2"}})
    assert (taken.value.guide_number, taken.value.names) == ("2", ("News One", "News Two"))
    with pytest.raises(NumberTaken) as taken:
        planned({"one": {"guide_number": "9"}}, two=Edit(guide_number="9"))
    assert taken.value.names == ("News One", "News Two")
    with pytest.raises(NumberTaken) as taken:
        planned({"one": {"enabled": True}}, one=Edit(enabled=False, guide_number="2"))
    assert taken.value.names == ("News One", "News Two")
    with pytest.raises(NumberTaken):
        planned({"one": {"guide_number": "9"}, "two": {"guide_number": "9"}})
    with pytest.raises(NumberTaken):
        planned({"one": {"enabled": False, "guide_number": "2"}})


def test_two_channels_can_change_their_numbers_in_one_step() -> None:
    """Though neither number is free."""
    found = planned({"one": {"guide_number": "2"}, "two": {"guide_number": "1"}})
    assert numbers(found.lineup) == {"one": "2", "two": "1", "five": "5", "six": "6"}


def test_an_edit_taken_back_is_gone() -> None:
    """Also a switch that is set to how it is listed."""
    edit = Edit(enabled=False, name="Mine")
    found = planned({"one": {"enabled": True, "name": None}}, one=edit)
    assert found.edits == {"one": AS_LISTED}
    assert [one.fields for one in found.changed] == [("enabled", "name")]
    assert found.lineup == LISTED
    assert planned({"one": {"enabled": True, "favourite": False}}).edits == {}


def test_a_channel_that_nobody_lists_cannot_be_edited() -> None:
    """There would be nothing to see of it."""
    with pytest.raises(UnknownChannel, match="nobody"):
        planned({"nobody": {"enabled": False}})


def test_what_an_edit_does_to_viewers_is_said() -> None:
    """In sentences; nothing where nobody would notice."""
    found = planned(
        {"one": {"enabled": False}, "two": {"guide_number": "22"}, "five": {"name": "Ball"}},
        two=Edit(favourite=True),
    )
    assert consequences(found, lambda id_: 2 if id_ == "one" else 0) == [
        "1 channel disappears from players.",
        "1 channel gets another number.",
        "1 channel is called otherwise.",
        "Plex and Jellyfin know of it after their next channel scan.",
        "1 of them is a favourite.",
        "2 viewers are watching now and can go on; nobody can tune to it again.",
    ]
    assert consequences(planned({"one": {"tvg_id": "x"}}), lambda _: 1) == []


def test_neither_the_event_nor_the_answer_holds_an_address() -> None:
    """A logo's URL may be a login as an upstream's is."""
    order = ("b".rjust(16, "0"),)
    found = planned({"one": {"logo": f"{SECRET}/logo.png", "upstreams": order}})
    event = event_of(found, by="admin by session", how="one")
    answer = document_of(found, lambda _: 0, preview=True)
    assert event["changed"] == [
        {
            "id": "one",
            "guide_number": "1",
            "name": "News One",
            "fields": ["logo", "upstreams"],
        }
    ]
    assert (event["by"], event["fields"]) == ("admin by session", ["logo", "upstreams"])
    assert "secret" not in repr((event, answer))


def test_a_change_of_many_names_a_hundred() -> None:
    """The rest is counted."""
    listed = Lineup(channel(str(n), str(n)) for n in range(1, 251))
    patches = {one.id: {"enabled": False} for one in listed.everything}
    event = event_of(plan(listed, listed, {}, patches), by="x", how="bulk")
    assert (event["channels"], len(event["changed"]), event["enabled"]) == (250, 100, 0)


def test_more_than_plex_manages_is_a_hint() -> None:
    """From the 481st on."""
    assert plex_hint(480) is None
    told = plex_hint(481)
    assert told is not None
    assert "480" in told


def test_every_field_has_a_place_in_a_channel() -> None:
    """So that a new one is not forgotten where plans compare."""
    for field in FIELDS:
        assert planned({"one": {field: getattr(_OTHER, field)}}).changed[0].fields == (field,)


_OTHER = Edit(
    enabled=False,
    guide_number="77",
    name="Other",
    group="Other",
    logo="http://other/",
    favourite=True,
    tvg_id="other",
    upstreams=("b".rjust(16, "0"),),
)
