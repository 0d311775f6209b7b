"""What a bridge is provided with: sources, guides and logos, each made from settings and files.

Knows which setting and which directory belong to which part, and nothing of what the parts do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from events.ids import SourceId
from plexbridge.clock import Clock
from plexbridge.data_dir import GUIDES_DIR, LINEUP_FILE, LOGOS_DIR, SOURCES_DIR
from plexbridge.demo.provider import DemoProvider
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edits import Edits
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.guide.download import GuideFetcher
from plexbridge.lineup.guide.in_force import GuideInForce, guide_key
from plexbridge.lineup.guide.place import GuidePlace
from plexbridge.lineup.in_force import LineupInForce, Note, Serve
from plexbridge.lineup.redact import redact
from plexbridge.lineup.refreshing import ACCOUNT_BYTES_MAX, ACCOUNT_TIMEOUT_S, SourceReader
from plexbridge.lineup.source import Source, source_of
from plexbridge.lineup.source_files import SourceFiles
from plexbridge.logos.cache import LogoCache
from plexbridge.logos.proxy import Logos
from plexbridge.outbound import Outbound
from plexbridge.settings import Settings

DEMO_SOURCE: Final = SourceId("demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisions:
    """What all of them are made with."""

    settings: Settings
    key: bytes
    """Of digests."""
    outbound: Outbound
    """Patient: panels write lists and guides when they are asked."""
    clock: Clock
    random: Random
    note: Note
    demo: DemoProvider | None

    def sources(self, serve: Serve) -> LineupInForce:
        """What the providers list. `serve`: told of each new lineup."""
        files = SourceFiles(self._path(SOURCES_DIR))
        reader = SourceReader(
            lists=PlaylistFetcher(self.outbound),
            accounts=PlaylistFetcher(
                self.outbound, total_timeout_s=ACCOUNT_TIMEOUT_S, bytes_max=ACCOUNT_BYTES_MAX
            ),
            files=files,
            now_s=lambda: self.clock.now() // 1_000_000,
        )
        return LineupInForce(
            self._listed(),
            reader=reader,
            files=files,
            database=self._path(LINEUP_FILE),
            key=self.key,
            every_hours=self.settings.refresh_hours,
            clock=self.clock,
            random=self.random,
            note=self.note,
            serve=serve,
        )

    def guides(
        self, sources: LineupInForce, lineup: Callable[[], Lineup], edits: Callable[[], Edits]
    ) -> GuideInForce:
        """The programme guides: those that the sources name at the moment; what a person names
        comes instead of these, for they may be of another country. `edits`: which channels a person
        mapped."""
        chosen = tuple(GuidePlace(guide_key(at, self.key), at) for at in self.settings.guide)
        if self.demo is not None:
            chosen = (GuidePlace(DEMO_SOURCE, self.demo.guide_url),)

        def named() -> Sequence[GuidePlace]:
            return chosen or [
                GuidePlace(guide_key(url, self.key), url, from_public)
                for url, from_public in sources.guide_urls.items()
            ]

        return GuideInForce(
            named,
            directory=self._path(GUIDES_DIR),
            fetcher=GuideFetcher(self.outbound),
            clock=self.clock,
            random=self.random,
            lineup=lineup,
            note=self.note,
            edits=edits,
        )

    def _listed(self) -> list[Source]:
        if self.demo is not None:  # its port differs at each start, its channels do not
            url = self.demo.playlist_url
            return [Source(id=DEMO_SOURCE, location=url, place=redact(url))]
        return [source_of(text, self.key) for text in self.settings.playlist]

    def _path(self, name: str) -> Path:
        return self.settings.data_dir / name


def make_logos(
    settings: Settings, key: bytes, outbound: Outbound, clock: Clock, lineup: Callable[[], Lineup]
) -> Logos:
    """Logos of the lineup in force."""
    cache = LogoCache(settings.data_dir / LOGOS_DIR)
    return Logos(outbound, cache, clock=clock, key=key, lineup=lineup)
