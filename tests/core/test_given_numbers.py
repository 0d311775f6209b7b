"""Guide numbers stay where they are, whatever appears or vanishes around them."""

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.ids import SourceId
from plexbridge.lineup import given_numbers as module
from plexbridge.lineup.assign import Assignment, Before, Listing
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.given_numbers import VANISHED_DAYS_MAX, GivenNumbers
from plexbridge.lineup.m3u import Entry
from plexbridge.lineup.numbering import code
from plexbridge.lineup.stored_parts import read_given, read_rows, rows_of

NAMES = "abcdefgh"
SAID = st.sampled_from(["", "1", "2", "3", "2.5", "7"])
NAMED = st.lists(st.sampled_from(NAMES), max_size=len(NAMES), unique=True)
"""A list: channels in an order."""
STATEMENTS = st.fixed_dictionaries(dict.fromkeys(NAMES, SAID))
"""What a list says of each."""
SAYING = st.tuples(NAMED, STATEMENTS)


class Refreshes:
    """One source that is read again and again, as at refreshes and restarts."""

    def __init__(self, *, counted: bool = False, edited: Mapping[str, str] | None = None) -> None:
        self.counted = counted
        self.edited = edited or {}
        self.given = GivenNumbers()
        self.today = 100
        self._ids: dict[str, int] = {}

    def read(self, names: Iterable[str], said: Mapping[str, str] | None = None) -> dict[str, str]:
        """Numbers by name, when these are listed, and what is said of each."""
        numbers = said or {}
        entries = [
            Entry(0, name, f"http://h/{name}", number=numbers.get(name, "")) for name in names
        ]
        edited = {code(number): self._ids.get(name, 0) for name, number in self.edited.items()}
        before = Before(given=self.given, edited=edited, today=self.today)
        made = Assignment([Listing(SourceId("s"), entries, counted=self.counted)], before)
        rows = list(rows_of(made.parts(b"k"), made.given))
        self.given = read_given(row for row in rows if row[0].startswith("given"))
        channels = read_rows(rows).lineup.channels
        assert len({channel.guide_number for channel in channels}) == len(entries)
        self._ids |= {channel.guide_name: int(channel.id, 16) for channel in channels}
        return {channel.guide_name: channel.guide_number for channel in channels}


@given(st.lists(NAMED, max_size=6), STATEMENTS)
def test_a_channel_that_stays_keeps_its_number(
    lists: list[list[str]], said: dict[str, str]
) -> None:
    """Whatever appears, vanishes or changes places around it."""
    source = Refreshes()
    before: dict[str, str] = {}
    for names in lists:
        now = source.read(names, said)
        assert all(now[name] == before[name] for name in now.keys() & before.keys())
        before = now


@given(st.lists(SAYING, max_size=6))
def test_numbers_that_only_count_move_nobody(lists: list[tuple[list[str], dict[str, str]]]) -> None:
    """A panel counts its streams: what it says of one changes when another one goes."""
    source = Refreshes(counted=True)
    before: dict[str, str] = {}
    for names, said in lists:
        now = source.read(names, said)
        assert all(now[name] == before[name] for name in now.keys() & before.keys())
        before = now


@given(st.lists(NAMED, min_size=2, max_size=6))
def test_a_channel_that_comes_back_gets_its_number_back(lists: list[list[str]]) -> None:
    """New ones are given numbers that nobody had, as long as that is remembered."""
    source = Refreshes()
    ever: dict[str, str] = {}
    for names in lists:
        now = source.read(names)
        assert ever | now == now | ever
        ever |= now


@given(SAYING, SAYING)
def test_a_list_that_says_another_number_is_followed(
    first: tuple[list[str], dict[str, str]], then: tuple[list[str], dict[str, str]]
) -> None:
    """Where the number is free; two that exchange theirs have exchanged them."""
    source = Refreshes()
    before = source.read(*first)
    now = source.read(*then)
    for name in now.keys() & before.keys():
        wanted = then[1][name]
        if wanted in ("", first[1][name]):
            assert now[name] == before[name]
        elif wanted not in now.values():
            pytest.fail(f"{name} was not given {wanted}, which is free")


@given(st.lists(SAYING, max_size=5), st.dictionaries(st.sampled_from(NAMES), SAID, max_size=3))
def test_a_number_that_a_person_chose_is_given_to_nobody_else(
    lists: list[tuple[list[str], dict[str, str]]], edits: dict[str, str]
) -> None:
    """Else the edit would push somebody aside at each refresh."""
    source = Refreshes()
    source.read(NAMES)
    chosen = {number: name for name, number in edits.items() if number}
    source.edited = {name: number for number, name in chosen.items()}
    for names, said in lists:
        for name, number in source.read(names, said).items():
            assert chosen.get(number, name) == name


def test_a_removed_channel_leaves_a_gap_and_a_new_one_comes_last() -> None:
    """What a household sees."""
    source = Refreshes()
    assert source.read("abc") == {"a": "1", "b": "2", "c": "3"}
    assert source.read("ac") == {"a": "1", "c": "3"}
    assert source.read("axc") == {"a": "1", "x": "4", "c": "3"}
    assert source.read("abxc") == {"a": "1", "b": "2", "x": "4", "c": "3"}


def test_a_number_waits_for_its_channel_for_some_time_only() -> None:
    """Lists of events lose channels every day; their numbers come free again."""
    source = Refreshes()
    source.read("ab")
    source.read("b")
    source.today += VANISHED_DAYS_MAX
    assert source.read("bc") == {"b": "2", "c": "3"}
    source.today += 1
    source.read("bc")
    assert source.read("bcd") == {"b": "2", "c": "3", "d": "1"}


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last that vanished; a provider may rename everything at each refresh."""
    monkeypatch.setattr(module, "VANISHED_MAX", 2)
    source = Refreshes()
    for day, names in enumerate(("abcd", "bcd", "cd", "d"), start=1):
        source.today = day
        source.read(names)
    assert len(source.given.ids) == 3
    assert source.read("abcd") == {"a": "1", "b": "2", "c": "3", "d": "4"}
    source.read("d")
    assert source.read("dx")["x"] in {"1", "2", "3"}


def test_without_numbers_given_before_nothing_is_known() -> None:
    """An empty list, and an empty memory, are stored and found again."""
    source = Refreshes()
    assert source.read("") == {}
    assert not source.given.ids
    assert Lineup.of_parts(Lineup.EMPTY.parts()) == Lineup.EMPTY
