"""A channel: one entry of a lineup. Pure."""

from dataclasses import dataclass

from events.ids import ChannelId
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
