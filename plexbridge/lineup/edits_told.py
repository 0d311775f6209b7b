"""How a plan is told: to the log, to a program, and in the words of the dialog. Pure.

No address of a provider is in any of it: of a logo and of upstreams only that they change.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from events.ids import ChannelId
from plexbridge.lineup.channels import Channel
from plexbridge.lineup.edits import field_of
from plexbridge.lineup.edits_plan import PLEX_CHANNELS_MAX, Changed, Plan

NAMES_RECORDED: Final = 100
"""Channels written into an event or an answer (DESIGN section 5); the rest is counted."""

_UNTOLD: Final = frozenset({"logo", "upstreams"})
"""Their values are addresses, or stand for some."""

Watching = Callable[[ChannelId], int]
"""Sessions on a channel at the moment."""


def event_of(plan: Plan, *, by: str, how: str) -> dict[str, Any]:
    """What the event `edited` carries. `by`: who; `how`: by which way."""
    fields = sorted({field for one in plan.changed for field in one.fields})
    return {
        "by": by,
        "how": how,
        "fields": fields,
        "channels": len(plan.changed),
        "enabled": len(plan.lineup),
        "digest": plan.lineup.digest,
        "changed": [
            {
                "id": one.after.id,
                "guide_number": one.after.guide_number,
                "name": one.after.guide_name,
                "fields": list(one.fields),
            }
            for one in plan.changed[:NAMES_RECORDED]
        ],
    }


def document_of(plan: Plan, watching: Watching, *, preview: bool) -> dict[str, Any]:
    """What a program is told, of a preview and of a change alike."""
    return {
        "preview": preview,
        "changes": len(plan.changed),
        "enabled": len(plan.lineup),
        "consequences": consequences(plan, watching),
        "hint": plex_hint(len(plan.lineup)),
        "channels": [_changed_document(one) for one in plan.changed[:NAMES_RECORDED]],
    }


def _changed_document(changed: Changed) -> dict[str, Any]:
    told = [field for field in changed.fields if field not in _UNTOLD]
    return {
        "id": changed.after.id,
        "guide_number": changed.after.guide_number,
        "name": changed.after.guide_name,
        "fields": list(changed.fields),
        "before": {field: field_of(changed.before, field) for field in told},
        "after": {field: field_of(changed.after, field) for field in told},
    }


def consequences(plan: Plan, watching: Watching) -> list[str]:
    """What it means for those who watch, in sentences; nothing where nobody would notice."""
    told: list[str] = []
    for differs, singular, plural in (
        (_vanishes, "disappears from players", "disappear from players"),
        (_appears, "appears in players", "appear in players"),
        (_moves, "gets another number", "get other numbers"),
        (_renamed, "is called otherwise", "are called otherwise"),
    ):
        found = [one for one in plan.changed if differs(one)]
        if found:
            told.append(_counted(len(found), singular, plural))
    if any(_vanishes(one) or _appears(one) or _moves(one) for one in plan.changed):
        told.append("Plex and Jellyfin know of it after their next channel scan.")
    moved = [one.before for one in plan.changed if one.before.favourite and _moves(one)]
    if moved:
        told.append(_counted(len(moved), "of them is a favourite", "of them are favourites", ""))
    told += _watched([one.before for one in plan.changed if _vanishes(one)], watching)
    return told


def _watched(vanishing: Iterable[Channel], watching: Watching) -> list[str]:
    sessions = sum(watching(channel.id) for channel in vanishing)
    if not sessions:
        return []
    who = "1 viewer is" if sessions == 1 else f"{sessions} viewers are"
    return [f"{who} watching now and can go on; nobody can tune to it again."]


def _counted(number: int, singular: str, plural: str, noun: str = " channel") -> str:
    if number == 1:
        return f"1{noun} {singular}."
    return f"{number:,}{noun and f'{noun}s'} {plural}."


def _vanishes(one: Changed) -> bool:
    return one.before.enabled and not one.after.enabled


def _appears(one: Changed) -> bool:
    return one.after.enabled and not one.before.enabled


def _moves(one: Changed) -> bool:
    both = one.before.enabled and one.after.enabled
    return both and one.before.guide_number != one.after.guide_number


def _renamed(one: Changed) -> bool:
    return one.after.enabled and one.before.guide_name != one.after.guide_name


def plex_hint(enabled: int) -> str | None:
    """What to know before Plex is given so many channels; None where it manages them."""
    if enabled <= PLEX_CHANNELS_MAX:
        return None
    return (
        f"{enabled:,} channels are enabled: Plex manages about {PLEX_CHANNELS_MAX} of one tuner. "
        "Disable those that nobody watches, by group for instance."
    )
