"""Options of a source: kept, in force at once, and never telling a header's value."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from plexbridge.clock import ManualClock
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.lineup.in_force import UnknownSource
from plexbridge.lineup.source import source_of
from plexbridge.lineup.source_options import OptionInvalid
from tests.service.panel import Panel, panel
from tests.service.sources_rig import KEY, Rig, failed_start, rig, until

SECRET = "token-of-the-house"
PLAYLIST = b"#EXTM3U\n#EXTINF:-1,a\nhttp://h/a\n"


@pytest.fixture
async def provider() -> AsyncIterator[Panel]:
    async with panel() as made:
        yield made


def headers(made: Rig) -> dict[str, str]:
    """What the one channel's upstream is asked with."""
    (channel,) = made.sources.lineup.channels
    return dict(channel.upstreams[0].headers)


def due_in_s(made: Rig) -> float:
    found = made.status().due_in_s
    assert found is not None
    return found


async def test_headers_are_for_the_list_and_its_channels_though_nothing_is_new(
    tmp_path: Path, provider: Panel
) -> None:
    """The list is read again for them, and once; after a restart they are still there. Nothing says
    their values, and the files are their owner's."""
    url = provider.gives("/list.m3u", PLAYLIST, etag='"1"')
    async with rig(tmp_path, f"{url}|X-A=1&X-B=2").running() as made:
        await made.sources.set_options(
            made.ids[0], {"user_agent": "VLC/3", "headers": {"X-B": SECRET, "x-c": "3"}}
        )
        assert due_in_s(made) == 0
        await made.sources.refresh(made.ids[0])
        wanted = {"X-A": "1", "X-B": SECRET, "x-c": "3", "User-Agent": "VLC/3"}
        assert headers(made) == wanted
        assert f"X-B: {SECRET}" in provider.heads[-1]
        assert "If-None-Match" not in provider.heads[-1]
        assert due_in_s(made) > 3_600
        await made.sources.refresh(made.ids[0])
        assert "If-None-Match" in provider.heads[-1]
        assert SECRET not in made.everything_said()
    async with rig(tmp_path, f"{url}|X-A=1&X-B=2").running() as made:
        assert headers(made) == wanted
        await made.sources.set_options(made.ids[0], {"user_agent": None, "headers": {"X-b": None}})
        await made.sources.refresh(made.ids[0])
        assert headers(made) == {"X-A": "1", "X-B": "2", "x-c": "3"}
    for path in (tmp_path / "sources").iterdir():
        assert path.stat().st_mode & 0o077 == 0


async def test_when_it_is_read_is_an_option(tmp_path: Path, provider: Panel) -> None:
    """Hours, and how much more or less; never by itself; as the setting says again."""
    url = provider.gives("/list.m3u", PLAYLIST)
    async with rig(tmp_path, f"{url}|refresh-hours=2&refresh-jitter=0").running() as made:
        assert due_in_s(made) == 2 * 3_600
        await made.sources.set_options(made.ids[0], {"refresh_hours": 3})
        assert due_in_s(made) == 3 * 3_600
        await made.sources.set_options(made.ids[0], {"refresh_jitter": 50})
        assert 1.5 * 3_600 <= due_in_s(made) <= 4.5 * 3_600
        await made.sources.set_options(made.ids[0], {"refresh_hours": 0})
        assert made.status().due_in_s is None


async def test_connections_and_the_pause_between_them_are_options(
    tmp_path: Path, provider: Panel
) -> None:
    """Of the numbers that are said, the lower one holds; a pause that nobody sets is none."""
    provider.gives_account([{"name": "a", "stream_id": 1}], max_connections="3")
    async with rig(tmp_path, f"{provider.account}|settle-ms=100").running() as made:
        source = made.ids[0]
        assert (made.sources.allowed(source), made.sources.settle_ms(source)) == (3, 100)
        await made.sources.set_options(source, {"max_connections": 2, "settle_ms": 700})
        assert (made.sources.allowed(source), made.sources.settle_ms(source)) == (2, 700)
        await made.sources.set_options(source, {"max_connections": 9, "settle_ms": None})
        assert (made.sources.allowed(source), made.sources.settle_ms(source)) == (3, 100)
    async with rig(tmp_path, provider.account).running() as made:
        assert (made.sources.allowed(source), made.sources.settle_ms(source)) == (3, None)


@pytest.mark.parametrize(
    "patch",
    [
        *([], {}, None, {"colour": 1}, {"refresh_hours": True}, {"refresh_hours": -1}),
        *({"refresh_hours": 721}, {"refresh_jitter": 51}, {"settle_ms": 1.5}, {"user_agent": ""}),
        *({"max_connections": "2"}, {"user_agent": 3}, {"user_agent": f"a\r\n{SECRET}"}),
        *({"headers": []}, {"headers": {"Host": "h"}}, {"headers": {"X": f"{SECRET}\n"}}),
        *({"headers": {"user-agent": "v"}}, {"headers": {"a b": "c"}}, {"headers": {"X": 1}}),
        {"headers": {f"X-{at}": "1" for at in range(16)}},
    ],
)
async def test_what_cannot_be_an_option_changes_nothing(
    tmp_path: Path, provider: Panel, patch: Any
) -> None:
    """And the fault says which, without the value."""
    url = provider.gives("/list.m3u", PLAYLIST)
    async with rig(tmp_path, url).running() as made:
        before = made.status().options
        with pytest.raises(OptionInvalid) as caught:
            await made.sources.set_options(made.ids[0], patch)
        assert SECRET not in str(caught.value)
        assert made.status().options == before
        assert not list((tmp_path / "sources").glob("*.options"))


