"""Lineups for the tests of edits: numbers, names and groups, and nothing else that matters."""

from collections.abc import Mapping

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edits import Edit, apply
from plexbridge.lineup.edits_plan import Patches, Plan, plan
from plexbridge.relay.ports import Upstream

SECRET = "http://user:secret@host/live"


def upstream(digest: str) -> Upstream:
    """One that is told apart by its digest."""
    return Upstream(
        source=SourceId("house"),
        url=f"{SECRET}/{digest}",
        redacted="http://host/***",
        digest=digest.rjust(16, "0"),
    )


def channel(
    id_: str,
    number: str,
    name: str = "",
    group: str = "",
    *,
    tvg_id: str = "",
    logo: str = "",
    enabled: bool = True,
    upstreams: tuple[str, ...] = ("a", "b"),
) -> Channel:
    """A channel that is listed."""
    return Channel(
        id=ChannelId(id_),
        guide_number=number,
        guide_name=name or f"Channel {id_}",
        group=group,
        tvg_id=tvg_id,
        logo=logo,
        enabled=enabled,
        upstreams=tuple(map(upstream, upstreams)),
    )


LISTED = Lineup(
    (
        channel("one", "1", "News One", "News"),
        channel("two", "2", "News Two", "News"),
        channel("five", "5", "Sport", "Sport"),
        channel("six", "6", "More Sport", "Sport"),
    )
)


def numbers(lineup: Lineup) -> dict[str, str]:
    """Guide numbers by id, disabled channels too."""
    return {one.id: one.guide_number for one in lineup.everything}


def edits(**given: Edit) -> dict[ChannelId, Edit]:
    """By channel."""
    return {ChannelId(key): edit for key, edit in given.items()}


def planned(patches: Mapping[str, Mapping[str, object]], **given: Edit) -> Plan:
    """What patches come to on `LISTED` with these edits."""
    made: Patches = {ChannelId(key): patch for key, patch in patches.items()}
    return plan(LISTED, apply(LISTED, edits(**given)), edits(**given), made)
