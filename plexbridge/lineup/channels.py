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
    enabled: bool = True
    """Whether players are given it. Listed ones are; a person may not want them."""
    favourite: bool = False
    upstreams: tuple[Upstream, ...]
    """At least one."""


class Lineup:
    """Channels in the order of their guide numbers; ids and numbers are unique. What is asked
    without saying more is answered of the enabled ones, which are those that players are given."""

    __slots__ = ("_by_id", "_by_number", "channels", "digest", "everything")

    EMPTY: ClassVar["Lineup"]

    channels: tuple[Channel, ...]
    """The enabled ones."""
    everything: tuple[Channel, ...]
    """The disabled ones too."""
    digest: str
    """16 hex digits that differ whenever anything of the lineup does, upstreams included."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self.everything = tuple(sorted(channels, key=lambda channel: rank(channel.guide_number)))
        by_number = {channel.guide_number: channel for channel in self.everything}
        by_id = {channel.id: channel for channel in self.everything}
        assert len(by_number) == len(by_id) == len(self.everything), "ids and numbers are unique"
        self._by_number: Mapping[str, Channel] = MappingProxyType(by_number)
        self._by_id: Mapping[ChannelId, Channel] = MappingProxyType(by_id)
        enabled = all(channel.enabled for channel in self.everything)
        self.channels = (
            self.everything if enabled else tuple(c for c in self.everything if c.enabled)
        )
        self.digest = _digest(self.everything)

    def by_number(self, guide_number: str, *, disabled: bool = False) -> Channel | None:
        """The channel with this guide number; with `disabled`, also one that players are not
        given."""
        return _if_given(self._by_number.get(guide_number), disabled)

    def by_id(self, channel: ChannelId, *, disabled: bool = False) -> Channel | None:
        """The channel with this id; with `disabled`, also one that players are not given."""
        return _if_given(self._by_id.get(channel), disabled)

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
        if not channel.enabled or channel.favourite:
            texts.append(f"{channel.enabled} {channel.favourite}")
        for upstream in channel.upstreams:
            texts += (upstream.source, upstream.digest)
            for name, value in upstream.headers.items():
                texts += (name, value)
        state.update("\0".join(texts).encode("utf-8", "surrogatepass") + b"\n")
    return state.hexdigest()


Lineup.EMPTY = Lineup(())
