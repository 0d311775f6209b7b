"""Finding channels in a lineup of any size: by words, group and switches, page by page. Pure.

Knows lineups and edits; refuses to know requests and how a channel is shown.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edits import AS_LISTED, Edits
from plexbridge.lineup.letters import folded
from plexbridge.lineup.numbering import rank

QUERY_CHARS: Final = 200
"""Of what is looked for; names are matched against it one by one, and no name is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which channels are looked for. None: that does not matter."""

    query: str = ""
    """Words, each of which number, name and group together must hold."""
    group: str | None = None
    """A group's whole name; empty: channels of none."""
    enabled: bool | None = None
    favourite: bool | None = None
    edited: bool | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what matched."""

    channels: tuple[Channel, ...]
    matches: int
    """Channels that matched, on this page and on all others."""
    next_after: str | None
    """Guide number to go on after; None: this is the last page."""


def find(
    lineup: Lineup, wanted: Filter, edits: Edits, *, after: str | None = None, limit: int
) -> Page:
    """The channels wanted, disabled ones too unless the filter says otherwise, in guide order;
    those above the guide number `after`, which need not exist any more, at most `limit` of them.

    Looks at every channel: on the event loop only for small lineups.
    """
    found = list(matching(lineup, wanted, edits))
    at = 0
    if after is not None:
        at = bisect_right(found, rank(after), key=lambda channel: rank(channel.guide_number))
    shown = tuple(found[at : at + limit])
    more = at + limit < len(found)
    return Page(shown, len(found), shown[-1].guide_number if shown and more else None)


def matching(lineup: Lineup, wanted: Filter, edits: Edits) -> Iterator[Channel]:
    """Every channel wanted, in guide order."""
    words = folded(wanted.query[:QUERY_CHARS]).split()
    for channel in lineup.everything:
        switches = (
            (wanted.enabled, channel.enabled),
            (wanted.favourite, channel.favourite),
            (wanted.edited, bool(edits.get(channel.id, AS_LISTED).edited)),
        )
        if any(want is not None and want != has for want, has in switches):
            continue
        if wanted.group is not None and wanted.group != channel.group:
            continue
        if _holds(channel, words):
            yield channel


def _holds(channel: Channel, words: list[str]) -> bool:
    if not words:
        return True
    text = folded(f"{channel.guide_number} {channel.guide_name} {channel.group}")
    return all(word in text for word in words)


def groups(lineup: Lineup) -> Counter[str]:
    """How many channels, disabled ones too, are in each group; in the order of their first."""
    return Counter(channel.group for channel in lineup.everything)
