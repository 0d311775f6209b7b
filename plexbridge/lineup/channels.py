"""The lineup: channels with stable ids and unique guide numbers, and finding them.

Pure. Knows nothing of playlists as text, nor of who watches. A lineup never changes: a refresh
makes another one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from typing import ClassVar

from events.ids import ChannelId
from plexbridge.lineup.numbering import rank
from plexbridge.relay.ports import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A lineup entry and where its bytes come from, the preferred upstream first."""

    id: ChannelId
    """16 hex digits; stays the same when order, numbers, or the tokens in URLs change."""
    guide_number: str
    guide_name: str
    group: str = ""
    tvg_id: str = ""
    logo: str = ""
    """A logo's URL, or nothing."""
    upstreams: tuple[Upstream, ...]
    """At least one."""


class Lineup:
    """Channels in the order of their guide numbers; ids and numbers are unique."""

    __slots__ = ("_by_id", "_by_number", "channels", "digest")

    EMPTY: ClassVar["Lineup"]

    channels: tuple[Channel, ...]
    digest: str
    """16 hex digits that differ whenever anything of the lineup does, upstreams included."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self.channels = tuple(sorted(channels, key=lambda channel: rank(channel.guide_number)))
        by_number = {channel.guide_number: channel for channel in self.channels}
        by_id = {channel.id: channel for channel in self.channels}
        assert len(by_number) == len(by_id) == len(self.channels), "ids and numbers are unique"
        self._by_number: Mapping[str, Channel] = MappingProxyType(by_number)
        self._by_id: Mapping[ChannelId, Channel] = MappingProxyType(by_id)
        self.digest = _digest(self.channels)

    def by_number(self, guide_number: str) -> Channel | None:
        """The channel with this guide number."""
        return self._by_number.get(guide_number)

    def by_id(self, channel: ChannelId) -> Channel | None:
        """The channel with this id."""
        return self._by_id.get(channel)

    def __len__(self) -> int:
        return len(self.channels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lineup) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Lineup {self.digest} of {len(self)} channels>"


def _digest(channels: tuple[Channel, ...]) -> str:
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
        for upstream in channel.upstreams:
            texts += (upstream.source, upstream.digest)
            for name, value in upstream.headers.items():
                texts += (name, value)
        state.update("\0".join(texts).encode("utf-8", "surrogatepass") + b"\n")
    return state.hexdigest()


Lineup.EMPTY = Lineup(())
