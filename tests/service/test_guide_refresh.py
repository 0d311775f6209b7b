"""The guide in force: read, kept through trouble, asked for conditionally, found again at a start.

Real files, a real provider on loopback, the real worker.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest

from events.ids import ChannelId, SourceId
from plexbridge.clock import ManualClock
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.guide import in_force
from plexbridge.lineup.guide.document import now_next
from plexbridge.lineup.guide.download import GuideFetcher
from plexbridge.lineup.guide.in_force import GuideInForce, guide_key
from plexbridge.lineup.guide.place import GuidePlace
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.relay.ports import Upstream

DEADLINE_S = 30.0
KEY = b"k" * 32
SECRET = "hunter2"
PATH = f"/xmltv.php?username=ann&password={SECRET}"


def channel(number: str, name: str, tvg_id: str = "") -> Channel:
    upstream = Upstream(source=SourceId("s"), url="http://h/1", redacted="http://h/1", digest="0")
    ident = ChannelId(number.zfill(16))
    return Channel(
        id=ident, guide_number=number, guide_name=name, tvg_id=tvg_id, upstreams=(upstream,)
    )


LINEUP = Lineup([channel("1", "Alpha", "a.x"), channel("2", "Beta", "b.x")])


@dataclass
class Provider:
    """Answers every request in turn; keeps the heads it saw."""

    port: int = 0
    answer: bytes = b""
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def gives(self, body: bytes, *headers: str, status: str = "200 OK", cut: int = 0) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.answer = "\r\n".join(head).encode() + body[: len(body) - cut]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


class Rig:
    """One bridge's guides, on a clock that moves when told to."""

    def __init__(self, directory: Path, locations: list[str], clock: ManualClock) -> None:
        self.directory = directory
        self.clock = clock
        self.lineup = LINEUP
        self.named = [GuidePlace(guide_key(location, KEY), location) for location in locations]
        self.notes: list[tuple[str, str, dict[str, object]]] = []
        self._outbound = Outbound(OutboundPolicy((ip_network("127.0.0.0/8"),)))
        self.guides = GuideInForce(
            lambda: self.named,
            directory=directory / "guides",
            fetcher=GuideFetcher(self._outbound),
            clock=clock,
            random=random.Random(7),
            lineup=lambda: self.lineup,
            note=self._note,
        )

    async def _note(self, stream: str, kind: str, facts: Mapping[str, object]) -> None:
        assert stream == "guide"
        self.notes.append((stream, kind, dict(facts)))

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.notes]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        await self.guides.load()
        task = asyncio.create_task(self.guides.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait((task,))
            await self._outbound.close()

    async def noted(self, count: int) -> dict[str, object]:
        """The facts of the last of `count` events."""
        await until(lambda: len(self.notes) >= count)
        assert len(self.notes) == count
        return self.notes[-1][2]

    def titles(self) -> dict[str, str | None]:
        """What is on now, by channel."""
        at = self.clock.now() // 1_000_000
        ids = [one.id for one in self.lineup.channels]
        showing = now_next(self.guides.guide, ids, at)
        return {name[-1]: found.now.title if found.now else None for name, found in showing.items()}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 (events are folded when they are noted)
            await asyncio.sleep(0.01)


def guide(clock: ManualClock, **titles: str) -> bytes:
    """A guide in which each channel shows its title from an hour ago to an hour from now."""
    now = clock.now() // 1_000_000

    def at(hours: int) -> str:
        return datetime.fromtimestamp(now + hours * 3_600, UTC).strftime("%Y%m%d%H%M%S +0000")

    rows = [
        f'<programme start="{at(-1)}" stop="{at(1)}" channel="{name}.x"><title>{title}</title>'
        f'</programme><programme start="{at(1)}" stop="{at(2)}" channel="{name}.x">'
        f"<title>after {title}</title></programme>"
        for name, title in titles.items()
    ]
    return f"<tv>{''.join(rows)}</tv>".encode()


async def test_a_guide_is_read_at_the_start_and_again_after_half_a_day(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event for each reading, with counts and a digest and without the login."""
    monkeypatch.setattr(in_force, "LOOK_S", 0.02)
    clock = ManualClock()
    provider.gives(guide(clock, a="One", b="Two"))
    async with Rig(tmp_path, [provider.url], clock).running() as rig:
        facts = await rig.noted(1)
        assert rig.kinds() == ["refreshed"]
        assert (facts["matched"], facts["kept"], facts["wanted"]) == (2, 4, 2)
        assert rig.titles() == {"1": "One", "2": "Two"}
        clock.advance(10 * 3_600)
        await asyncio.sleep(0.1)
        assert len(rig.notes) == 1
        clock.advance(4 * 3_600)
        provider.gives(guide(clock, a="Three"))
        later = await rig.noted(2)
        assert later["digest"] != facts["digest"]
        assert rig.titles() == {"1": "Three"}
        assert SECRET not in repr(rig.notes) + repr(rig.guides.status())
    assert [path.name for path in (tmp_path / "guides").iterdir()] == [
        f"{guide_key(provider.url, KEY)}.db"
    ]
    assert SECRET.encode() not in next((tmp_path / "guides").iterdir()).read_bytes()


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda p, clock: p.gives(b"<html>login</html>"), "not_a_guide"),
        (lambda p, clock: p.gives(b"", status="503 Busy"), "unreadable"),
        (lambda p, clock: p.gives(guide(clock, a="New"), cut=9), "unreadable"),
        (lambda p, clock: p.gives(guide(clock, a="New")[:-9]), "broken"),
        (lambda p, clock: p.gives(b"<tv></tv>"), "empty"),
        (
            lambda p, clock: p.gives(b"", "Location: http://169.254.1.1/", status="302 Found"),
            "unreadable",
        ),
    ],
)
async def test_trouble_changes_nothing_and_is_tried_again(
    tmp_path: Path,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Provider, ManualClock], None],
    kind: str,
) -> None:
    """An error page, a status, half a file, nothing in it, a redirect to where nobody may go."""
    monkeypatch.setattr(in_force, "LOOK_S", 0.02)
    clock = ManualClock()
    provider.gives(guide(clock, a="One"))
    async with Rig(tmp_path, [provider.url], clock).running() as rig:
        await rig.noted(1)
        before = rig.guides.guide
        spoil(provider, clock)
        rig.guides.refresh()
        facts = await rig.noted(2)
        assert rig.kinds()[-1] == "refresh_failed"
        assert facts["kind"] == kind
        assert SECRET not in str(facts["why"])
        assert rig.guides.guide is before
        assert rig.guides.status()[0].problem == facts["why"]
        assert rig.titles() == {"1": "One"}
        clock.advance(120)
        provider.gives(guide(clock, a="Better"))
        await rig.noted(3)
        assert rig.titles() == {"1": "Better"}
        assert rig.guides.status()[0].problem is None


async def test_a_provider_is_asked_whether_anything_is_new(
    tmp_path: Path, provider: Provider
) -> None:
    """By what it said itself; 304 leaves all as it is. For another lineup it is read in full."""
    clock = ManualClock()
    provider.gives(guide(clock, a="One", c="Three"), 'ETag: "v1"', "Last-Modified: yesterday")
    async with Rig(tmp_path, [provider.url], clock).running() as rig:
        await rig.noted(1)
        provider.gives(b"", status="304 Not Modified")
        rig.guides.refresh()
        facts = await rig.noted(2)
        assert facts["unchanged"] is True
        assert 'if-none-match: "v1"' in provider.heads[-1].lower()
        assert "if-modified-since: yesterday" in provider.heads[-1].lower()
        provider.gives(guide(clock, a="One", c="Three"))
        rig.lineup = Lineup([*LINEUP.channels, channel("3", "Gamma", "c.x")])
        rig.guides.refresh()
        await rig.noted(3)
        assert "if-none-match" not in provider.heads[-1].lower()
        assert rig.titles() == {"1": "One", "3": "Three"}


async def test_a_new_lineup_has_its_guide_without_being_asked(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel that appeared is looked for; the same channels in another order are not."""
    monkeypatch.setattr(in_force, "LOOK_S", 0.02)
    clock = ManualClock()
    provider.gives(guide(clock, a="One", c="Three"))
    async with Rig(tmp_path, [provider.url], clock).running() as rig:
        await rig.noted(1)
        rig.lineup = Lineup([*LINEUP.channels, channel("3", "Gamma", "c.x")])
        await rig.noted(2)
        assert rig.titles() == {"1": "One", "3": "Three"}


async def test_a_restart_goes_on_with_what_was_read(tmp_path: Path, provider: Provider) -> None:
    """Nothing is asked of the provider before the time; leftovers and other guides' files go."""
    clock = ManualClock()
    provider.gives(guide(clock, a="One"))
    async with Rig(tmp_path, [provider.url], clock).running() as rig:
        await rig.noted(1)
    for name in ("left.incoming", "left.new", "left.new-wal", "removed.db", "mine.xml"):
        (tmp_path / "guides" / name).write_bytes(b"x")
    clock.advance(3_600)
    async with Rig(tmp_path, [provider.url], clock).running() as again:
        names = sorted(path.name for path in (tmp_path / "guides").iterdir())
        assert names == sorted(["mine.xml", f"{guide_key(provider.url, KEY)}.db"])
        assert again.guides.guide.digest == rig.guides.guide.digest
        await asyncio.sleep(0.05)
        assert again.notes == []
    assert len(provider.heads) == 1


async def test_a_damaged_store_is_read_again(tmp_path: Path, provider: Provider) -> None:
    """It holds nothing that cannot be had again."""
    clock = ManualClock()
    provider.gives(guide(clock, a="One"))
    (tmp_path / "guides").mkdir()
    (tmp_path / "guides" / f"{guide_key(provider.url, KEY)}.db").write_bytes(b"no database" * 99)
    async with Rig(tmp_path, [provider.url], clock).running() as rig:
        await rig.noted(1)
        assert rig.titles() == {"1": "One"}


async def test_the_first_guide_that_has_a_channel_is_believed(
    tmp_path: Path, provider: Provider
) -> None:
    """In the order given; a failing one takes nothing from the others. Files are guides too."""
    clock = ManualClock()
    mine = tmp_path / "mine.xml"
    mine.write_bytes(guide(clock, a="Mine"))
    provider.gives(guide(clock, a="Theirs", b="Also theirs"))
    missing = str(tmp_path / "missing.xml")
    async with Rig(tmp_path, [missing, str(mine), provider.url], clock).running() as rig:
        await rig.noted(3)
        assert rig.kinds() == ["refresh_failed", "refreshed", "refreshed"]
        assert "no such file" in str(rig.notes[0][2]["why"])
        assert rig.titles() == {"1": "Mine", "2": "Also theirs"}
        following = now_next(rig.guides.guide, [LINEUP.channels[0].id], clock.now() // 1_000_000)
        after = following[LINEUP.channels[0].id].next
        assert after is not None
        assert after.title == "after Mine"
        mine.write_bytes(guide(clock, b="Now mine"))
        rig.guides.refresh()
        await until(lambda: rig.titles() == {"1": "Theirs", "2": "Now mine"})


async def test_without_a_guide_nothing_happens(tmp_path: Path) -> None:
    """No file, no request, no event."""
    async with Rig(tmp_path, [], ManualClock()).running() as rig:
        await asyncio.sleep(0.02)
        assert rig.notes == []
        assert rig.guides.guide.stored == ()
