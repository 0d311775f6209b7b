"""One bad night, as the real rules record it: a provider that fails, a storm of zapping, a crash.

The log that `docs/audit.md` walks through. The same each time it is made.
"""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from events.commands import Command, Note, Recover, Started
from events.decide import decide
from events.envelope import NewEvent
from events.ids import ChannelId, ConnectionId, SessionId
from events.machine import MACHINE_ID
from events.policy import Policy
from events.world import World, evolve
from plexbridge.clock import ManualClock
from plexbridge.control.stamp import Stamper
from plexbridge.ids import Ids
from tests.core.given import (
    Sockets,
    at,
    closed,
    first_byte,
    linger_over,
    lost,
    moves,
    opened,
    plex,
    progress,
    socket_gone,
    took,
    tune,
    vlc,
)
from tests.core.stamped_history import actor_of

THREE_O_CLOCK = 17_200.0
"""Seconds from the stories' beginning (22:13:20 UTC) to 03:00 UTC."""
SOURCES = [("main", 2), ("spare", 1)]
LIVING_ROOM = "01HF7YBEDR00M0000000000001"
BEDROOM = "01HF7YBEDR00M0000000000002"
ZAPPER = "01HF7YBEDR00M000000000000"
KITCHEN = "01HF7YBEDR00M0000000000009"


@dataclass(slots=True)
class Night:
    """What happened so far; `appends` are the transactions of the log."""

    policy: Policy = field(default_factory=lambda: Policy(tuners=3, admission_wait_ms=0))
    world: World = field(default_factory=World)
    appends: list[tuple[NewEvent, ...]] = field(default_factory=list)
    stamper: Stamper = field(
        default_factory=lambda: Stamper(Ids(ManualClock(), Random(3).getrandbits), node="local")
    )

    def do(self, *commands: Command) -> None:
        """Decide, stamp, record."""
        for command in commands:
            drafts = decide(command, self.world).drafts
            happened = self.stamper.stamp(drafts, self.world, actor=actor_of(command))
            for event in happened:
                evolve(self.world, event)
            if happened:
                self.appends.append(happened)

    def lease(self, channel: str) -> int:
        """The version of a channel's lease in force."""
        return self.world.leases[ChannelId(channel)].ver

    def starts(self, second: float) -> None:
        """The bridge starts, and takes back what a crash left open."""
        moment = at(THREE_O_CLOCK + second)
        self.do(
            Recover(at=moment),
            Started(at=moment, version="0.1.0", machine=MACHINE_ID, policy=self.policy),
        )


def _tune(session: str, channel: str, second: float, client: Any, number: int) -> Command:
    asked = tune("s1", channel, second=THREE_O_CLOCK + second, client=client, sources=SOURCES)
    return replace(
        asked,
        session=SessionId(session),
        connection=ConnectionId(number),
        refusal_id=f"refusal{number}",
    )


def _flows(channel: str, second: float, attempt: int = 1, lease: int = 1) -> tuple[Command, ...]:
    when = THREE_O_CLOCK + second
    return (
        opened(channel, second=when, attempt=attempt, lease=lease),
        first_byte(channel, second=when + 0.1, attempt=attempt, lease=lease),
    )


def _took(session: str, size: int, second: float) -> Command:
    return replace(took("s1", size, second=THREE_O_CLOCK + second), session=SessionId(session))


def _closed(session: str, number: int, size: int, second: float) -> Command:
    moment = THREE_O_CLOCK + second
    return replace(
        closed("s1", second=moment, connection=number, seen=progress(size, moment)),
        session=SessionId(session),
    )


def bad_night() -> list[tuple[NewEvent, ...]]:
    """The appends of the night of 15 November 2023, from 03:00 to 03:40 UTC."""
    night = Night()
    night.starts(0)
    refreshed = (("channels", 6), ("digest", "8f3c2a9d11e04b57"))
    night.do(Note(at=at(THREE_O_CLOCK + 1), stream="lineup", type="refreshed", payload=refreshed))
    living_room, bedroom, zapper = plex("living-room"), plex("bedroom"), vlc()
    night.do(
        _tune(LIVING_ROOM, "1", 60, living_room, 1),
        *_flows("1", 60.4),
        _took(LIVING_ROOM, 900_000, 60.6),
        _tune(BEDROOM, "2", 120, bedroom, 2),
        *_flows("2", 120.3),
        _took(BEDROOM, 700_000, 120.5),
        _took(LIVING_ROOM, 540_000_000, 600),
    )
    _provider_fails(night)
    _zap_storm(night, zapper)
    night.starts(960)  # killed at 03:15, started again at 03:16
    night.do(_tune(KITCHEN, "3", 1_000, zapper, 20))
    lease = night.lease("3")
    night.do(
        *_flows("3", 1_000.2, lease=lease),
        _took(KITCHEN, 800_000, 1_000.5),
        _closed(KITCHEN, 20, 95_000_000, 1_100),
        linger_over("3", second=THREE_O_CLOCK + 1_105, lease=lease),
        socket_gone("3", second=THREE_O_CLOCK + 1_105.02, lease=lease),
    )
    return night.appends


def _provider_fails(night: Night) -> None:
    """03:10: channel 1 is cut off, reconnects in vain, and goes on with the other account."""
    when = THREE_O_CLOCK + 600.5
    sockets: Sockets = {LIVING_ROOM: progress(540_400_000, when - 0.1)}
    night.do(
        lost("1", second=when, sockets=sockets),
        lost("1", second=when + 0.4, attempt=2, gave_bytes=False, sockets=sockets),
        moves("spare", "1", second=when + 0.4, allowed=1),
        *_flows("1", 601.2, attempt=3),
        _took(LIVING_ROOM, 540_900_000, 601.5),
        _took(LIVING_ROOM, 620_000_000, 700),
    )


def _zap_storm(night: Night, zapper: Any) -> None:
    """03:11:40: a viewer zaps through the channels; another is refused meanwhile."""
    guest = plex("guest")
    for turn, channel in enumerate(("3", "4", "5")):
        second = 700 + turn * 4.0
        session = f"{ZAPPER}{3 + turn}"
        night.do(_tune(session, channel, second, zapper, 3 + turn))
        lease = night.lease(channel)
        night.do(
            *_flows(channel, second + 0.2, lease=lease),
            _took(session, 400_000, second + 0.5),
        )
        if channel == "5":
            night.do(_tune(f"{ZAPPER}8", "6", second + 2, guest, 8))
        night.do(_closed(session, 3 + turn, 3_600_000, second + 3.5))
        night.do(
            linger_over(channel, second=THREE_O_CLOCK + second + 8.5, lease=lease),
            socket_gone(channel, second=THREE_O_CLOCK + second + 8.52, lease=lease),
        )
