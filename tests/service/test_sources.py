"""Sources in force: read, kept through trouble, asked conditionally, found again at a start.

Real files, a real provider on loopback, the real database.
"""

import asyncio
import gzip
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any

import pytest

from events.ids import SourceId
from plexbridge.clock import ManualClock
from plexbridge.lineup import apart, in_force
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.errors import AccountRefused, LineupError, PlaylistUnreadable
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.in_force import LineupInForce, SourceStatus, UnknownSource
from plexbridge.lineup.refreshing import ACCOUNT_BYTES_MAX, SourceReader
from plexbridge.lineup.source import source_of
from plexbridge.lineup.source_files import SourceFiles
from plexbridge.outbound import Outbound, OutboundPolicy
from tests.service.panel import QUERY, SECRET, USER, Panel, panel, playlist, stream

DEADLINE_S = 30.0
KEY = b"k" * 32
LIST = f"/get.php?{QUERY}&type=m3u_plus"


@pytest.fixture
async def provider() -> AsyncIterator[Panel]:
    async with panel() as made:
        yield made


class Rig:
    """One bridge's sources, on a clock that moves when told to."""

    def __init__(self, folder: Path, locations: tuple[str, ...], clock: ManualClock) -> None:
        self.folder = folder
        self.clock = clock
        self.served: list[Lineup] = []
        self.notes: list[tuple[str, str, dict[str, Any]]] = []
        self._outbound = Outbound(OutboundPolicy((ip_network("127.0.0.0/8"),)))
        sources = [source_of(location, KEY) for location in locations]
        files = SourceFiles(folder / "sources")
        self.ids = [source.id for source in sources]
        self.sources = LineupInForce(
            sources,
            reader=SourceReader(
                lists=PlaylistFetcher(self._outbound),
                accounts=PlaylistFetcher(self._outbound, bytes_max=ACCOUNT_BYTES_MAX),
                files=files,
                now_s=lambda: clock.now() // 1_000_000,
            ),
            files=files,
            database=folder / "lineup.db",
            key=KEY,
            every_hours=12,
            clock=clock,
            random=Random(7),
            note=self._note,
            serve=self._serve,
        )

    async def _note(self, stream: str, kind: str, facts: Mapping[str, object]) -> None:
        self.notes.append((stream, kind, dict(facts)))

    async def _serve(self, lineup: Lineup) -> None:
        self.served.append(lineup)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        task: asyncio.Task[None] | None = None
        try:
            await self.sources.load()
            task = asyncio.create_task(self.sources.run())
            yield self
            assert not task.done()
        finally:
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))
            await self._outbound.close()

    def names(self) -> list[str]:
        return sorted(channel.guide_name for channel in self.sources.lineup.channels)

    def status(self, at: int = 0) -> SourceStatus:
        return self.sources.status()[at]

    def told(self, kind: str, stream: str = "source-") -> list[dict[str, Any]]:
        return [facts for to, what, facts in self.notes if what == kind and to.startswith(stream)]

    def everything_said(self) -> str:
        return repr(self.notes) + repr(self.sources.status())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 (the other side is a thread or a socket)
            await asyncio.sleep(0.01)


def rig(folder: Path, *locations: str, clock: ManualClock | None = None) -> Rig:
    return Rig(folder, locations, clock or ManualClock())


async def failed_start(made: Rig) -> LineupError:
    with pytest.raises(LineupError) as caught:
        async with made.running():
            pass
    return caught.value


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


# Accounts


async def test_an_account_lists_its_channels_and_its_limits(
    tmp_path: Path, provider: Panel
) -> None:
    """Channels with groups and URLs of their own, connections, expiry, the guide; no login shown."""
    provider.gives_account(
        [stream(1, "a"), stream(2, "b", stream_id="102")], max_connections="3", exp_date="1800000000"
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
        assert made.sources.guide_urls == (provider.url(f"/xmltv.php?{QUERY}"),)
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


async def test_a_login_that_is_refused_stops_a_first_start(
    tmp_path: Path, provider: Panel
) -> None:
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
