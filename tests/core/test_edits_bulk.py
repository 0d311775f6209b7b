"""Changes of many channels: what a request may say, and which numbers come of it."""

from typing import Any

import pytest

from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edits import Edit, apply
from plexbridge.lineup.edits_bulk import bulk_of, patches
from plexbridge.lineup.edits_plan import plan
from plexbridge.lineup.edits_reading import EditInvalid, patch_of
from tests.core.edit_rules import LISTED, channel, edits, numbers


def asked(document: dict[str, Any], lineup: Lineup = LISTED) -> dict[str, Any]:
    """The patches of a request."""
    return {str(key): dict(patch) for key, patch in patches(bulk_of(document), lineup, {}).items()}


def test_fields_are_read_and_cleaned() -> None:
    """As a provider's texts are; null puts a field back."""
    assert patch_of(
        {"guide_number": " 05.10 ", "name": " A\x1b[2J\nB ", "enabled": False, "logo": None}
    ) == {"guide_number": "5.10", "name": "A [2J B", "enabled": False, "logo": None}
    assert patch_of({"guide_number": 7}) == {"guide_number": "7"}
    assert patch_of({"upstreams": ["0" * 16]}) == {"upstreams": ("0" * 16,)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("guide_number", "0"),
        ("guide_number", "5_1"),
        ("guide_number", True),
        ("name", ""),
        ("name", "\n"),
        ("name", "x" * 256),
        ("name", 5),
        ("group", ["x"]),
        ("enabled", "yes"),
        ("favourite", 1),
        ("logo", "javascript:alert(1)"),
        ("logo", "file:///etc/passwd"),
        ("logo", "../x.png"),
        ("logo", "http://h/\r\nX: y"),
        ("logo", "http://[::1"),
        ("upstreams", []),
        ("upstreams", ["x"]),
        ("upstreams", ["0" * 16] * 2),
        ("id", "x"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_by_its_name(field: str, value: object) -> None:
    """And nothing of the request is done."""
    with pytest.raises(EditInvalid) as refused:
        patch_of({"favourite": True, field: value})
    assert refused.value.field == field


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"select": {"all": True}},
        {"select": {}, "set": {"enabled": True}},
        {"select": {"all": False}, "set": {"enabled": True}},
        {"select": {"words": "x"}, "set": {"enabled": True}},
        {"select": {"q": 5}, "set": {"enabled": True}},
        {"select": {"group": 5}, "set": {"enabled": True}},
        {"select": {"enabled": "x"}, "set": {"enabled": True}},
        {"select": {"ids": []}, "set": {"enabled": True}},
        {"select": {"ids": "one"}, "set": {"enabled": True}},
        {"select": {"all": True}, "set": {"name": "All the same"}},
        {"select": {"all": True}, "set": {"number": {"from": 0}}},
        {"select": {"all": True}, "set": {"number": {"from": 1, "groups": {}}}},
        {"select": {"all": True}, "set": {"number": {"groups": {}}}},
        {"select": {"all": True}, "set": {"number": "random"}},
        {"select": {"all": True}, "set": {"number": "listed", "guide_number": None}},
        {"select": {"all": True}, "set": {"enabled": True}, "preview": "yes"},
        {"select": {"all": True}, "set": {"enabled": True}, "dry": True},
        {"each": {}},
        {"each": []},
        {"each": {"one": {}}},
    ],
)
def test_a_request_that_does_not_say_what_it_wants_is_refused(document: object) -> None:
    """Nothing is guessed: an empty selection is not everything."""
    with pytest.raises(EditInvalid):
        bulk_of(document)


def test_a_selection_narrows_by_everything_it_names() -> None:
    """Words, group, ids and switches together."""
    wish = {"enabled": False}
    assert set(asked({"select": {"group": "News"}, "set": wish})) == {"one", "two"}
    assert set(asked({"select": {"q": "sport more"}, "set": wish})) == {"six"}
    assert set(asked({"select": {"q": "news", "ids": ["one", "five"]}, "set": wish})) == {"one"}
    assert asked({"select": {"favourite": True}, "set": wish}) == {}
    assert set(asked({"select": {"all": True}, "set": wish})) == {"one", "two", "five", "six"}


def test_numbers_count_up_in_guide_order_around_those_of_others() -> None:
    """Of enabled channels beside the selection none is taken."""
    document = {"select": {"q": "news"}, "set": {"number": {"from": 5}}}
    assert asked(document) == {"one": {"guide_number": "7"}, "two": {"guide_number": "8"}}
    document = {"select": {"all": True}, "set": {"number": {"from": 5}}}
    assert [patch["guide_number"] for patch in asked(document).values()] == ["5", "6", "7", "8"]


def test_groups_count_up_from_their_own_numbers() -> None:
    """A group that is not named keeps its numbers; two that run into each other go on."""
    document = {
        "select": {"all": True},
        "set": {"number": {"groups": {"News": 100, "Sport": "101"}}},
    }
    found = {id_: patch["guide_number"] for id_, patch in asked(document).items()}
    assert found == {"one": "100", "two": "101", "five": "102", "six": "103"}
    document = {"select": {"all": True}, "set": {"number": {"groups": {"Sport": 1}}}}
    assert {i: p["guide_number"] for i, p in asked(document).items()} == {"five": "3", "six": "4"}


def test_numbers_are_taken_from_disabled_channels() -> None:
    """Who is not given to players does not stand in the way."""
    made = edits(one=Edit(enabled=False))
    served = apply(LISTED, made)
    bulk = bulk_of({"select": {"enabled": True}, "set": {"number": {"from": 1}}})
    found = plan(LISTED, served, made, patches(bulk, served, made))
    assert numbers(found.lineup) == {"two": "1", "five": "2", "six": "3", "one": "4"}


def test_numbers_as_listed_come_back() -> None:
    """`tvg-chno`, where the playlist gives it."""
    made = edits(one=Edit(guide_number="100"), two=Edit(guide_number="101", name="Mine"))
    served = apply(LISTED, made)
    bulk = bulk_of({"select": {"all": True}, "set": {"number": "listed"}})
    found = plan(LISTED, served, made, patches(bulk, served, made))
    assert numbers(found.lineup) == numbers(LISTED)
    assert found.edits == edits(one=Edit(), two=Edit(name="Mine"))


def test_there_are_not_numbers_without_end() -> None:
    """A guide number has six digits."""
    lineup = Lineup((channel("one", "1"), channel("two", "2")))
    with pytest.raises(EditInvalid, match="not enough numbers"):
        asked({"select": {"all": True}, "set": {"number": {"from": 999_999}}}, lineup)
