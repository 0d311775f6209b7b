"""Taking the last change back: everything as it was, whatever was changed; and back again."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from events.ids import ChannelId
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edits import AS_LISTED, Edit, Edits, apply
from plexbridge.lineup.edits_plan import plan
from plexbridge.lineup.edits_undo import UNDO, last_change, taken_back
from tests.core.edit_rules import channel

LISTED = Lineup(channel(f"id{number}", str(number), group="News") for number in range(1, 6))
FIELD = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["One", "Two", None]),
        "favourite": st.sampled_from([True, False, None]),
        "enabled": st.sampled_from([True, False, None]),
        "tvg_id": st.sampled_from(["", "x", None]),
    },
)
PATCHES = st.dictionaries(st.sampled_from([one.id for one in LISTED.everything]), FIELD)


def made(edits: Edits, patches: Any, how: str = "bulk") -> tuple[Edits, Any]:
    """The edits after a change, and what is kept of it."""
    served = apply(LISTED, edits)
    found = plan(LISTED, served, edits, patches)
    last = last_change(found, edits, by="someone", how=how)
    after = {**edits, **found.edits}
    return {key: edit for key, edit in after.items() if edit != AS_LISTED}, last


@given(PATCHES, PATCHES)
def test_a_change_taken_back_leaves_nothing_of_it(first: Any, second: Any) -> None:
    """And taken back again, it is there again."""
    before, _ = made({}, first)
    after, last = made(before, second)
    undone, last_undo = made(after, taken_back(last, LISTED), UNDO)
    assert undone == before
    redone, _ = made(undone, taken_back(last_undo, LISTED), UNDO)
    assert redone == after


def test_what_is_not_listed_any_more_is_left_as_it_is() -> None:
    """The others are taken back all the same."""
    _, last = made({}, {one.id: {"name": "Mine"} for one in LISTED.everything})
    fewer = Lineup(LISTED.everything[:2])
    assert set(taken_back(last, fewer)) == {one.id for one in fewer.everything}


def test_a_change_is_told_in_words_and_has_an_id_of_its_own() -> None:
    """Who, what and how many; another change has another id."""
    one, two = (ChannelId(LISTED.everything[at].id) for at in (0, 1))
    edits, last = made({}, {one: {"tvg_id": "x"}})
    assert last.words == "1 channel: guide (someone)"
    _, other = made(edits, {one: {"tvg_id": "y"}, two: {"tvg_id": "y"}}, UNDO)
    assert other.words == "2 channels: guide, taken back (someone)"
    assert other.before == {one: Edit(tvg_id="x"), two: AS_LISTED}
    assert last.id != other.id
