"""Changes of many channels at once: which are meant, and what each is to become. Pure.

A request says both; from it and a lineup come patches, one for each channel. Numbering goes in
guide order, or by groups, and never takes a number that an enabled channel keeps.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from events.ids import ChannelId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edits import Edits, Patch
from plexbridge.lineup.edits_plan import Patches
from plexbridge.lineup.edits_reading import EditInvalid, patch_of
from plexbridge.lineup.finding import QUERY_CHARS, Filter, matching
from plexbridge.lineup.numbering import guide_number, rank

IDS_MAX: Final = 250_000
"""Channels named one by one in a request, as an import does it."""

NUMBER_MAX: Final = 999_999
"""The highest guide number that is handed out."""

_ONE_BY_ONE_ONLY: Final = ("guide_number", "name", "logo", "tvg_id", "upstreams")
"""Not one value for many channels; many can have theirs back as listed."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """How selected channels are to be numbered."""

    start: int | None = None
    """Counting up from here, in guide order."""
    groups: Mapping[str, int] = field(default_factory=dict)
    """Counting up within a group from its own number; other groups keep theirs."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A request: either the same for all that are selected, or each its own."""

    select: Filter | None = None
    ids: frozenset[ChannelId] | None = None
    patch: Patch = field(default_factory=dict)
    numbering: Numbering | None = None
    each: Patches = field(default_factory=dict)
    preview: bool = False


def bulk_of(document: object) -> Bulk:
    """Read `{select, set, preview}` or `{each, preview}`.

    Raises:
        EditInvalid: with what cannot be.
    """
    if not isinstance(document, Mapping) or document.keys() - _BODY:
        raise EditInvalid("body", f"an object of {', '.join(sorted(_BODY))} is wanted")
    preview = document.get("preview", False)
    if not isinstance(preview, bool):
        raise EditInvalid("preview", "true or false")
    if "each" in document:
        return Bulk(each=_each(document["each"]), preview=preview)
    select, ids = _selection(document.get("select"))
    patch, numbering = _wishes(document.get("set"))
    return Bulk(select=select, ids=ids, patch=patch, numbering=numbering, preview=preview)


_BODY: Final = frozenset({"select", "set", "each", "preview"})
_SWITCHES: Final = ("enabled", "favourite", "edited")
_SELECT: Final = frozenset({"all", "q", "group", "ids", *_SWITCHES})


def _each(given: object) -> Patches:
    if not isinstance(given, Mapping) or not given or len(given) > IDS_MAX:
        raise EditInvalid("each", f"up to {IDS_MAX} channel ids are wanted, with fields to change")
    return {ChannelId(str(channel)): patch_of(patch) for channel, patch in given.items()}


def _selection(given: object) -> tuple[Filter, frozenset[ChannelId] | None]:
    if not isinstance(given, Mapping) or not given or given.keys() - _SELECT:
        raise EditInvalid("select", f"one or more of {', '.join(sorted(_SELECT))} are wanted")
    ids, query, group = given.get("ids"), given.get("q", ""), given.get("group")
    if given.get("all", True) is not True:
        raise EditInvalid("select.all", "true, or left out")
    if not isinstance(query, str) or len(query) > QUERY_CHARS:
        raise EditInvalid("select.q", f"words of at most {QUERY_CHARS} characters together")
    if group is not None and not isinstance(group, str):
        raise EditInvalid("select.group", "a group's name is wanted")
    for name in _SWITCHES:
        if not isinstance(given.get(name, True), bool):
            raise EditInvalid(f"select.{name}", "true or false")
    if ids is not None and (not isinstance(ids, list) or not 0 < len(ids) <= IDS_MAX):
        raise EditInvalid("select.ids", f"up to {IDS_MAX} channel ids are wanted")
    chosen = Filter(query=query, group=group, **{name: given.get(name) for name in _SWITCHES})
    return chosen, None if ids is None else frozenset(ChannelId(str(one)) for one in ids)


def _wishes(given: object) -> tuple[Patch, Numbering | None]:
    if not isinstance(given, Mapping) or not given:
        raise EditInvalid("set", "fields to change are wanted, or `number`")
    fields = {name: value for name, value in given.items() if name != "number"}
    patch = patch_of(fields) if fields else {}
    for name in _ONE_BY_ONE_ONLY:
        if patch.get(name) is not None:
            raise EditInvalid(f"set.{name}", "many channels can only have null: as it is listed")
    if "number" not in given:
        return patch, None
    if "guide_number" in patch:
        raise EditInvalid("set.number", "not together with guide_number")
    if given["number"] == "listed":
        return {**patch, "guide_number": None}, None
    return patch, _numbering(given["number"])


def _numbering(given: object) -> Numbering:
    wanted = '"listed", {"from": 100} or {"groups": {"News": 100}}'
    if isinstance(given, Mapping) and given.keys() == {"from"}:
        return Numbering(start=_start("set.number.from", given["from"]))
    if isinstance(given, Mapping) and given.keys() == {"groups"}:
        groups = given["groups"]
        if isinstance(groups, Mapping) and groups:
            return Numbering(
                groups={str(g): _start("set.number.groups", n) for g, n in groups.items()}
            )
    raise EditInvalid("set.number", f"{wanted} is wanted")


def _start(name: str, value: object) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if guide_number(text) is None or "." in text:
        raise EditInvalid(name, f"a whole number from 1 to {NUMBER_MAX} is wanted")
    return int(text)


def patches(bulk: Bulk, served: Lineup, edits: Edits) -> Patches:
    """What each channel that is meant is to become.

    Raises:
        EditInvalid: the numbers do not suffice.
    """
    if bulk.each:
        return bulk.each
    assert bulk.select is not None, "a request selects, or names each"
    meant = [
        channel
        for channel in matching(served, bulk.select, edits)
        if bulk.ids is None or channel.id in bulk.ids
    ]
    found: dict[ChannelId, dict[str, Any]] = {channel.id: dict(bulk.patch) for channel in meant}
    if bulk.numbering is not None:
        enabled = bulk.patch.get("enabled")
        to_number = [c for c in meant if (c.enabled if enabled is None else enabled)]
        for channel_id, number in _numbers(bulk.numbering, to_number, served):
            found[channel_id]["guide_number"] = number
    return {channel: patch for channel, patch in found.items() if patch}


def _numbers(
    numbering: Numbering, meant: Iterable[Channel], served: Lineup
) -> Iterator[tuple[ChannelId, str]]:
    """Only enabled channels are numbered; a disabled one gives way to them."""
    numbered = [c for c in meant if numbering.start is not None or c.group in numbering.groups]
    numbered.sort(key=lambda channel: rank(channel.guide_number))
    theirs = {channel.id for channel in numbered}
    taken = {c.guide_number for c in served.channels if c.id not in theirs}
    counters = {"": numbering.start} if numbering.start is not None else {**numbering.groups}
    for channel in numbered:
        counter = "" if numbering.start is not None else channel.group
        number = counters[counter]
        assert number is not None, "each counter has a start"
        while str(number) in taken:
            number += 1
        if number > NUMBER_MAX:
            raise EditInvalid("set.number", f"there are not enough numbers up to {NUMBER_MAX}")
        taken.add(str(number))
        counters[counter] = number + 1
        yield channel.id, str(number)
