"""The bytes of a playlist to its entries: what can be played is kept, what is odd is counted.

Knows when a body is no playlist at all, and its bounds. Refuses to know where it came from and
where the entries go. Blocking: seconds for a long list.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from plexbridge.lineup.decoding import UndecodableBody, lines_of
from plexbridge.lineup.errors import NotAPlaylist, PlaylistEmpty, PlaylistUnreadable
from plexbridge.lineup.m3u import Entry, Header, OddLine, parse_m3u
from plexbridge.relay.child.command import CHILD_SCHEMES

ENTRIES_MAX = 1_000_000
"""Whole catalogues with films and series reach half of it; above it memory is at stake."""

LINES_MAX = 10 * ENTRIES_MAX
"""An entry has two lines, seldom more than five. A body of nothing but line ends is minutes of
work for a parser."""

ODD_LINES_SHOWN = 10
"""Enough to find the fault; all of them only count."""

GUIDE_URLS_MAX = 8
"""Of one list. Lists glued together name each part's guide; more is a mistake."""

SCHEME_CHARS = 16
"""Of a URL, its scheme with `://` and to spare."""

_SNIFFED_LINES = 50
"""An HLS stream says that it is one in its first dozen lines, a web page in its first."""

_CHECK = "check what the provider sends"
_LIVE_ONLY = "ask the provider for live channels only"
_PLAYABLE = tuple(f"{scheme}://" for scheme in ("http", "https", *CHILD_SCHEMES))

Keep = Callable[[Entry], None]


@dataclass(slots=True)
class Found:
    """What a list holds, beside its entries."""

    entries: int = 0
    odd_lines: int = 0
    first_odd: list[OddLine] = field(default_factory=list)
    guide_urls: list[str] = field(default_factory=list)
    """Guides that the list names, http(s) only: may hold a login."""

    def odd(self, line: OddLine) -> None:
        """Count one."""
        self.odd_lines += 1
        if len(self.first_odd) < ODD_LINES_SHOWN:
            self.first_odd.append(line)


def take(pieces: Iterator[bytes], size_bytes: int, place: str, keep: Keep) -> Found:
    """Hand every playable entry of a body of `size_bytes` to `keep`. `place`: as it may be shown.

    Raises:
        NotAPlaylist, PlaylistEmpty, PlaylistUnreadable: see there; some entries may have been
            handed over before.
    """
    try:
        lines = lines_of(pieces, size_bytes)
        first = list(islice(lines, _SNIFFED_LINES))
        if not any(line.strip() for line in first) and next(lines, None) is None:
            raise PlaylistEmpty(place, "is empty", _CHECK)
        something_else = _something_else(first)
        if something_else is not None:
            raise NotAPlaylist(place, f"is {something_else}", "check the URL and the login in it")
        found = _collect(_bounded(chain(first, lines), place), place, keep)
    except UndecodableBody as error:
        raise NotAPlaylist(place, str(error), _CHECK) from error
    if not found.entries:
        raise _nothing_in(place, found)
    return found


def playable(url: str) -> bool:
    """Whether the bridge can read such an upstream."""
    return url[:SCHEME_CHARS].lower().startswith(_PLAYABLE)


def check_count(entries: int, place: str) -> None:
    """Refuse more entries than a lineup may have.

    Raises:
        PlaylistUnreadable: there are more.
    """
    if entries > ENTRIES_MAX:
        raise PlaylistUnreadable(place, f"more than {ENTRIES_MAX:,} entries", _LIVE_ONLY)


def _collect(lines: Iterator[str], place: str, keep: Keep) -> Found:
    found = Found()
    for item in parse_m3u(lines):
        match item:
            case Entry() if playable(item.url):
                found.entries += 1
                check_count(found.entries, place)
                keep(item)
            case Header():
                web = (url for url in item.guide_urls if url.startswith(("http://", "https://")))
                found.guide_urls = [*found.guide_urls, *web][:GUIDE_URLS_MAX]
            case Entry():
                found.odd(OddLine(item.line, f"the upstream is none of {', '.join(_PLAYABLE)}"))
            case OddLine():
                found.odd(item)
    return found


def _bounded(lines: Iterator[str], place: str) -> Iterator[str]:
    yield from islice(lines, LINES_MAX)
    if next(lines, None) is not None:
        raise PlaylistUnreadable(place, f"more than {LINES_MAX:,} lines", _LIVE_ONLY)


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


def _nothing_in(place: str, found: Found) -> NotAPlaylist | PlaylistEmpty:
    if not found.odd_lines:
        return PlaylistEmpty(place, "holds no channel", _CHECK)
    first = found.first_odd[0]
    fault = f"holds no channel; line {first.line}: {first.what}"
    if all(odd.what == "neither a directive nor a URL" for odd in found.first_odd):
        return NotAPlaylist(place, "is not M3U", "check the URL and the login in it")
    return PlaylistEmpty(place, fault, _CHECK)
