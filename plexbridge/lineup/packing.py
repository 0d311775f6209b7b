"""Many channels packed: some tens of bytes each instead of a thousand, as plain parts that can be
stored and found again. Pure.

Names and addresses of neighbours are alike, and shrink to a fifth. What many channels have in
common (groups, sources, all of a URL but its end, headers) stands in tables, each once.
"""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import merge
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import orjson

from plexbridge.lineup.channel import Channel
from plexbridge.lineup.numbering import code

BLOCK_ROWS: Final = 64
"""Packed together."""

_QUICK: Final = 1
"""Level of compression."""

_SORTED_AT_ONCE: Final = 16_384
"""Some milliseconds."""

Value = TypeVar("Value")
Row = Sequence[Any]
"""A channel: name, group's place, tvg-id, logo's place and end, enabled, favourite, and its
upstreams: source's place, URL's place and end, headers' place, digest."""
Headers = tuple[tuple[str, str], ...]
Address = tuple[str, str, Headers, str]
"""An upstream: source, URL, headers, digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Packed channels. Ids, and digests of upstreams, are 16 hex digits."""

    blocks: Sequence[bytes]
    texts: Sequence[str]
    headers: Sequence[Headers]
    ids: "array[int]"
    """As whole numbers."""
    ranks: "array[int]"
    """Codes of their guide numbers."""
    all_enabled: bool
    digest: str
    """16 hex digits that differ whenever anything of the channels, or their order, does."""


def pack(channels: Iterable[Channel]) -> Parts:
    """Pack channels, in the order they come in."""
    packing = Packing()
    for channel in channels:
        packing.add(
            int(channel.id, 16),
            code(channel.guide_number),
            (channel.guide_name, channel.group, channel.tvg_id, channel.logo),
            [
                (one.source, one.url, tuple(one.headers.items()), one.digest)
                for one in channel.upstreams
            ],
            enabled=channel.enabled,
            favourite=channel.favourite,
        )
    return packing.parts()


class Packing:
    """Channels being packed."""

    def __init__(self) -> None:
        self._texts = _Table[str]()
        self._headers = _Table[Headers]()
        self._ids = array("Q")
        self._ranks = array("Q")
        self._blocks: list[bytes] = []
        self._open: list[Row] = []
        self._digest = blake2b(digest_size=8)
        self._all_enabled = True

    def add(
        self,
        channel_id: int,
        rank: int,
        texts: tuple[str, str, str, str],
        upstreams: Iterable[Address],
        *,
        enabled: bool = True,
        favourite: bool = False,
    ) -> None:
        """One more. `rank`: its guide number's code. `texts`: name, group, tvg-id and logo."""
        name, group, tvg_id, logo = texts
        self._ids.append(channel_id)
        self._ranks.append(rank)
        self._all_enabled = self._all_enabled and enabled
        place, addresses = self._texts.place, []
        for source, url, headers, digest in upstreams:
            # The last segment differs from channel to channel; what is before it hardly ever does.
            head, slash, end = url.rpartition("/")
            addresses.append(
                (place(source), place(head + slash), end, self._headers.place(headers), digest)
            )
        head, slash, end = logo.rpartition("/")
        self._open.append(
            (name, place(group), tvg_id, place(head + slash), end, enabled, favourite, addresses)
        )
        if len(self._open) == BLOCK_ROWS:
            self._close_block()

    def parts(self) -> Parts:
        """All that were added; none can be added any more."""
        if self._open:
            self._close_block()
        texts, headers = self._texts.values, self._headers.values
        for told in (orjson.dumps((texts, headers)), self._ids, self._ranks):
            self._digest.update(told)
        return Parts(
            blocks=self._blocks,
            texts=texts,
            headers=headers,
            ids=self._ids,
            ranks=self._ranks,
            all_enabled=self._all_enabled,
            digest=self._digest.hexdigest(),
        )

    def _close_block(self) -> None:
        block = orjson.dumps(self._open)
        self._digest.update(block)
        self._blocks.append(zlib.compress(block, _QUICK))
        self._open = []


class Blocks:
    """Rows, read from their blocks in any thread."""

    def __init__(self, blocks: Sequence[bytes]) -> None:
        self._blocks = blocks
        self._unpacked: tuple[int, list[Row]] = (-1, [])
        """The block that was asked for last: it is asked for again, as a rule."""

    def __getitem__(self, place: int) -> Row:
        block, at = divmod(place, BLOCK_ROWS)
        held, rows = self._unpacked
        if held != block:
            rows = orjson.loads(zlib.decompress(self._blocks[block]))
            self._unpacked = block, rows
        return rows[at]


class _Table(Generic[Value]):
    """Values that many channels have, each once."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._places: dict[Value, int] = {}

    def place(self, value: Value) -> int:
        """Where it stands."""
        place = self._places.get(value)
        if place is None:
            place = self._places[value] = len(self.values)
            self.values.append(value)
        return place


def sorted_places(numbers: "array[int]") -> Iterator[int]:
    """Places of numbers, by these. The place goes along in the lowest bits, which takes half the
    memory of a key for each; and no part is so long that other threads would notice its sorting.
    """
    rows = (number << 32 | place for place, number in enumerate(numbers))
    parts = []
    while part := sorted(islice(rows, _SORTED_AT_ONCE)):
        parts.append(part)
    return (row & 0xFFFF_FFFF for row in merge(*parts))
