"""Long lineups in little memory: the same channels, found the same way; and lists kept as files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.ids import ChannelId, SourceId
from plexbridge.lineup import channels as module
from plexbridge.lineup.assign import Listing, assign
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.entries import EntryFile, EntryWriter
from plexbridge.lineup.m3u import Entry
from plexbridge.lineup.packed import PackedChannels

KEY = b"k" * 32

TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.sampled_from(["", "1", "2", "2.1", "2.10", "007", "999999.9999", "x"])
HEADERS = st.sampled_from([(), (("User-Agent", "a"),), (("User-Agent", "a"), ("X", "b"))])
ENTRIES = st.lists(
    st.builds(
        Entry,
        line=st.just(0),
        name=TEXTS,
        url=st.sampled_from(
            ["http://h/live/u/p/1.ts", "http://h/live/u/p/2.ts", "http://h", "x://é/"]
        ),
        tvg_id=st.sampled_from(["", "a", "b"]),
        number=NUMBERS,
        logo=st.sampled_from(["", "http://l/1.png", "http://l/2.png"]),
        group=TEXTS,
        radio=st.booleans(),
        headers=HEADERS,
    ),
    max_size=30,
)


def channels(entries: list[Entry]) -> tuple[Channel, ...]:
    return tuple(assign([Listing(SourceId("s"), entries)], KEY).everything)


@given(ENTRIES)
def test_packed_channels_are_the_same_channels(entries: list[Entry]) -> None:
    """In guide order whatever the order they came in; found by number and by id."""
    plain = channels(entries)
    for packed in (PackedChannels.of(plain), PackedChannels.of(reversed(plain))):
        assert tuple(packed) == plain
        assert packed[:3] == plain[:3]
        for channel in plain:
            assert packed.by_number(channel.guide_number) == channel
            assert packed.by_id(channel.id) == channel
        for number in ("", "x", "1.1.1", "-1", "01", "77777", "9" * 40):
            assert packed.by_number(number) is None
        for ident in ("", "x", "0", "-1", "f" * 40, "0x1", "1_0"):
            assert packed.by_id(ChannelId(ident)) is None


def test_a_long_lineup_answers_like_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digest, finding, and the disabled ones, which players are not given."""
    some = channels([Entry(0, f"n{at}", f"http://h/{at}") for at in range(100)])
    some = tuple(replace(one, enabled=at % 7 != 0) for at, one in enumerate(some))
    short = Lineup(some)
    monkeypatch.setattr(module, "PACK_ABOVE", 50)
    for order in (some, reversed(some)):
        long = Lineup(order)
        assert isinstance(long.everything, PackedChannels)
        assert long == Lineup(some)
        assert tuple(long.channels) == short.channels
        assert tuple(long.everything) == short.everything
        for one in some:
            for disabled in (False, True):
                assert long.by_id(one.id, disabled=disabled) == short.by_id(
                    one.id, disabled=disabled
                )
                assert long.by_number(one.guide_number, disabled=disabled) == short.by_number(
                    one.guide_number, disabled=disabled
                )


def test_two_channels_with_one_number_are_our_mistake() -> None:
    """Plex would find a single channel."""
    (one,) = channels([Entry(0, "a", "http://h/1")])
    with pytest.raises(AssertionError):
        PackedChannels.of([one, replace(one, id=ChannelId("0" * 16))])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return tmp_path_factory.mktemp("entries")


@given(entries=ENTRIES)
def test_a_list_in_a_file_is_the_same_list(folder: Path, entries: list[Entry]) -> None:
    """Read in order, in any order, and made a lineup of."""
    with EntryWriter(folder / "list") as writer:
        for entry in entries:
            writer.keep(entry)
    with EntryFile(folder / "list") as kept:
        assert list(kept) == entries
        assert [kept[at] for at in range(len(kept))] == entries
        assert list(kept[1:3]) == entries[1:3]
        assert assign([Listing(SourceId("s"), kept)], KEY) == assign(
            [Listing(SourceId("s"), entries)], KEY
        )


def test_the_digest_of_a_list_is_of_what_it_says(tmp_path: Path) -> None:
    """Not of its line numbers; of everything else, and of the order."""

    def digest(*entries: Entry) -> str:
        with EntryWriter(tmp_path / "list") as writer:
            for entry in entries:
                writer.keep(entry)
            return writer.digest

    a, b = Entry(1, "a", "http://h/1"), Entry(3, "b", "http://h/2")
    assert digest(a, b) == digest(a._replace(line=9), b)
    digests = {digest(a, b), digest(b, a), digest(a), digest(a, b._replace(group="g"))}
    assert len(digests) == 4
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o600


def test_a_very_long_entry_is_read_whole(tmp_path: Path) -> None:
    """Longer than one read takes."""
    entry = Entry(0, "a", "http://h/" + "x" * 5_000, headers=(("X", "y" * 2_000),) * 3)
    with EntryWriter(tmp_path / "list") as writer:
        writer.keep(entry)
        writer.keep(entry)
    with EntryFile(tmp_path / "list") as kept:
        assert [kept[1], kept[0]] == [entry, entry]