async def test_options_of_nobody_and_options_that_cannot_be_kept(
    tmp_path: Path, provider: Panel
) -> None:
    """What is not stored is not in force; and a damaged file stops the start with its name."""
    url = provider.gives("/list.m3u", PLAYLIST)
    async with rig(tmp_path, url).running() as made:
        with pytest.raises(UnknownSource):
            await made.sources.set_options(source_of("/none", KEY).id, {"settle_ms": 1})
        blocker = next((tmp_path / "sources").glob("*.json")).with_suffix(".options.new")
        blocker.mkdir()
        with pytest.raises(StoreUnusable):
            await made.sources.set_options(made.ids[0], {"settle_ms": 1})
        assert made.sources.settle_ms(made.ids[0]) is None
        blocker.rmdir()
        await made.sources.set_options(made.ids[0], {"settle_ms": 1})
    (kept,) = (tmp_path / "sources").glob("*.options")
    kept.write_bytes(b"noise")
    error = await failed_start(rig(tmp_path, url))
    assert str(kept) in str(error)


async def test_options_stay_while_a_source_is_not_in_the_settings(
    tmp_path: Path, provider: Panel
) -> None:
    """A start with another list, or with the demo, takes none away."""
    one = provider.gives("/1.m3u", PLAYLIST)
    two = provider.gives("/2.m3u", PLAYLIST)
    async with rig(tmp_path, one).running() as made:
        await made.sources.set_options(made.ids[0], {"max_connections": 4})
    async with rig(tmp_path, two).running():
        pass
    async with rig(tmp_path, one).running() as made:
        assert made.sources.allowed(made.ids[0]) == 4


async def test_options_set_while_its_list_is_read_hold_afterwards(
    tmp_path: Path, provider: Panel
) -> None:
    """The reading that was under way asked with other headers: there is another one at once."""
    url = provider.gives("/list.m3u", PLAYLIST)
    clock = ManualClock()
    async with rig(tmp_path, url, clock=clock).running() as made:
        provider.hold = asyncio.Event()
        reading = asyncio.create_task(made.sources.refresh(made.ids[0]))
        await until(lambda: len(provider.heads) == 2)
        await made.sources.set_options(made.ids[0], {"headers": {"X-A": "1"}})
        provider.hold.set()
        await reading
        assert due_in_s(made) == 0
        await made.sources.refresh(made.ids[0])
        assert headers(made) == {"X-A": "1"}


# Two sources that are one account


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("xtream+http://ann:pw@h:80", "xtream+https://ann:pw@H:443/x", True),
        ("xtream+http://ann:pw@h", "http://h/get.php?username=ann&password=pw&type=m3u", True),
        ("http://ann:pw@h/1.m3u", "https://ann:pw@h/2.m3u", True),
        ("xtream+http://ann:pw@h", "xtream+http://bob:pw@h", False),
        ("xtream+http://ann:pw@h", "xtream+http://ann:pw@i", False),
        ("http://h/1.m3u", "http://h/2.m3u", False),
        ("/1.m3u", "/2.m3u", False),
    ],
)
def test_an_account_is_a_host_and_a_user(one: str, other: str, same: bool) -> None:
    """Whatever port, scheme, path or form; and nobody sees which."""
    accounts = [source_of(text, KEY).account for text in (one, other)]
    assert (accounts[0] == accounts[1] != "") is same
    assert not any("ann" in account or "pw" in account for account in accounts)
    assert source_of(one, KEY).account == "" or source_of(one, b"other").account != accounts[0]


async def test_two_sources_of_one_account_share_its_connections(
    tmp_path: Path, provider: Panel
) -> None:
    """What their channels take is counted at the first one, and the lowest limit holds; each keeps
    its own channels, ids and refreshes."""
    provider.gives_account([{"name": "a", "stream_id": 1}], max_connections="3")
    path = "/get.php?username=ann&password=hunter2"
    list_url = provider.gives(path, b"#EXTM3U\n#EXTINF:-1,b\nhttp://h/b\n")
    other = provider.gives("/other.m3u", b"#EXTM3U\n#EXTINF:-1,c\nhttp://h/c\n")
    locations = (f"{provider.account}|settle-ms=5", f"{list_url}|max-connections=2", other)
    async with rig(tmp_path, *locations).running() as made:
        first, second, third = made.ids
        counted = {c.guide_name: c.upstreams[0].source for c in made.sources.lineup.channels}
        assert counted == {"a": first, "b": first, "c": third}
        assert [made.sources.allowed(one) for one in made.ids] == [2, 2, 0]
        assert [made.sources.settle_ms(one) for one in made.ids] == [5, 5, None]
        assert [one.counts_as for one in made.sources.status()] == [first, first, third]
        assert {stream for stream, _, _ in made.notes} >= {f"source-{one}" for one in made.ids}
        ids = {c.guide_name: c.id for c in made.sources.lineup.channels}
    async with rig(tmp_path, *locations[1:]).running() as made:
        assert {c.guide_name: c.id for c in made.sources.lineup.channels}.items() <= ids.items()
        assert made.sources.lineup.channels[0].upstreams[0].source == second
    for path_ in (tmp_path / "sources").glob("*.json"):
        assert source_of(list_url, KEY).account not in path_.read_text()
