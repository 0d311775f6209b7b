"""Many channels in little memory: some tens of bytes each instead of a thousand. Pure.

Whole catalogues have half a million channels of which hardly one is ever looked at: they are kept
packed, and a channel is made each time it is asked for (some tens of microseconds; a few where they
are asked for in a row).
"""

import marshal
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from operator import lt
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, overload

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channel import Channel
from plexbridge.lineup.numbering import rank
from plexbridge.lineup.redact import redact
from plexbridge.relay.ports import Upstream

_MINORS: Final = 10_001
"""Of one major number: none, and four digits."""

_BLOCK_ROWS: Final = 64
"""Packed together: names and addresses of neighbours are alike, and shrink to a fifth."""

_QUICK: Final = 1
"""Level of compression."""

_SORTED_AT_ONCE: Final = 16_384
"""Some milliseconds."""

Value = TypeVar("Value")
_Row = tuple[Any, ...]
_PackedUpstream = tuple[int, int, str, int, bytes]
_Headers = tuple[tuple[str, str], ...]


class PackedChannels(Sequence[Channel]):
    """Channels in guide order, found by id and number. Ids, and digests of upstreams, are 16 hex
    digits; a URL is shown redacted as `redact` does it."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        """In any order; faster in guide order."""
        self._texts = _Table[str]()
        self._headers = _Table[_Headers]()
        self._proxies: dict[int, Mapping[str, str]] = {}
        self._rows = _Rows()
        ranks, ids = array("Q"), array("Q")
        self.all_enabled = True
        for channel in channels:
            self._rows.append(self._pack(channel))
            ranks.append(_rank(channel.guide_number))
            ids.append(int(channel.id, 16))
            self.all_enabled = self.all_enabled and channel.enabled
        self.came_in_order = all(map(lt, ranks, islice(ranks, 1, None)))
        if not self.came_in_order:
            order = array("I", _sorted_places(ranks))
            ranks, ids = (array("Q", map(row.__getitem__, order)) for row in (ranks, ids))
            unordered, self._rows = self._rows, _Rows()
            for place in order:
                self._rows.append(unordered[place])
        self._ranks = ranks
        self._ids = ids
        self._by_id = array("I", _sorted_places(ids))
        by_id = array("Q", map(ids.__getitem__, self._by_id))
        for rising in (ranks, by_id):
            assert all(map(lt, rising, islice(rising, 1, None))), "ids and numbers are unique"

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
            wanted = _rank(guide_number)
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
        return self._unpack(self._rows[range(len(self))[index]])

    def __iter__(self) -> Iterator[Channel]:
        return (self[at] for at in range(len(self)))

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

    def _pack(self, channel: Channel) -> _Row:
        logo, logo_end = self._split(channel.logo)
        return (
            bytes.fromhex(channel.id),
            channel.guide_number,
            channel.guide_name,
            self._texts.place(channel.group),
            channel.tvg_id,
            logo,
            logo_end,
            channel.enabled,
            channel.favourite,
            tuple(map(self._pack_upstream, channel.upstreams)),
        )

    def _pack_upstream(self, upstream: Upstream) -> _PackedUpstream:
        head, end = self._split(upstream.url)
        return (
            self._texts.place(upstream.source),
            head,
            end,
            self._headers.place(tuple(upstream.headers.items())),
            bytes.fromhex(upstream.digest),
        )

    def _split(self, url: str) -> tuple[int, str]:
        """The last segment differs from channel to channel; what is before it hardly ever does."""
        head, slash, end = url.rpartition("/")
        return self._texts.place(head + slash), end

    def _unpack(self, row: _Row) -> Channel:
        made, number, name, group, tvg_id, logo, logo_end, enabled, favourite, upstreams = row
        return Channel(
            id=ChannelId(made.hex()),
            guide_number=number,
            guide_name=name,
            group=self._texts.values[group],
            tvg_id=tvg_id,
            logo=self._texts.values[logo] + logo_end,
            enabled=enabled,
            favourite=favourite,
            upstreams=tuple(self._unpack_upstream(*one) for one in upstreams),
        )

    def _unpack_upstream(
        self, source: int, head: int, end: str, headers: int, digest: bytes
    ) -> Upstream:
        url = self._texts.values[head] + end
        if headers not in self._proxies:
            self._proxies[headers] = MappingProxyType(dict(self._headers.values[headers]))
        return Upstream(
            source=SourceId(self._texts.values[source]),
            url=url,
            headers=self._proxies[headers],
            redacted=redact(url),
            digest=digest.hex(),
        )


class _Rows:
    """Rows in blocks. Of one thread while it grows, of any afterwards."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._open: list[_Row] = []
        self._unpacked: tuple[int, list[_Row]] = (-1, [])
        """The block that was asked for last: it is asked for again, as a rule."""

    def append(self, row: _Row) -> None:
        """Add one."""
        self._open.append(row)
        if len(self._open) == _BLOCK_ROWS:
            self._blocks.append(zlib.compress(marshal.dumps(self._open), _QUICK))
            self._open = []

    def __getitem__(self, place: int) -> _Row:
        block, at = divmod(place, _BLOCK_ROWS)
        if block == len(self._blocks):
            return self._open[at]
        held, rows = self._unpacked
        if held != block:
            rows = marshal.loads(zlib.decompress(self._blocks[block]))
            self._unpacked = block, rows
        return rows[at]


class _Table(Generic[Value]):
    """Values that many channels have, each once."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._places: dict[Value, int] = {}

    def place(self, value: Value) -> int:
        """Where it stands."""
        place = self._places.setdefault(value, len(self.values))
        if place == len(self.values):
            self.values.append(value)
        return place


def _sorted_places(numbers: "array[int]") -> Iterator[int]:
    """Places of numbers, by these. The place goes along in the lowest bits, which takes half the
    memory of a key for each; and no part is so long that other threads would notice its sorting.
    """
    rows = (number << 32 | place for place, number in enumerate(numbers))
    parts = []
    while part := sorted(islice(rows, _SORTED_AT_ONCE)):
        parts.append(part)
    return (row & 0xFFFF_FFFF for row in merge(*parts))


def _rank(number: str) -> int:
    """What a guide number sorts by, in one whole number."""
    major, minor = rank(number)
    return major * _MINORS + minor + 1
