"""What players are told of the tuners: the dashboard's rows; while those are being built, what the
decided state knows, so that a player is never told that a tuner is free which is not."""

from typing import Any

from events.world import Lease, World
from plexbridge.control.projector import Projector
from plexbridge.lineup.channels import Lineup

Row = dict[str, Any]


def tuner_rows(projector: Projector, world: World, lineup: Lineup) -> list[Row]:
    """One row per tuner, in use or not."""
    if projector.being_built is None:
        rows: list[Row] = projector.dashboard()["tuners"]
        return rows
    return decided_rows(world, lineup)


def decided_rows(world: World, lineup: Lineup) -> list[Row]:
    """Of the dashboard's rows what players are told."""
    by_tuner = {int(lease.tuner): lease for lease in world.leases.values()}
    return [
        _row(number, by_tuner.get(number), world, lineup) for number in range(world.policy.tuners)
    ]


def _row(number: int, lease: Lease | None, world: World, lineup: Lineup) -> Row:
    if lease is None:
        return {"tuner": number, "channel": None, "client_address": None}
    listed = lineup.by_id(lease.channel)
    first = world.sessions.get(lease.sessions[0]) if lease.sessions else None
    return {
        "tuner": number,
        "channel": {
            "id": lease.channel,
            "guide_number": "" if listed is None else listed.guide_number,
            "name": lease.channel if listed is None else listed.guide_name,
        },
        "client_address": None if first is None else first.address,
    }
