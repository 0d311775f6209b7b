"""What people changed in channels, and the lineup that follows from it. Pure.

A layer between what the providers list and what players are given: a refresh replaces the listed
lineup, and the edits, kept by channel id, are laid over it again. Refuses to know whether an edit
may be made, which is `edits_plan`'s, and where edits are kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from events.ids import ChannelId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.numbering import FreeNumbers
from plexbridge.relay.ports import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is changed in one channel. None: as it is listed."""

    enabled: bool | None = None
    guide_number: str | None = None
    name: str | None = None
    group: str | None = None
    logo: str | None = None
    """A URL; empty: none, whatever is listed."""
    favourite: bool | None = None
    tvg_id: str | None = None
    """The guide channel it is mapped to; empty: to none."""
    upstreams: tuple[str, ...] | None = None
    """Digests in the order in which they are to be tried; those not named come after, as listed."""

    @property
    def edited(self) -> tuple[str, ...]:
        """Names of the fields that are changed."""
        return tuple(name for name in FIELDS if getattr(self, name) is not None)


FIELDS: Final = tuple(field.name for field in fields(Edit))
"""Of an edit; the same names stand in requests, events and the stored table."""

AS_LISTED: Final = Edit()

Edits = Mapping[ChannelId, Edit]
"""By channel; also of channels that are not listed at the moment, and may be again."""

Patch = Mapping[str, Any]
"""Some fields of an `Edit`, by name; None: as it is listed again."""

_ATTRIBUTES: Final = {"name": "guide_name"}
"""Where a channel calls a field otherwise than an edit does."""


def field_of(channel: Channel, field: str) -> Any:
    """What a channel has in a field, in the terms of an edit."""
    if field == "upstreams":
        return tuple(upstream.digest for upstream in channel.upstreams)
    return getattr(channel, _ATTRIBUTES.get(field, field))


def apply(listed: Lineup, edits: Edits) -> Lineup:
    """The lineup with the edits laid over it. Linear in the lineup: not on the event loop.

    Numbers stay unique: an edited one comes before a listed one, an enabled channel before a
    disabled one; who is left without gets the lowest free whole number.
    """
    if not any(listed.has(channel) for channel in edits):
        return listed
    channels = [_edited(channel, edits.get(channel.id, AS_LISTED)) for channel in listed.everything]
    numbers = _numbered(channels, edits)
    return Lineup(
        channel
        if channel.guide_number == numbers[channel.id]
        else replace(channel, guide_number=numbers[channel.id])
        for channel in channels
    )


def _edited(channel: Channel, edit: Edit) -> Channel:
    changes = {
        _ATTRIBUTES.get(name, name): getattr(edit, name)
        for name in edit.edited
        if name != "upstreams"
    }
    if edit.upstreams is not None:
        changes["upstreams"] = _ordered(channel.upstreams, edit.upstreams)
    return replace(channel, **changes) if changes else channel


def _ordered(upstreams: tuple[Upstream, ...], wanted: tuple[str, ...]) -> tuple[Upstream, ...]:
    place = {digest: at for at, digest in enumerate(wanted)}
    return tuple(sorted(upstreams, key=lambda upstream: place.get(upstream.digest, len(place))))


def _numbered(channels: Iterable[Channel], edits: Edits) -> dict[ChannelId, str]:
    """A number for each. Ids break ties, so that the order of a list has no say."""

    def claim(channel: Channel) -> tuple[bool, bool, ChannelId]:
        asked = edits.get(channel.id, AS_LISTED).guide_number is not None
        return not channel.enabled, not asked, channel.id

    free = FreeNumbers()
    numbers: dict[ChannelId, str] = {}
    left: list[Channel] = []
    for channel in sorted(channels, key=claim):
        if free.take(channel.guide_number):
            numbers[channel.id] = channel.guide_number
        else:
            left.append(channel)
    for channel in left:
        numbers[channel.id] = free.next()
    return numbers
