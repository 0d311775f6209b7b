"""`lineup.db`: edits in a table of their own, beside the listed lineup that comes and goes."""

import asyncio
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from events.ids import ChannelId
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edit_store import EditStore
from plexbridge.lineup.edits import AS_LISTED, Edit
from plexbridge.lineup.edits_in_force import EditsInForce, Wish
from plexbridge.lineup.edits_plan import NumberTaken
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.lineup.given_numbers import GivenNumbers
from plexbridge.lineup.store import LineupStore
from plexbridge.log.driver import sqlite3
from tests.core.edit_rules import LISTED, channel, numbers

WHOLE = Edit(
    enabled=False,
    guide_number="7.1",
    name="Mine' \"; DROP TABLE edits",
    group="",
    logo="",
    favourite=True,
    tvg_id="mine.tv",
    upstreams=("a" * 16, "b" * 16),
)
ONE, TWO = ChannelId("one"), ChannelId("two")
STORED = Lineup(channel(f"{at:016x}", str(at)) for at in range(1, 4))
"""Stored channels have ids like those of real ones."""


def keep(store: LineupStore, lineup: Lineup) -> None:
    """Store a lineup."""
    store.replace(lineup.parts(), lineup.digest, GivenNumbers())


async def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Every field, empty texts too; the file is its owner's alone, whoever made it first."""
    path = tmp_path / "lineup.db"
    store = EditStore(path)
    assert await store.load() == {}
    await store.save({ONE: WHOLE, TWO: Edit(enabled=True)})
    assert await store.load() == {ONE: WHOLE, TWO: Edit(enabled=True)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await store.save({TWO: AS_LISTED})
    assert await store.load() == {ONE: WHOLE}


async def test_a_refresh_leaves_edits_and_edits_leave_the_lineup(tmp_path: Path) -> None:
    """Whichever of the two made the file."""
    for first in ("lineup", "edits"):
        path = tmp_path / f"{first}.db"
        lineups, store = LineupStore(path), EditStore(path)
        if first == "lineup":
            keep(lineups, STORED)
        await store.save({ONE: WHOLE})
        assert lineups.load() == (STORED if first == "lineup" else Lineup.EMPTY)
        for listed in (Lineup((channel("1" * 16, "1"),)), STORED):
            keep(lineups, listed)
            assert lineups.load() == listed
            assert await store.load() == {ONE: WHOLE}


async def test_two_savers_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """A refresh stores its lineup while somebody edits."""
    path = tmp_path / "lineup.db"
    lineups, store = LineupStore(path), EditStore(path)
    keep(lineups, STORED)
    many = Lineup(channel(f"{n:016x}", str(n)) for n in range(1, 2_000))
    edits = {ChannelId(f"e{n}"): Edit(name=str(n)) for n in range(50)}
    saving = asyncio.to_thread(keep, lineups, many)
    await asyncio.gather(saving, *(store.save({id_: e}) for id_, e in edits.items()))
    assert lineups.load() == many
    assert await store.load() == edits


async def test_a_file_that_is_none_says_what_is_in_it(tmp_path: Path) -> None:
    """Moving it away would lose what people did."""
    path = tmp_path / "lineup.db"
    path.write_bytes(b"no database" * 1_000)
    for call in (EditStore(path).load(), EditStore(path).save({ONE: WHOLE})):
        with pytest.raises(StoreUnusable, match="what people edited is in this file"):
            await call


class Noted:
    """Events, as they were recorded."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Mapping[str, object]]] = []

    async def note(self, stream: str, type_: str, payload: Mapping[str, object]) -> None:
        """Take one."""
        self.events.append((stream, type_, payload))


async def in_force(path: Path) -> tuple[EditsInForce, Noted]:
    """Edits over `LISTED`."""
    noted = Noted()
    edits = EditsInForce(EditStore(path), note=noted.note)
    await edits.load()
    await edits.serve(LISTED)
    return edits, noted


async def test_a_change_is_stored_in_force_and_recorded_once(tmp_path: Path) -> None:
    """A look changes nothing, nor does a change that is none, nor one that is refused."""
    edits, noted = await in_force(tmp_path / "lineup.db")

    def wish(number: str) -> Wish:
        return lambda *_: {ONE: {"guide_number": number, "favourite": True}}

    await edits.look(wish("9"))
    with pytest.raises(NumberTaken):
        await edits.change(wish("2"), by="x", how="one")
    assert (edits.lineup, noted.events) == (LISTED, [])
    for _ in range(2):
        await edits.change(wish("9"), by="admin", how="one")
    assert numbers(edits.lineup)["one"] == "9"
    [(stream, type_, payload)] = noted.events
    assert (stream, type_, payload["by"]) == ("lineup", "edited", "admin")
    again, _ = await in_force(tmp_path / "lineup.db")
    assert again.lineup == edits.lineup


async def test_what_cannot_be_stored_is_not_in_force(tmp_path: Path) -> None:
    """Players are not given what the next start would not know of."""
    path = tmp_path / "lineup.db"
    edits, noted = await in_force(path)
    await EditStore(path).save({TWO: Edit(name="Other")})
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TRIGGER no BEFORE INSERT ON edits BEGIN SELECT RAISE(ABORT, 'no'); END")
    raw.close()
    with pytest.raises(StoreUnusable):
        await edits.change(lambda *_: {ONE: {"name": "Mine"}}, by="x", how="one")
    assert (edits.lineup, edits.edits, noted.events) == (LISTED, {}, [])


async def test_edits_and_refreshes_at_once_lose_neither(tmp_path: Path) -> None:
    """They take turns."""
    edits, _ = await in_force(tmp_path / "lineup.db")
    other = Lineup((*LISTED.everything, channel("new", "7")))

    async def renamed(name: str) -> None:
        await edits.change(lambda *_: {ONE: {"name": name}}, by="x", how="one")

    await asyncio.gather(*(renamed(str(n)) for n in range(5)), edits.serve(other))
    found = edits.lineup.by_id(ONE)
    assert found is not None
    assert (found.guide_name, len(edits.lineup)) == ("4", 5)
