"""The lineup: channels with stable ids and unique guide numbers, and finding them.

Pure. Knows nothing of playlists as text, nor of who watches. A lineup never changes: a refresh
makes another one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, islice
from typing import ClassVar

from events.ids import ChannelId
from plexbridge.lineup.channel import Channel
from plexbridge.lineup.numbering import rank
from plexbridge.lineup.packed import PackedChannels
from plexbridge.lineup.packing import Parts, pack

__all__ = ["PACK_ABOVE", "Channel", "Lineup"]

PACK_ABOVE = 10_000
"""Channels; longer lineups are packed. Below, a thousand bytes for each are 10 MB, and none has to
be made anew when it is asked for."""


class Lineup:
    """Channels in the order of their guide numbers; ids and numbers are unique. What is asked
    without saying more is answered of the enabled ones, which are those that players are given."""

    __slots__ = ("_by_id", "_by_number", "channels", "digest", "everything")

    EMPTY: ClassVar["Lineup"]

    channels: Sequence[Channel]
    """The enabled ones."""
    everything: Sequence[Channel]
    """The disabled ones too."""
    digest: str
    """16 hex digits that differ whenever anything of the lineup does, upstreams included."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        rest = iter(channels)
        first = list(islice(rest, PACK_ABOVE + 1))
        if len(first) > PACK_ABOVE:
            self._hold_packed(PackedChannels.of(chain(first, rest)))
        else:
            self._hold(first)

    def _hold(self, channels: list[Channel]) -> None:
        everything = tuple(sorted(channels, key=lambda channel: rank(channel.guide_number)))
        by_number = {channel.guide_number: channel for channel in everything}
        by_id = {channel.id: channel for channel in everything}
        assert len(by_number) == len(by_id) == len(everything), "ids and numbers are unique"
        self._by_number: Callable[[str], Channel | None] = by_number.get
        self._by_id: Callable[[ChannelId], Channel | None] = by_id.get
        enabled = all(channel.enabled for channel in everything)
        self.everything = everything
        self.channels = everything if enabled else tuple(c for c in everything if c.enabled)
        self.digest = _digest(everything)

    def _hold_packed(self, packed: PackedChannels) -> None:
        self._by_number, self._by_id = packed.by_number, packed.by_id
        self.everything = packed
        self.channels = packed
        if not packed.parts.all_enabled:
            self.channels = PackedChannels.of(one for one in packed if one.enabled)
        self.digest = packed.parts.digest

    @classmethod
    def of_parts(cls, parts: Parts) -> "Lineup":
        """The lineup of channels that were packed in guide order; of a long one none is looked at
        for it."""
        packed = PackedChannels(parts)
        if len(packed) <= PACK_ABOVE:
            return cls(packed)
        made = cls.__new__(cls)
        made._hold_packed(packed)
        return made

    def parts(self) -> Parts:
        """Its channels packed, to be stored."""
        everything = self.everything
        return everything.parts if isinstance(everything, PackedChannels) else pack(everything)

    def by_number(self, guide_number: str, *, disabled: bool = False) -> Channel | None:
        """The channel with this guide number; with `disabled`, also one that players are not
        given."""
        return _if_given(self._by_number(guide_number), disabled)

    def by_id(self, channel: ChannelId, *, disabled: bool = False) -> Channel | None:
        """The channel with this id; with `disabled`, also one that players are not given."""
        return _if_given(self._by_id(channel), disabled)

    def ids(self) -> Iterator[ChannelId]:
        """Of everything, in guide order."""
        if isinstance(self.everything, PackedChannels):
            return self.everything.ids()
        return (channel.id for channel in self.everything)

    def has(self, channel: ChannelId) -> bool:
        """Whether a channel, enabled or not, has this id."""
        if isinstance(self.everything, PackedChannels):
            return self.everything.has(channel)
        return self._by_id(channel) is not None

    def __len__(self) -> int:
        return len(self.channels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lineup) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Lineup {self.digest} of {len(self)} channels>"


def _if_given(channel: Channel | None, disabled: bool) -> Channel | None:
    return channel if channel is not None and (channel.enabled or disabled) else None


def _digest(channels: Iterable[Channel]) -> str:
    """Differs whenever anything of the channels, or their order, does."""
    state = blake2b(digest_size=8)
    for channel in channels:
        texts = [
            channel.id,
            channel.guide_number,
            channel.guide_name,
            channel.group,
            channel.tvg_id,
            channel.logo,
        ]
        if not channel.enabled or channel.favourite:
            texts.append(f"{channel.enabled} {channel.favourite}")
        for upstream in channel.upstreams:
            texts += (upstream.source, upstream.digest)
            for name, value in upstream.headers.items():
                texts += (name, value)
        state.update("\0".join(texts).encode("utf-8", "surrogatepass") + b"\n")
    return state.hexdigest()


Lineup.EMPTY = Lineup(())
