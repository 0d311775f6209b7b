"""The lineup in force: read at start, stored, replaced whole, or kept as it was."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit

import structlog

from events.ids import LINEUP_STREAM, SourceId, source_stream
from plexbridge.lineup.assign import assign
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.errors import LineupError
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.load import Taken, take_playlist
from plexbridge.lineup.redact import redact
from plexbridge.lineup.store import LineupStore

_log = structlog.get_logger(__name__)

NAMES_RECORDED: Final = 100
"""Channel names written into a refresh event (DESIGN section 5); the rest is counted."""

RETRY_S: Final = 60.0
"""Between attempts to read playlists that could not be read at the start."""

Note = Callable[[str, str, Mapping[str, object]], Awaitable[object]]


def source_of(location: str, key: bytes) -> SourceId:
    """The id of a playlist's provider account: its host, and a digest that tells two accounts of
    one host apart. Stable as long as the location is."""
    host = urlsplit(location).hostname or "file"
    return SourceId(f"{host}-{blake2b(location.encode(), key=key, digest_size=3).hexdigest()}")


class LineupInForce:
    """Holds the lineup that players are given; used on the event loop only."""

    def __init__(
        self,
        playlists: Sequence[tuple[SourceId, str]],
        *,
        fetcher: PlaylistFetcher,
        store: LineupStore,
        key: bytes,
        note: Note,
    ) -> None:
        """`playlists`: provider accounts, each with its playlist's location."""
        self.lineup = Lineup.EMPTY
        self.problem: str | None = None
        """Why the playlists could not be read, while an older lineup serves."""
        self._playlists = tuple(playlists)
        self._fetcher = fetcher
        self._store = store
        self._key = key
        self._note = note

    async def load(self) -> None:
        """At the start: read the playlists, or fall back on what was stored.

        Raises:
            LineupError: they cannot be read and nothing was stored.
        """
        if not self._playlists:
            self.lineup = await self._store.load()
            return
        try:
            await self.refresh()
        except LineupError as error:
            self.lineup = await self._store.load()
            if not self.lineup.channels:
                raise
            self.problem = str(error)
            _log.warning("Serving the stored lineup", why=str(error), channels=len(self.lineup))

    async def retry(self) -> None:
        """Until the playlists of a troubled start could be read."""
        while self.problem is not None:
            await asyncio.sleep(RETRY_S)
            try:
                await self.refresh()
            except LineupError as error:
                self.problem = str(error)

    async def refresh(self) -> None:
        """Read every playlist and put the new lineup in force, whole; or change nothing.

        Raises:
            LineupError: of the first playlist that could not be read.
        """
        taken: list[Taken] = []
        for source, location in self._playlists:
            try:
                taken.append(await take_playlist(location, source, fetcher=self._fetcher))
            except LineupError as error:
                await self._note(source_stream(source), "refresh_failed", {"why": str(error)})
                raise
            await self._note(
                source_stream(source),
                "refreshed",
                {
                    "place": redact(location),
                    "entries": len(taken[-1].listing.entries),
                    "odd_lines": taken[-1].odd_lines,
                },
            )
        lineup = await asyncio.to_thread(assign, [one.listing for one in taken], self._key)
        await self._put_in_force(lineup, sum(one.odd_lines for one in taken))

    async def _put_in_force(self, lineup: Lineup, odd_lines: int) -> None:
        before, self.lineup, self.problem = self.lineup, lineup, None
        known = {channel.id for channel in before.channels}
        kept = {channel.id for channel in lineup.channels}
        await self._store.save(lineup)
        await self._note(
            LINEUP_STREAM,
            "refreshed",
            {
                "channels": len(lineup),
                "digest": lineup.digest,
                "odd_lines": odd_lines,
                "appeared": [c.guide_name for c in lineup.channels if c.id not in known][
                    :NAMES_RECORDED
                ],
                "vanished": [c.guide_name for c in before.channels if c.id not in kept][
                    :NAMES_RECORDED
                ],
            },
        )
        _log.info("Lineup in force", channels=len(lineup), odd_lines=odd_lines)
