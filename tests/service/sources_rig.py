"""Sources in force, on a clock that moves when told to: real files, sockets and database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any

import pytest

from plexbridge.clock import ManualClock
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.errors import LineupError
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.in_force import LineupInForce, SourceStatus
from plexbridge.lineup.refreshing import ACCOUNT_BYTES_MAX, SourceReader
from plexbridge.lineup.source import source_of
from plexbridge.lineup.source_files import SourceFiles
from plexbridge.outbound import Outbound, OutboundPolicy

DEADLINE_S = 30.0
KEY = b"k" * 32
LOOPBACK = (ip_network("127.0.0.0/8"),)


class Rig:
    """One bridge's sources, on a clock that moves when told to."""

    def __init__(
        self,
        folder: Path,
        locations: tuple[str, ...],
        clock: ManualClock,
        policy: OutboundPolicy,
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.served: list[Lineup] = []
        self.notes: list[tuple[str, str, dict[str, Any]]] = []
        self._outbound = Outbound(policy)
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


def rig(
    folder: Path,
    *locations: str,
    clock: ManualClock | None = None,
    policy: OutboundPolicy | None = None,
) -> Rig:
    return Rig(folder, locations, clock or ManualClock(), policy or OutboundPolicy(LOOPBACK))


async def failed_start(made: Rig) -> LineupError:
    with pytest.raises(LineupError) as caught:
        async with made.running():
            pass
    return caught.value
