"""A place to a lineup: fetch, decode, parse, assign, and say what was odd.

The parsing of a long list takes seconds: it runs in a thread, never on the event loop.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice

from events.ids import SourceId
from plexbridge.clock import Clock
from plexbridge.lineup.assign import Listing, assign
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.decoding import UndecodableBody, decode
from plexbridge.lineup.errors import NotAPlaylist, PlaylistEmpty, PlaylistUnreadable
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.m3u import Entry, Header, OddLine, parse_m3u
from plexbridge.lineup.redact import redact
from plexbridge.relay.child.command import CHILD_SCHEMES

ENTRIES_MAX = 1_000_000
"""Whole catalogues with films and series reach half of it; above it memory is at stake."""

LINES_MAX = 10 * ENTRIES_MAX
"""An entry has two lines, seldom more than five. A body of nothing but line ends is minutes of
work for a parser."""

ODD_LINES_SHOWN = 10
"""Enough to find the fault; all of them only count."""

_SNIFFED_LINES = 50
"""An HLS stream says that it is one in its first dozen lines, a web page in its first."""

SCHEME_CHARS = 16
"""Of a URL, its scheme with `://` and to spare."""

_PLAYABLE = tuple(f"{scheme}://" for scheme in ("http", "https", *CHILD_SCHEMES))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """How a playlist was taken in."""

    place: str
    """Redacted."""
    entries: int
    """Entries that became upstreams of channels, duplicates included."""
    duplicates: int
    """Entries that are not a channel of their own: backups, or the very same URL once more."""
    odd_lines: int
    first_odd: tuple[OddLine, ...]
    guide_urls: tuple[str, ...]
    """Guides that the list names: may hold a login."""
    seconds: float
    """From the request to the lineup."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one playlist holds, before it becomes part of a lineup."""

    listing: Listing
    odd_lines: int
    first_odd: tuple[OddLine, ...]
    guide_urls: tuple[str, ...]


async def load_playlist(
    location: str,
    source: SourceId,
    *,
    fetcher: PlaylistFetcher,
    clock: Clock,
    key: bytes,
) -> tuple[Lineup, LoadReport]:
    """The lineup of one playlist.

    `key`: secret, at most 64 bytes, the same at every start; keys the digests of upstream URLs.

    Raises:
        LineupError: one line, fit to be shown.
    """
    started = clock.monotonic()
    taken = await take_playlist(location, source, fetcher=fetcher)
    lineup = await asyncio.to_thread(_assign, taken.listing, key)
    entries = len(taken.listing.entries)
    return lineup, LoadReport(
        place=redact(location),
        entries=entries,
        duplicates=entries - len(lineup),
        odd_lines=taken.odd_lines,
        first_odd=taken.first_odd,
        guide_urls=taken.guide_urls,
        seconds=clock.monotonic() - started,
    )


async def take_playlist(location: str, source: SourceId, *, fetcher: PlaylistFetcher) -> Taken:
    """What one playlist holds; several are put together with `assign`.

    Raises:
        LineupError: one line, fit to be shown.
    """
    body = await fetcher.read(location)
    return await asyncio.to_thread(take, body, source, redact(location))


def take(body: bytes, source: SourceId, place: str) -> Taken:
    """The entries in the bytes of a playlist. Blocking: seconds for a long one.

    Raises:
        NotAPlaylist, PlaylistEmpty, PlaylistUnreadable: see there.
    """
    if not body or body.isspace():
        raise PlaylistEmpty(place, "is empty", "check what the provider sends")
    try:
        lines = decode(body)
    except UndecodableBody as error:
        raise NotAPlaylist(place, str(error), "check what the provider sends") from error
    first = list(islice(lines, _SNIFFED_LINES))
    something_else = _something_else(first)
    if something_else is not None:
        raise NotAPlaylist(place, f"is {something_else}", "check the URL and the login in it")
    with _collector_paused():
        taken = _collect(_bounded(chain(first, lines), place), source, place)
    if not taken.listing.entries:
        raise _nothing_in(place, taken)
    return taken


def _assign(listing: Listing, key: bytes) -> Lineup:
    with _collector_paused():
        return assign((listing,), key)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No cyclic collection while hundreds of thousands of lasting objects are made.

    None of them is in a cycle, yet each full collection would walk them all while every thread
    stands still: a third of the time of loading, and pauses of a quarter of a second.
    """
    if not gc.isenabled():  # another load of the same process, or somebody's choice
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _collect(lines: Iterator[str], source: SourceId, place: str) -> Taken:
    entries: list[Entry] = []
    first_odd: list[OddLine] = []
    guide_urls: list[str] = []
    odd_lines = 0
    for item in parse_m3u(lines):
        match item:
            case Entry() if item.url[:SCHEME_CHARS].lower().startswith(_PLAYABLE):
                entries.append(item)
                if len(entries) > ENTRIES_MAX:
                    raise PlaylistUnreadable(
                        place,
                        f"more than {ENTRIES_MAX:,} entries",
                        "ask the provider for live channels only",
                    )
                continue
            case Header():
                guide_urls += item.guide_urls
                continue
            case Entry():
                item = OddLine(item.line, f"the upstream is none of {', '.join(_PLAYABLE)}")
            case OddLine():
                pass
        odd_lines += 1
        if len(first_odd) < ODD_LINES_SHOWN:
            first_odd.append(item)
    return Taken(Listing(source, entries), odd_lines, tuple(first_odd), tuple(guide_urls))


def _bounded(lines: Iterator[str], place: str) -> Iterator[str]:
    yield from islice(lines, LINES_MAX)
    if next(lines, None) is not None:
        raise PlaylistUnreadable(
            place, f"more than {LINES_MAX:,} lines", "ask the provider for live channels only"
        )


def _something_else(first: list[str]) -> str | None:
    """What else than a playlist begins like this."""
    start = next((line.strip(" \t\ufeff") for line in first if line.strip(" \t\ufeff")), "")
    if start.startswith("<"):
        return "XML, not M3U" if start.lower().startswith(("<?xml", "<tv")) else "a web page"
    if start.startswith(("{", "[")):
        return "JSON, not M3U"
    if "\0" in start and not start.startswith("#"):
        return "binary data"
    if any(line.startswith(("#EXT-X-TARGETDURATION", "#EXT-X-STREAM-INF")) for line in first):
        return "one HLS stream, not a list of channels"
    return None


def _nothing_in(place: str, taken: Taken) -> NotAPlaylist | PlaylistEmpty:
    if not taken.odd_lines:
        return PlaylistEmpty(place, "holds no channel", "check what the provider sends")
    first = taken.first_odd[0]
    fault = f"holds no channel; line {first.line}: {first.what}"
    if all(odd.what == "neither a directive nor a URL" for odd in taken.first_odd):
        return NotAPlaylist(place, "is not M3U", "check the URL and the login in it")
    return PlaylistEmpty(place, fault, "check what the provider sends")
