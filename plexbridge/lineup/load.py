"""What a playlist holds, once and in memory: for whoever looks at one without keeping it.

What a running bridge does, source by source and on disk, is `refreshing`'s.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from events.ids import SourceId
from plexbridge.lineup.assign import Listing
from plexbridge.lineup.entries import EntryFile
from plexbridge.lineup.errors import PlaylistUnreadable
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.m3u import Entry, OddLine
from plexbridge.lineup.redact import redact
from plexbridge.lineup.refreshing import SourceReader
from plexbridge.lineup.source import source_of
from plexbridge.lineup.source_files import SourceFiles


@dataclass(frozen=True, slots=True)
class Taken:
    """What one playlist holds, before it becomes part of a lineup."""

    listing: Listing
    odd_lines: int
    first_odd: tuple[OddLine, ...]
    guide_urls: tuple[str, ...]


async def take_playlist(location: str, source: SourceId, *, fetcher: PlaylistFetcher) -> Taken:
    """What one playlist holds; several are put together with `assign`.

    Raises:
        LineupError: one line, fit to be shown.
    """
    try:
        asked = source_of(location, b"")
    except ValueError as error:
        raise PlaylistUnreadable(redact(location), str(error), "check it") from error
    with tempfile.TemporaryDirectory(prefix="plexbridge-") as folder:
        files = SourceFiles(Path(folder))
        reader = SourceReader(lists=fetcher, accounts=fetcher, files=files, now_s=lambda: 0)
        facts = (await reader.read(asked, None, accept_fewer=True)).facts
        entries = await asyncio.to_thread(_entries, files.new_entries(asked.id))
    odd = tuple(OddLine(line, what) for line, what in facts.first_odd)
    return Taken(Listing(source, entries), facts.odd_lines, odd, facts.guide_urls)


def _entries(path: Path) -> list[Entry]:
    with EntryFile(path) as entries:
        return list(entries)
