"""From matched channels to the edits that make ours what theirs were. Pure.

Only what differs from our listing becomes an edit. Where a number is wanted twice, or an edit of
ours holds it, the import goes without and says so; a channel that merely happens to be listed under
an imported number is moved to a free one.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from events.ids import ChannelId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edits import AS_LISTED, Edits
from plexbridge.lineup.edits_plan import Patches
from plexbridge.lineup.edits_reading import is_logo
from plexbridge.lineup.importing.foreign import ForeignChannel
from plexbridge.lineup.importing.matching import Pair
from plexbridge.lineup.numbering import FreeNumbers, guide_number
from plexbridge.lineup.redact import digest


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import comes to."""

    patches: Patches
    left_out: tuple[str, ...]
    """What could not be taken over, a sentence each."""
    moved: int
    """Channels of ours that make room for an imported number."""
    disabled: int
    """Channels of ours that are in nothing that was imported, and are disabled for it."""


def imported(
    pairs: Sequence[Pair], served: Lineup, edits: Edits, key: bytes, *, disable_others: bool
) -> Imported:
    """The edits. `served`: the lineup with the edits that there are now. `disable_others`: players
    are given nothing but what was imported."""
    patches = {pair.ours.id: _patch(pair, key) for pair in pairs}
    others = [channel for channel in served.everything if channel.id not in patches]
    left_out: list[str] = []
    wanted = _wanted(pairs, left_out)
    _yield_to_edited(others, edits, wanted, left_out)
    staying = [] if disable_others else [other for other in others if other.enabled]
    numbers = {pair.ours.id: number for number, pair in wanted.items()}
    unnumbered = [pair.ours for pair in pairs if pair.ours.id not in numbers]
    _yield_to_enabled(wanted, pairs, served, {other.guide_number for other in staying})
    for channel in unnumbered:
        if edits.get(channel.id, AS_LISTED).guide_number in wanted:
            patches[channel.id]["guide_number"] = None
    moved = _make_room(staying, wanted, served, patches)
    disabled = [other for other in others if other.enabled] if disable_others else []
    for other in disabled:
        patches[other.id] = {"enabled": False}
    for number, pair in wanted.items():
        patches[pair.ours.id]["guide_number"] = number
    return Imported(patches, tuple(left_out), moved, len(disabled))


def _patch(pair: Pair, key: bytes) -> dict[str, Any]:
    foreign, ours = pair.foreign, pair.ours
    patch: dict[str, Any] = {"enabled": foreign.enabled}
    for field, theirs, listed in (
        ("name", foreign.name, ours.guide_name),
        ("group", foreign.group, ours.group),
        ("tvg_id", foreign.guide_id, ours.tvg_id),
        ("logo", foreign.logo if is_logo(foreign.logo) else "", ours.logo),
    ):
        if theirs and theirs != listed:
            patch[field] = theirs
    order = _order(foreign, ours, key)
    if order:
        patch["upstreams"] = order
    return patch


def _order(foreign: ForeignChannel, ours: Channel, key: bytes) -> list[str]:
    """Our upstreams as they had them; nothing where that is how they are listed."""
    listed = [upstream.digest for upstream in ours.upstreams]
    theirs = [one for one in (digest(url, key) for url in foreign.urls) if one in listed]
    return theirs if theirs != listed[: len(theirs)] else []


def _wanted(pairs: Iterable[Pair], left_out: list[str]) -> dict[str, Pair]:
    """Who is to have which number; of two that want one, whom players see, else the first."""
    wanted: dict[str, Pair] = {}
    for pair in sorted(pairs, key=lambda pair: not pair.foreign.enabled):
        text = pair.foreign.number
        number = guide_number(text)
        if number is None:
            if text:
                left_out.append(f"{pair.foreign.told}: {text} is no guide number")
        elif wanted.setdefault(number, pair) is not pair and pair.foreign.enabled:
            left_out.append(f"{pair.foreign.told}: {wanted[number].foreign.name} has it too")
    return wanted


def _yield_to_edited(
    others: Iterable[Channel], edits: Edits, wanted: dict[str, Pair], left_out: list[str]
) -> None:
    for other in others:
        number = edits.get(other.id, AS_LISTED).guide_number
        pair = None if number is None else wanted.pop(number, None)
        if pair is not None:
            left_out.append(f"{pair.foreign.told}: {other.guide_name} was given this number here")


def _yield_to_enabled(
    wanted: dict[str, Pair], pairs: Iterable[Pair], served: Lineup, staying: Set[str]
) -> None:
    """A disabled channel goes without a number that an enabled one has, and asks for none later."""
    wishing = {pair.ours.id for pair in wanted.values()}
    kept = {
        now.guide_number
        for pair in pairs
        if pair.foreign.enabled
        and pair.ours.id not in wishing
        and (now := served.by_id(pair.ours.id, disabled=True)) is not None
    }
    for number, pair in list(wanted.items()):
        if not pair.foreign.enabled and (number in staying or number in kept):
            del wanted[number]


def _make_room(
    staying: Iterable[Channel],
    wanted: Mapping[str, Pair],
    served: Lineup,
    patches: dict[ChannelId, dict[str, Any]],
) -> int:
    free = FreeNumbers()
    for number in (*wanted, *(channel.guide_number for channel in served.everything)):
        free.take(number)
    moving = [other for other in staying if other.guide_number in wanted]
    for other in moving:
        patches[other.id] = {"guide_number": free.next()}
    return len(moving)
