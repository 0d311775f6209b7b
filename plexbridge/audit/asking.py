"""From a recorded grant or refusal back to what the player asked.

A log holds what was given and why something was refused, not every upstream a channel had. Where
the record leaves a choice, several commands are offered, the likeliest first.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from events.appends import Append, Read
from events.commands import (
    ChannelRef,
    ClientRef,
    Command,
    Progress,
    Tune,
    TuneTooOften,
    TuneUnknown,
)
from events.ids import (
    ChannelId,
    ConnectionId,
    SessionId,
    SourceId,
    TunerNumber,
    UnixMicros,
)
from events.machine import DISCONNECT
from events.world import World

SourcesKnown = dict[ChannelId, dict[SourceId, int]]
"""Sources that a channel was read from so far, with the connections each allowed."""

NO_BOUND: Final = (SourceId("unknown"), 0)
"""Stands in for the sources of a channel that was never read: one that allows any number."""

# A refusal's numbers are recorded in its sentence (`events.refusals`).
_ASKED_TUNER: Final = re.compile(
    r"no tuner (\d+):|tuner (\d+) is on another channel|on tuner \d+ already, not on (\d+)"
)
_FULL: Final = re.compile(r"source (.+) allows (\d+) connections")
_TOO_OFTEN: Final = re.compile(r"begins more than (\d+) streams a second")


def asked_and_given(append: Append, world: World, known: SourcesKnown) -> Iterator[Tune]:
    """What a player asked who was given a session: the append ends with its `connect`.

    Not recorded, and so assumed: that it would have gone on to the other sources its channel was
    ever read from, in the order in which they were first seen; a tuner by number, unless its route
    was `/tuner{n}`.
    """
    connect = append[-1]
    data = connect.payload
    channel = ChannelId(data["channel"]["id"])
    session = SessionId(connect.stream.removeprefix("session-"))
    leased = next((one for one in append if one.type == "tuner_leased"), None)
    source = SourceId(data["source"])
    allowed = known.get(channel, {}).get(source, 0)
    if leased is not None:
        allowed = leased.payload["allowed"]
    given = (source, allowed)
    tune = Tune(
        at=connect.at,
        asked_at=_asked_at(connect),
        # One that came back would have begun a session of its own, had its old one been gone.
        session=SessionId(f"{session}~{connect.pos}") if data["resumed"] else session,
        connection=ConnectionId(data["connection"]),
        channel=_channel(data["channel"], (given,)),
        client=client_of(data["client"]),
        kind=data["kind"],
        tuner=TunerNumber(data["tuner"]) if data["kind"] == "tuner" else None,
        refusal_id=f"refusal-{connect.pos}",
        progress=tuple(_handed_over(one) for one in append if one.type == DISCONNECT),
    )
    others = tuple(one for one in known.get(channel, {}).items() if one[0] != source)
    if others:
        yield replace(tune, channel=_channel(data["channel"], (given, *others)))
    yield tune


def refused(read: Read, world: World, known: SourcesKnown) -> Iterator[Command]:
    """What a player asked who was refused.

    Not recorded, and so assumed: the session and the connection it would have had, its route, and
    the sources of its channel: those it was ever read from, else one without a bound, else (where
    it was refused although its viewer had a tuner to hand over) one that is full.
    """
    data: Any = read.payload
    client = client_of(data["client"])
    if data["rule"] == "too_many_starts":
        found = _TOO_OFTEN.search(data["text"])
        yield TuneTooOften(
            at=read.at,
            asked=data["asked"],
            client=client,
            per_second=int(found[1]) if found else 0,
            refusal_id=data["id"],
        )
        return
    if data["channel"] is None:
        yield TuneUnknown(at=read.at, asked=data["asked"], client=client, refusal_id=data["id"])
        return
    for sources in _sources(data, world, known):
        yield Tune(
            at=read.at,
            asked_at=_asked_at(read),
            session=SessionId(data["id"]),
            connection=ConnectionId(-read.pos),
            channel=_channel(data["channel"], sources),
            client=client,
            kind="auto",
            tuner=_tuner_asked(data["text"]),
            refusal_id=data["id"],
        )


def client_of(data: dict[str, Any]) -> ClientRef:
    """The player, as recorded; words of a newer version are left aside."""
    return ClientRef(**{name: data[name] for name in ClientRef.__dataclass_fields__})


def _sources(
    data: Any, world: World, known: SourcesKnown
) -> Iterator[tuple[tuple[SourceId, int], ...]]:
    full = _FULL.search(data["text"])
    if full is not None:
        yield ((SourceId(full[1]), int(full[2])),)
    seen = known.get(ChannelId(data["channel"]["id"]))
    if seen:
        yield tuple(seen.items())
    yield (NO_BOUND,)
    held = (lease.source for lease in world.leases.values() if lease.empty_since is None)
    for source in dict.fromkeys(held):
        yield ((source, 1),)


def _tuner_asked(text: str) -> TunerNumber | None:
    found = _ASKED_TUNER.search(text)
    if found is None:
        return None
    return TunerNumber(int(next(number for number in found.groups() if number is not None)))


def _handed_over(end: Read) -> tuple[SessionId, Progress]:
    data = end.payload
    progress = Progress(bytes=data["bytes"], accepted_at=UnixMicros(data["accepted_at"]))
    return SessionId(end.stream.removeprefix("session-")), progress


def _asked_at(read: Read) -> UnixMicros:
    return UnixMicros(read.at - read.payload["waited_ms"] * 1_000)


def _channel(data: dict[str, Any], sources: tuple[tuple[SourceId, int], ...]) -> ChannelRef:
    return ChannelRef(
        id=ChannelId(data["id"]),
        guide_number=data["guide_number"],
        name=data["name"],
        sources=sources,
    )
