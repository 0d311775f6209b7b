"""What some changes would come to, before anything is changed. Pure.

A plan is made for a preview and for the change itself, so that both say the same. It is refused
where somebody else's guide number would move: players know channels by their numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from events.ids import ChannelId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edits import AS_LISTED, FIELDS, Edit, Edits, Patch, apply, field_of

PLEX_CHANNELS_MAX: Final = 480
"""Channels of one device that Plex is generally found to manage; more is a hint, never a fault."""

Patches = Mapping[ChannelId, Patch]


class UnknownChannel(Exception):
    """No channel is listed under this id."""

    def __init__(self, channel: str) -> None:
        super().__init__(f"no channel has the id {channel}")
        self.channel = channel


class NumberTaken(Exception):
    """Two channels would have one guide number."""

    def __init__(self, guide_number: str, names: tuple[str, str]) -> None:
        wanting, having = names
        super().__init__(f"{guide_number} is {having}'s: {wanting} cannot have it too")
        self.guide_number = guide_number
        self.names = names
        """Who wants it, and who has it."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One channel that would be another one."""

    before: Channel
    after: Channel
    fields: tuple[str, ...]
    """Those of an edit that are set otherwise, and those in which the channel differs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that would follow."""

    edits: Mapping[ChannelId, Edit]
    """Of the channels that are changed only; `AS_LISTED` where nothing is left of one."""
    lineup: Lineup
    changed: tuple[Changed, ...]
    """In guide order."""


def plan(listed: Lineup, served: Lineup, edits: Edits, patches: Patches) -> Plan:
    """What `patches` come to. `served`: the lineup that follows from `edits` now.

    Raises:
        UnknownChannel: a patch for a channel that is not listed.
        NumberTaken: a number was asked for that another channel keeps.
    """
    made: dict[ChannelId, Edit] = {}
    for channel_id, patch in patches.items():
        channel = listed.by_id(channel_id, disabled=True)
        if channel is None:
            raise UnknownChannel(channel_id)
        before = edits.get(channel_id, AS_LISTED)
        after = _plain(channel, replace(before, **patch))
        if after != before:
            made[channel_id] = after
    if not made:
        return Plan(made, served, ())
    lineup = apply(listed, {**edits, **made})
    changed = _changed(served, lineup, edits, made)
    _check_numbers(lineup, changed, patches)
    return Plan(made, lineup, changed)


def _plain(listed: Channel, edit: Edit) -> Edit:
    """Without what is not said by choosing it: a switch that stands as it is listed."""
    return replace(
        edit,
        enabled=None if edit.enabled == listed.enabled else edit.enabled,
        favourite=None if edit.favourite == listed.favourite else edit.favourite,
    )


def _changed(
    served: Lineup, lineup: Lineup, edits: Edits, made: Mapping[ChannelId, Edit]
) -> tuple[Changed, ...]:
    found: list[Changed] = []
    for after in lineup.everything:
        before = served.by_id(after.id, disabled=True)
        assert before is not None, "edits add no channel"
        old = edits.get(after.id, AS_LISTED)
        new = made.get(after.id, old)
        if before == after and old == new:
            continue
        names = tuple(
            name
            for name in FIELDS
            if getattr(old, name) != getattr(new, name)
            or field_of(before, name) != field_of(after, name)
        )
        found.append(Changed(before, after, names))
    return tuple(found)


def _check_numbers(lineup: Lineup, changed: tuple[Changed, ...], patches: Patches) -> None:
    """A change gives every number asked for, and takes none from an enabled channel beside it."""
    for one in changed:
        before, after = one.before, one.after
        asked = patches.get(after.id, {}).get("guide_number")
        if asked is not None and after.guide_number != asked:
            raise _taken(lineup, asked, after)
        if after.id in patches or not after.enabled or before.guide_number == after.guide_number:
            continue
        has_it = lineup.by_number(before.guide_number, disabled=True)
        if has_it is not None and has_it.id in patches:
            raise NumberTaken(before.guide_number, (has_it.guide_name, before.guide_name))


def _taken(lineup: Lineup, number: str, wanting: Channel) -> NumberTaken:
    having = lineup.by_number(number, disabled=True)
    assert having is not None, "else it would have been given"
    return NumberTaken(number, (wanting.guide_name, having.guide_name))
