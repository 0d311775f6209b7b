"""Xtream accounts in force, and lists so large that a process of their own reads them."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from events.ids import SourceId
from plexbridge.clock import SteadyClock
from plexbridge.demo.provider import DemoProvider
from plexbridge.demo.xtream import MAX_CONNECTIONS
from plexbridge.lineup import apart
from plexbridge.lineup.errors import AccountRefused
from plexbridge.lineup.refreshing import ACCOUNT_BYTES_MAX
from tests.service.panel import QUERY, SECRET, USER, Panel, panel, playlist, stream
from tests.service.sources_rig import failed_start, rig

LIST = f"/get.php?{QUERY}&type=m3u_plus"


@pytest.fixture
async def provider() -> AsyncIterator[Panel]:
    async with panel() as made:
        yield made


async def test_an_account_lists_its_channels_and_its_limits(
    tmp_path: Path, provider: Panel
) -> None:
    """Channels with groups and URLs, connections, expiry, the guide; no login shown."""
    provider.gives_account(
        [stream(1, "a"), stream(2, "b", stream_id="102")],
        max_connections="3",
        exp_date="1800000000",
    )
    async with rig(tmp_path, provider.account).running() as made:
        lineup = made.sources.lineup
        assert [(c.guide_number, c.guide_name, c.group) for c in lineup.channels] == [
            ("1", "a", "News"),
            ("2", "b", "News"),
        ]
        (upstream,) = lineup.channels[0].upstreams
        assert upstream.url == provider.url(f"/live/{USER}/{SECRET}/101.ts")
        assert SECRET not in upstream.redacted
        assert made.sources.allowed(made.ids[0]) == 3
        assert list(made.sources.guide_urls) == [provider.url(f"/xmltv.php?{QUERY}")]
        (told,) = made.told("refreshed")
        assert told["account"] == {
            "status": "Active",
            "max_connections": 3,
            "expires_at": 1_800_000_000,
        }
        assert SECRET not in made.everything_said()
    assert provider.asked() == [
        "/player_api.php",
        "/player_api.php:get_live_categories",
        "/player_api.php:get_live_streams",
    ]


async def test_the_lower_of_two_limits_counts(tmp_path: Path, provider: Panel) -> None:
    """A person may leave a connection to the telephone, and cannot have more than there are."""
    provider.gives_account([stream(1, "a")], max_connections=3)
    for said, allowed in ((2, 2), (5, 3)):
        location = f"{provider.account}|max-connections={said}"
        async with rig(tmp_path, location).running() as made:
            assert made.sources.allowed(made.ids[0]) == allowed
    assert made.sources.allowed(SourceId("other")) == 0


async def test_an_account_that_ended_says_so_and_keeps_its_channels(
    tmp_path: Path, provider: Panel
) -> None:
    """They are refused by the provider one by one, which each player is told."""
    provider.gives_account([stream(1, "a")])
    async with rig(tmp_path, provider.account).running() as made:
        provider.gives_account([], status="Expired")
        status = await made.sources.refresh(made.ids[0])
        assert "the account is expired" in (status.problem or "")
        assert made.told("refresh_failed")[0]["kind"] == AccountRefused.__name__
        assert made.names() == ["a"]


async def test_a_login_that_is_refused_stops_a_first_start(tmp_path: Path, provider: Panel) -> None:
    """In one line, without the login."""
    provider.gives_json("", {"user_info": {"auth": 0}})
    error = await failed_start(rig(tmp_path, provider.account))
    assert "the login is refused" in str(error)
    assert SECRET not in str(error)


async def test_a_panels_playlist_has_the_accounts_limits(tmp_path: Path, provider: Panel) -> None:
    """`get.php` names the account; where the panel does not tell, the list is read all the same."""
    url = provider.gives(LIST, playlist("a"))
    async with rig(tmp_path, url).running() as made:
        assert made.sources.allowed(made.ids[0]) == 0
        assert made.sources.problem is None
        provider.gives_account([], max_connections="2")
        await made.sources.refresh(made.ids[0])
        assert made.sources.allowed(made.ids[0]) == 2
        provider.gives(LIST, b"")
        provider.gives_account([], status="Banned")
        status = await made.sources.refresh(made.ids[0])
        assert "the account is banned" in (status.problem or "")


async def test_an_account_that_answers_without_end_is_given_up(
    tmp_path: Path, provider: Panel
) -> None:
    """By size."""
    provider.gives(f"/player_api.php?{QUERY}", b" " * (ACCOUNT_BYTES_MAX + 1))
    error = await failed_start(rig(tmp_path, provider.account))
    assert "more than 1 MiB" in str(error)


# Large lists


async def test_a_large_list_is_read_in_a_process_of_its_own(
    tmp_path: Path, provider: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same lineup, and the same words where it is none."""
    url = provider.gives(LIST, playlist("a", "b", "b"))
    provider.gives_account([stream(1, "a"), stream(2, "b")])
    here = []
    async with rig(tmp_path / "1", url, provider.account).running() as made:
        here = [made.sources.lineup.channels, made.status().facts, made.status(1).facts]
    monkeypatch.setattr(apart, "SMALL_BYTES", 0)
    monkeypatch.setattr(apart, "SMALL_ENTRIES", 0)
    async with rig(tmp_path / "2", url, provider.account).running() as made:
        assert [made.sources.lineup.channels, made.status().facts, made.status(1).facts] == here
        provider.gives(LIST, b"<html>")
        status = await made.sources.refresh(made.ids[0])
        assert "is a web page" in (status.problem or "")


async def test_a_process_that_cannot_work_changes_nothing(
    tmp_path: Path, provider: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails, or takes too long: one line, and the old lineup."""
    url = provider.gives("/list.m3u", playlist("a"))
    async with rig(tmp_path, url).running() as made:
        provider.gives("/list.m3u", playlist("b"))
        monkeypatch.setattr(apart, "SMALL_BYTES", 0)
        monkeypatch.setattr(apart, "WORKER", "plexbridge.no_such_worker")
        status = await made.sources.refresh(made.ids[0])
        assert "failed and said" in (status.problem or "")
        monkeypatch.setattr(apart, "SECONDS_MAX", 0.0)
        status = await made.sources.refresh(made.ids[0])
        assert "was not read within 0 s" in (status.problem or "")
        assert made.names() == ["a"]


async def test_the_demo_is_an_account_as_well(tmp_path: Path) -> None:
    """The same channels as its playlist's, with the account's limit; another login is refused."""
    demo = DemoProvider(SteadyClock())
    await demo.start()
    try:
        async with rig(tmp_path / "1", demo.playlist_url).running() as made:
            names = made.names()
        async with rig(tmp_path / "2", demo.account_location).running() as made:
            assert made.names() == names
            assert made.sources.allowed(made.ids[0]) == MAX_CONNECTIONS
            (upstream,) = made.sources.lineup.channels[0].upstreams
            async with aiohttp.ClientSession() as client, client.get(upstream.url) as answer:
                assert (await answer.content.readexactly(188))[:1] == b"G"
        wrong = demo.account_location.replace("demo@", "wrong@")
        assert "login is refused" in str(await failed_start(rig(tmp_path / "3", wrong)))
    finally:
        await demo.close()
