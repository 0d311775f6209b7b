"""Packed channels, looked at like any others. Pure.

Whole catalogues have half a million channels of which hardly one is ever looked at: they stay
packed, and a channel is made each time it is asked for (some tens of microseconds; a few where they
are asked for in a row).
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import lt
from types import MappingProxyType
from typing import overload

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channel import Channel
from plexbridge.lineup.numbering import code, text_of
from plexbridge.lineup.packing import Blocks, Parts, pack, sorted_places
from plexbridge.lineup.redact import redact
from plexbridge.relay.ports import Upstream


class PackedChannels(Sequence[Channel]):
    """Channels in guide order, found by id and number. A URL is shown redacted as `redact` does
    it."""

    def __init__(self, parts: Parts) -> None:
        """`parts`: in guide order."""
        self.parts = parts
        self._unpack = _Unpacking(parts).channel
        self._ranks = parts.ranks
        self._ids = parts.ids
        self._by_id = array("I", sorted_places(self._ids))
        by_id = array("Q", map(self._ids.__getitem__, self._by_id))
        for rows in (self._ranks, by_id):
            assert _rising(rows), "ids and numbers are unique"

    @classmethod
    def of(cls, channels: Iterable[Channel]) -> "PackedChannels":
        """Pack channels: in any order; faster in guide order."""
        parts = pack(channels)
        if not _rising(parts.ranks):
            parts = pack(map(_Unpacking(parts).channel, sorted_places(parts.ranks)))
        return cls(parts)

    def ids(self) -> Iterator[ChannelId]:
        """Of all of them, in guide order; none is made for it."""
        return (ChannelId(f"{number:016x}") for number in self._ids)

    def has(self, channel: ChannelId) -> bool:
        """Whether one has this id; none is made for it."""
        return self._place(channel) is not None

    def by_id(self, channel: ChannelId) -> Channel | None:
        """The channel with this id."""
        place = self._place(channel)
        return None if place is None else self[place]

    def by_number(self, guide_number: str) -> Channel | None:
        """The channel with this guide number."""
        try:
            wanted = code(guide_number)
        except ValueError:
            return None
        at = bisect_left(self._ranks, wanted)
        if at == len(self._ranks) or self._ranks[at] != wanted:
            return None
        found = self[at]
        return found if found.guide_number == guide_number else None

    def __len__(self) -> int:
        return len(self._ranks)

    @overload
    def __getitem__(self, index: int) -> Channel: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Channel, ...]: ...
    def __getitem__(self, index: int | slice) -> Channel | tuple[Channel, ...]:
        if isinstance(index, slice):
            return tuple(self[at] for at in range(*index.indices(len(self))))
        return self._unpack(range(len(self))[index])

    def __iter__(self) -> Iterator[Channel]:
        return map(self._unpack, range(len(self)))

    def _place(self, channel: ChannelId) -> int | None:
        try:
            wanted = int(channel, 16)
        except ValueError:
            return None
        at = bisect_left(self._by_id, wanted, key=self._ids.__getitem__)
        if at == len(self._by_id):
            return None
        place = self._by_id[at]
        return place if f"{self._ids[place]:016x}" == channel else None


class _Unpacking:
    """Makes channels of parts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rows = Blocks(parts.blocks)
        self._proxies: dict[int, Mapping[str, str]] = {}

    def channel(self, place: int) -> Channel:
        """The one at a place."""
        name, group, tvg_id, logo, logo_end, enabled, favourite, upstreams = self._rows[place]
        texts = self._parts.texts
        return Channel(
            id=ChannelId(f"{self._parts.ids[place]:016x}"),
            guide_number=text_of(self._parts.ranks[place]),
            guide_name=name,
            group=texts[group],
            tvg_id=tvg_id,
            logo=texts[logo] + logo_end,
            enabled=enabled,
            favourite=favourite,
            upstreams=tuple([self._upstream(*one) for one in upstreams]),
        )

    def _upstream(self, source: int, head: int, end: str, headers: int, digest: str) -> Upstream:
        texts = self._parts.texts
        url = texts[head] + end
        if headers not in self._proxies:
            self._proxies[headers] = MappingProxyType(dict(self._parts.headers[headers]))
        return Upstream(
            source=SourceId(texts[source]),
            url=url,
            headers=self._proxies[headers],
            redacted=redact(url),
            digest=digest,
        )


def _rising(numbers: "array[int]") -> bool:
    return all(map(lt, numbers, islice(numbers, 1, None)))
