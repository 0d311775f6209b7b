"""Finding channels in a lineup of any size: by words, page by page. Pure.

Knows lineups; refuses to know requests and how a channel is shown.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Final

from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.numbering import rank

QUERY_CHARS: Final = 200
"""Of what is looked for; names are matched against it one by one, and no name is longer."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what matched."""

    channels: tuple[Channel, ...]
    matches: int
    """Channels that matched, on this page and on all others."""
    next_after: str | None
    """Guide number to go on after; None: this is the last page."""


def find(lineup: Lineup, *, query: str = "", after: str | None = None, limit: int) -> Page:
    """Channels whose number, name and group hold every word of `query`, in guide order; those
    above the guide number `after`, which need not exist any more, at most `limit` of them.

    Looks at every channel: on the event loop only for small lineups.
    """
    words = query[:QUERY_CHARS].casefold().split()
    found = [channel for channel in lineup.channels if _matches(channel, words)]
    at = 0
    if after is not None:
        at = bisect_right(found, rank(after), key=lambda channel: rank(channel.guide_number))
    shown = tuple(found[at : at + limit])
    more = at + limit < len(found)
    return Page(shown, len(found), shown[-1].guide_number if shown and more else None)


def _matches(channel: Channel, words: list[str]) -> bool:
    if not words:
        return True
    text = f"{channel.guide_number} {channel.guide_name} {channel.group}".casefold()
    return all(word in text for word in words)


def channel_document(channel: Channel) -> dict[str, Any]:
    """A channel as programs are told of it: without addresses. One source is named per upstream."""
    return {
        "id": channel.id,
        "guide_number": channel.guide_number,
        "name": channel.guide_name,
        "group": channel.group,
        "sources": [upstream.source for upstream in channel.upstreams],
    }
