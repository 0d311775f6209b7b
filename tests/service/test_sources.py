"""Sources in force: read, kept through trouble, asked conditionally, found again at a start."""

import asyncio
import gzip
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.ids import SourceId
from plexbridge.lineup import in_force
from plexbridge.lineup.errors import PlaylistUnreadable
from plexbridge.lineup.in_force import UnknownSource
from tests.service.panel import QUERY, SECRET, Panel, panel, playlist
from tests.service.sources_rig import failed_start, rig, until

LIST = f"/get.php?{QUERY}&type=m3u_plus"


@pytest.fixture
async def provider() -> AsyncIterator[Panel]:
    async with panel() as made:
        yield made


async def test_a_playlist_is_read_at_the_start_and_again_when_it_is_due(
    tmp_path: Path, provider: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a day later, more or less; between that nobody is asked."""
    monkeypatch.setattr(in_force, "LOOK_S", 0.01)
    url = provider.gives("/list.m3u", playlist("a", "b"))
    async with rig(tmp_path, url).running() as made:
        assert made.names() == ["a", "b"]
        due_s = made.status().due_in_s
        assert due_s is not None
        assert 0.9 * 12 * 3600 <= due_s <= 1.1 * 12 * 3600
        provider.gives("/list.m3u", playlist("a", "c"))
        made.clock.advance(due_s - 1)
        await asyncio.sleep(0.1)
        assert len(provider.heads) == 1
        made.clock.advance(2)
        await until(lambda: made.names() == ["a", "c"])
        await until(lambda: len(made.told("refreshed", "lineup")) == 2)
        (_, told) = made.told("refreshed", "lineup")
        assert (told["appeared"], told["vanished"], told["channels"]) == (["c"], ["b"], 2)
        assert (told["appeared_count"], told["vanished_count"]) == (1, 1)
        assert told["digest"] == made.sources.lineup.digest
    assert [len(lineup) for lineup in made.served] == [0, 2, 2]


async def test_what_is_not_new_is_not_fetched(tmp_path: Path, provider: Panel) -> None:
    """By the provider's own word; else by what is in it. Either way nothing is put in force."""
    url = provider.gives("/list.m3u", playlist("a"), etag='"1"')
    async with rig(tmp_path, url).running() as made:
        await made.sources.refresh(made.ids[0])
        assert 'If-None-Match: "1"' in provider.heads[1]
        provider.gives("/list.m3u", b"\n" + playlist("a"))
        await made.sources.refresh(made.ids[0])
        assert [facts["unchanged"] for facts in made.told("refreshed")] == [False, True, True]
        assert len(made.told("refreshed", "lineup")) == 1
        assert len(made.served) == 2
        assert made.status().problem is None


BAD_ANSWERS = {
    "a web page": (b"<!DOCTYPE html><html>Maintenance</html>", "a web page"),
    "nothing": (b"", "is empty"),
    "an empty list": (b"#EXTM3U\n", "holds no channel"),
    "a bomb": (gzip.compress(bytes(60_000_000)), "unpacks to far more"),
    "a cut archive": (gzip.compress(playlist("a", "b", "c", "d") * 50)[:-9], "cut off"),
    "another document": (b'{"user_info":{"auth":0}}', "JSON"),
    "one stream": (b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nhttp://h/1.ts\n", "HLS"),
    "fewer than half": (playlist("a"), "lists 1 channels where there were 4; not taken"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_a_provider_that_answers_with_something_else_changes_nothing(
    tmp_path: Path, provider: Panel, name: str
) -> None:
    """The old lineup serves; the event and the status say why; nothing is left on disk."""
    body, says = BAD_ANSWERS[name]
    url = provider.gives(LIST, playlist("a", "b", "c", "d"))
    async with rig(tmp_path, url).running() as made:
        before = made.sources.lineup
        provider.gives(LIST, body)
        status = await made.sources.refresh(made.ids[0])
        assert says in (status.problem or "")
        assert status.facts is not None
        assert status.facts.entries == 4
        assert made.sources.lineup is before
        assert made.told("refresh_failed")[0]["why"] == status.problem
        assert SECRET not in made.everything_said()
        left = {path.suffix for path in (tmp_path / "sources").iterdir()}
        assert left == {".entries", ".json"}
        provider.gives(LIST, playlist("a", "b", "c", "e"))
        status = await made.sources.refresh(made.ids[0])
        assert status.problem is None
        assert made.names() == ["a", "b", "c", "e"]


@pytest.mark.parametrize("answer", ["500 Sorry", "403 No", "cut"])
async def test_a_provider_that_fails_changes_nothing(
    tmp_path: Path, provider: Panel, answer: str
) -> None:
    """A status, or a connection that breaks off; it is tried again in a minute, then later."""
    url = provider.gives("/list.m3u", playlist("a"))
    async with rig(tmp_path, url).running() as made:
        waits = []
        for _ in range(3):
            if answer == "cut":
                provider.gives("/list.m3u", playlist("a", "b"), cut=10)
            else:
                provider.gives("/list.m3u", b"", status=answer)
            status = await made.sources.refresh(made.ids[0])
            assert status.problem is not None
            assert status.due_in_s is not None
            waits.append(status.due_in_s)
        assert made.names() == ["a"]
        assert 60 <= waits[0] <= 66
        assert 120 <= waits[1] <= 132
        assert 240 <= waits[2] <= 264


async def test_fewer_channels_are_taken_when_a_person_says_so(
    tmp_path: Path, provider: Panel
) -> None:
    """Somebody cancelled a package: the list is what it is. A file is always what it is."""
    url = provider.gives("/list.m3u", playlist("a", "b", "c", "d"))
    file = tmp_path / "list.m3u"
    file.write_bytes(playlist("e", "f", "g", "h"))
    async with rig(tmp_path, url, str(file)).running() as made:
        provider.gives("/list.m3u", playlist("a"))
        assert (await made.sources.refresh(made.ids[0])).problem is not None
        assert (await made.sources.refresh(made.ids[0], accept_fewer=True)).problem is None
        file.write_bytes(playlist("e"))
        assert (await made.sources.refresh(made.ids[1])).problem is None
        assert made.names() == ["a", "e"]


async def test_one_source_that_fails_keeps_no_other_from_being_read(
    tmp_path: Path, provider: Panel
) -> None:
    """At a first start and later; what it listed last goes on being served."""
    good = provider.gives("/good.m3u", playlist("a"))
    bad = provider.url("/bad.m3u")
    async with rig(tmp_path, bad, good).running() as made:
        assert made.names() == ["a"]
        assert "404" in (made.sources.problem or "")
        provider.gives("/bad.m3u", playlist("b"))
        await made.sources.refresh(made.ids[0])
        assert made.names() == ["a", "b"]
        assert made.sources.problem is None
        provider.gives("/bad.m3u", b"", status="500 No")
        provider.gives("/good.m3u", playlist("a", "c"))
        for source in made.ids:
            await made.sources.refresh(source)
        assert made.names() == ["a", "b", "c"]


async def test_a_start_without_its_provider_serves_what_is_stored(
    tmp_path: Path, provider: Panel
) -> None:
    """The same lineup, ids and all; what is stored is its owner's alone."""
    url = provider.gives(LIST, playlist("a", "b"))
    async with rig(tmp_path, url).running() as made:
        before = made.sources.lineup
    provider.gives(LIST, b"", status="503 No")
    async with rig(tmp_path, url).running() as made:
        assert made.sources.lineup.channels == before.channels
        assert "503" in (made.sources.problem or "")
    assert stat.S_IMODE((tmp_path / "sources").stat().st_mode) == 0o700
    for path in (tmp_path / "sources").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_provider_that_hangs_does_not_hold_up_a_start(
    tmp_path: Path, provider: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored serves, and the list is read when it comes."""
    monkeypatch.setattr(in_force, "START_S", 0.1)
    url = provider.gives("/list.m3u", playlist("a"))
    async with rig(tmp_path, url).running():
        pass
    provider.gives("/list.m3u", playlist("a", "b"))
    provider.hold = asyncio.Event()
    async with rig(tmp_path, url).running() as made:
        assert made.names() == ["a"]
        provider.hold.set()
        await until(lambda: made.names() == ["a", "b"])


async def test_a_first_start_with_nothing_to_serve_is_refused(
    tmp_path: Path, provider: Panel
) -> None:
    """With the first source's trouble in one line."""
    error = await failed_start(rig(tmp_path, provider.url("/none.m3u")))
    assert isinstance(error, PlaylistUnreadable)
    assert "404" in str(error)


async def test_a_source_that_is_gone_from_the_settings_is_gone_from_the_lineup(
    tmp_path: Path, provider: Panel
) -> None:
    """Though the other one's provider is down at that start; and its files go, too."""
    one = provider.gives("/1.m3u", playlist("a"))
    two = provider.gives("/2.m3u", playlist("b"))
    async with rig(tmp_path, one, two).running() as made:
        assert made.names() == ["a", "b"]
    provider.gives("/2.m3u", b"", status="500 No")
    async with rig(tmp_path, two).running() as made:
        assert made.names() == ["b"]
    assert len(list((tmp_path / "sources").iterdir())) == 2


async def test_damaged_files_are_read_anew(tmp_path: Path, provider: Panel) -> None:
    """Facts that are noise, entries that are gone."""
    url = provider.gives("/list.m3u", playlist("a"), etag='"1"')
    for damage in ("json", "entries"):
        async with rig(tmp_path, url).running():
            pass
        (path,) = (tmp_path / "sources").glob(f"*.{damage}")
        path.write_bytes(b"noise") if damage == "json" else path.unlink()
        async with rig(tmp_path, url).running() as made:
            assert made.names() == ["a"]
            assert made.sources.problem is None


async def test_headers_of_a_source_are_for_its_list_and_its_channels(
    tmp_path: Path, provider: Panel
) -> None:
    """What a channel says itself comes first."""
    body = playlist("a") + b"#EXTINF:-1,b\nhttp://h/b|User-Agent=own\n"
    url = provider.gives("/list.m3u", body)
    async with rig(tmp_path, f"{url}|User-Agent=VLC%2F3&X-A=1").running() as made:
        assert "User-Agent: VLC/3" in provider.heads[0]
        headers = {c.guide_name: dict(c.upstreams[0].headers) for c in made.sources.lineup.channels}
        assert headers == {
            "a": {"User-Agent": "VLC/3", "X-A": "1"},
            "b": {"User-Agent": "own", "X-A": "1"},
        }


async def test_a_source_nobody_has_cannot_be_read(tmp_path: Path) -> None:
    """It is our caller's question, not a provider's trouble."""
    file = tmp_path / "list.m3u"
    file.write_bytes(playlist("a"))
    async with rig(tmp_path, str(file)).running() as made:
        with pytest.raises(UnknownSource):
            await made.sources.refresh(SourceId("other"))
        assert made.told("refreshed")[0]["kind"] == "m3u"
        await made.sources.refresh(made.ids[0])
        assert len(made.told("refreshed")) == 1, "a look at a file is nobody's news"


async def test_a_file_that_is_back_as_it_was_is_well_again(tmp_path: Path) -> None:
    """Its failure was told, and so is its end, though nothing in it has changed."""
    file, away = tmp_path / "list.m3u", tmp_path / "away"
    file.write_bytes(playlist("a"))
    async with rig(tmp_path, str(file)).running() as made:
        file.rename(away)
        await made.sources.refresh(made.ids[0])
        assert len(made.told("refresh_failed")) == 1
        away.rename(file)
        await made.sources.refresh(made.ids[0])
        assert [facts["unchanged"] for facts in made.told("refreshed")] == [False, True]
