"""Numbers that were given, in a running bridge's sources: over refreshes, restarts and damage."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plexbridge.lineup.edit_store import EditStore
from plexbridge.lineup.edits import Edit
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.log.driver import open_writer
from tests.service.panel import Panel, panel
from tests.service.sources_rig import Rig, failed_start, rig


@pytest.fixture
async def provider() -> AsyncIterator[Panel]:
    async with panel() as made:
        yield made


def playlist(*names: str) -> bytes:
    entries = (f"#EXTINF:-1,{name}\nhttp://h/{name}\n" for name in names)
    return "".join(("#EXTM3U\n", *entries)).encode()


def numbers(made: Rig) -> dict[str, str]:
    return {one.guide_name: one.guide_number for one in made.sources.lineup.channels}


async def test_numbers_stay_over_refreshes_and_restarts(tmp_path: Path, provider: Panel) -> None:
    """One that vanished in the middle moves nobody, and finds its number when it is back."""
    url = provider.gives("/list.m3u", playlist("a", "b", "c"))
    async with rig(tmp_path, url).running() as made:
        provider.gives("/list.m3u", playlist("a", "c"))
        await made.sources.refresh(made.ids[0])
        assert numbers(made) == {"a": "1", "c": "3"}
    provider.gives("/list.m3u", playlist("new", "a", "b", "c"))
    async with rig(tmp_path, url).running() as made:
        assert numbers(made) == {"a": "1", "b": "2", "c": "3", "new": "4"}


async def test_a_panel_only_counts_its_channels(tmp_path: Path, provider: Panel) -> None:
    """One that is gone changes the count of all that follow, and nobody's number."""
    streams = [
        {"num": at, "name": name, "stream_type": "live", "stream_id": at}
        for at, name in enumerate("abc", start=1)
    ]
    provider.gives_account(streams)
    async with rig(tmp_path, provider.account).running() as made:
        assert numbers(made) == {"a": "1", "b": "2", "c": "3"}
        provider.gives_account([streams[0], {**streams[2], "num": 2}])
        await made.sources.refresh(made.ids[0])
        assert numbers(made) == {"a": "1", "c": "3"}


async def test_a_new_channel_is_not_given_a_number_that_somebody_chose(
    tmp_path: Path, provider: Panel
) -> None:
    """The edited channel has it; its own, as listed, is kept for the day the edit is undone."""
    url = provider.gives("/list.m3u", playlist("a", "b"))
    async with rig(tmp_path, url).running() as made:
        (edited,) = (one.id for one in made.sources.lineup.channels if one.guide_name == "a")
        await EditStore(tmp_path / "lineup.db").save({edited: Edit(guide_number="3")})
        provider.gives("/list.m3u", playlist("a", "b", "new"))
        await made.sources.refresh(made.ids[0])
        assert numbers(made) == {"a": "1", "b": "2", "new": "4"}


async def test_a_damaged_lineup_is_said_to_be_damaged(tmp_path: Path, provider: Panel) -> None:
    """Before any of it is served."""
    url = provider.gives("/list.m3u", playlist("a", "b"))
    async with rig(tmp_path, url).running():
        pass
    connection = open_writer(tmp_path / "lineup.db")
    connection.execute("UPDATE packed SET body = x'00' WHERE name = 'block'")
    connection.close()
    error = await failed_start(rig(tmp_path, url))
    assert isinstance(error, StoreUnusable)
    assert "damaged" in str(error)
