"""Given what happened, when this is asked, then these events follow: the words of the core tests.

Knows how to make commands short and how to tell events in one line. Stamps drafts with versions
only: identity and causes are the shell's. Every `when` also checks that deciding changed nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from events.commands import (
    Accepted,
    ChangeSource,
    ChannelRef,
    ClientRef,
    Command,
    Disconnect,
    Expire,
    LingerOver,
    Progress,
    Stop,
    Tune,
    UpstreamClosed,
    UpstreamCompleted,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamOpened,
)
from events.decide import decide
from events.decision import Decision
from events.envelope import Draft, NewEvent
from events.ids import ChannelId, ConnectionId, SessionId, SourceId, TunerNumber, UnixMicros
from events.policy import Policy
from events.refusals import Refused
from events.world import World, evolve

START = 1_700_000_000_000_000
"""Second 0 of every story, in microseconds since 1970."""


def at(second: float) -> UnixMicros:
    """A moment of the story."""
    return UnixMicros(START + round(second * 1_000_000))


def progress(size: int, second: float) -> Progress:
    """So many bytes were accepted, the last of them then."""
    return Progress(bytes=size, accepted_at=at(second))


Sockets = Mapping[str, Progress]


def _observed(sockets: Sockets) -> tuple[tuple[SessionId, Progress], ...]:
    return tuple((SessionId(name), seen) for name, seen in sockets.items())


def player(
    key: str = "plain",
    *,
    address: str = "10.0.0.9",
    user_agent: str = "Lavf/60",
    identified: bool = False,
    single_viewer: bool = False,
) -> ClientRef:
    """A client; by default a media server, which may read for several viewers."""
    return ClientRef(
        key=key,
        address=address,
        user_agent=user_agent,
        name=user_agent,
        identified=identified,
        single_viewer=single_viewer,
    )


def plex(key: str) -> ClientRef:
    """A client that sends an identifier of its own."""
    return player(f"id:{key}", identified=True)


def vlc(address: str = "10.0.0.7") -> ClientRef:
    """A player that serves one viewer."""
    return player(f"at:{address}", address=address, user_agent="VLC/3", single_viewer=True)


def tune(
    session: str,
    channel: str = "1",
    *,
    second: float = 0,
    asked: float | None = None,
    client: ClientRef | None = None,
    tuner: int | None = None,
    sources: Sequence[tuple[str, int]] = (("p", 0),),
    sockets: Sockets | None = None,
) -> Tune:
    """A player asks for a channel; its connection is numbered by the digits of `session`."""
    return Tune(
        at=at(second),
        asked_at=at(second if asked is None else asked),
        session=SessionId(session),
        connection=ConnectionId(int(session.strip("s"))),
        channel=ChannelRef(
            id=ChannelId(channel),
            guide_number=channel,
            name=f"Channel {channel}",
            sources=tuple((SourceId(name), allowed) for name, allowed in sources),
        ),
        client=client or player(f"player of {session}"),
        kind="auto",
        tuner=None if tuner is None else TunerNumber(tuner),
        refusal_id=f"refusal of {session}",
        progress=_observed(sockets or {}),
    )


def took(session: str, size: int, *, second: float) -> Accepted:
    """A client's socket accepted bytes, `size` by now."""
    return Accepted(at=at(second), session=SessionId(session), progress=progress(size, second))


def closed(
    session: str,
    *,
    second: float,
    connection: int | None = None,
    seen: Progress | None = None,
    reason: str = "client_disconnect",
) -> Disconnect:
    """A player closed its connection, by default the one its session began with."""
    number = int(session.strip("s")) if connection is None else connection
    return Disconnect(
        at=at(second),
        session=SessionId(session),
        connection=ConnectionId(number),
        reason=reason,
        detail="client_closed",
        progress=seen,
    )


def reported(session: str, reason: str, *, second: float) -> Disconnect:
    """A program says that a session's client is gone."""
    return Disconnect(
        at=at(second),
        session=SessionId(session),
        connection=None,
        reason=reason,
        detail="reported",
        progress=None,
    )


def stop(session: str, *, second: float, reason: str = "manual") -> Stop:
    """A person ends a session."""
    return Stop(
        at=at(second), session=SessionId(session), reason=reason, detail="asked", progress=None
    )


def expire(
    session: str,
    *,
    second: float,
    seen: Progress,
    waiting: bool = True,
    acknowledging: bool = False,
) -> Expire:
    """The ticker found a session past its deadline."""
    return Expire(
        at=at(second),
        session=SessionId(session),
        progress=seen,
        waiting=waiting,
        acknowledging=acknowledging,
    )


def opened(channel: str = "1", *, second: float, attempt: int = 1, lease: int = 1) -> Command:
    """An upstream answered."""
    return UpstreamOpened(
        at=at(second),
        channel=ChannelId(channel),
        lease=lease,
        attempt=attempt,
        url="http://provider/…",
        digest="0123456789abcdef",
    )


def first_byte(channel: str = "1", *, second: float, attempt: int = 1, lease: int = 1) -> Command:
    """An upstream delivered."""
    return UpstreamFirstByte(
        at=at(second), channel=ChannelId(channel), lease=lease, attempt=attempt, after_ms=70
    )


def lost(
    channel: str = "1",
    *,
    second: float,
    attempt: int = 1,
    lease: int = 1,
    gave_bytes: bool = True,
    more: bool = False,
    reason: str = "stream_failed",
    sockets: Sockets | None = None,
) -> Command:
    """An attempt on an upstream is over."""
    return UpstreamLost(
        at=at(second),
        channel=ChannelId(channel),
        lease=lease,
        attempt=attempt,
        reason=reason,
        detail="upstream_reset",
        gave_bytes=gave_bytes,
        more=more,
        progress=_observed(sockets or {}),
    )


def moves(
    source: str, channel: str = "1", *, second: float, allowed: int = 0, lease: int = 1
) -> Command:
    """A relay would go on with an upstream of another source."""
    return ChangeSource(
        at=at(second),
        channel=ChannelId(channel),
        lease=lease,
        source=SourceId(source),
        allowed=allowed,
        attempt=2,
    )


def completed(channel: str = "1", *, second: float, sockets: Sockets | None = None) -> Command:
    """A finite upstream was played to its end."""
    return UpstreamCompleted(
        at=at(second),
        channel=ChannelId(channel),
        lease=1,
        attempt=1,
        progress=_observed(sockets or {}),
    )


def socket_gone(channel: str = "1", *, second: float, lease: int = 1) -> Command:
    """The upstream socket of a returned lease is closed."""
    return UpstreamClosed(
        at=at(second),
        channel=ChannelId(channel),
        lease=lease,
        source=SourceId("p"),
        attempt=1,
    )


def linger_over(channel: str = "1", *, second: float, lease: int = 1) -> Command:
    """The ticker found a relay that nobody came back to."""
    return LingerOver(at=at(second), channel=ChannelId(channel), lease=lease)


def told(event: Draft | NewEvent) -> str:
    """One event in one line."""
    kind, _, name = event.stream.partition("-")
    data: Any = event.payload
    if kind == "session":
        why = f" {data['reason']}/{data['detail']}" if "reason" in data else ""
        return f"{name}: {event.type} {event.src} → {event.dst}{why}"
    if event.type == "tuner_leased":
        return f"channel {name}: tuner {data['tuner']} leased, {data['source']} {data['in_use']}"
    if event.type == "tuner_released":
        return f"channel {name}: tuner {data['tuner']} released, {data['why']}"
    if event.type == "source_changed":
        return f"channel {name}: {data['before']} → {data['source']} {data['in_use']}"
    if event.type == "refused":
        return f"{event.stream}: refused, {data['rule']}"
    return f"{kind} {name}: {event.type}" if name else f"{kind}: {event.type}"


def stamped(drafts: Iterable[Draft], world: World) -> list[NewEvent]:
    """Drafts as events, with the versions that follow those of `world`."""
    versions: dict[str, int] = {}
    events = []
    for draft in drafts:
        ver = versions.get(draft.stream, world.versions.get(draft.stream, 0)) + 1
        versions[draft.stream] = ver
        fields = {name: getattr(draft, name) for name in ("stream", "type", "schema", "payload")}
        events.append(
            NewEvent(
                **fields,
                ver=ver,
                src=draft.src,
                dst=draft.dst,
                machine=draft.machine,
                at=draft.at,
                id=bytes(16),
                corr=None,
                cause=None,
                actor="test",
                node="test",
                fence=0,
            )
        )
    return events


@dataclass(slots=True)
class Story:
    """What has happened so far."""

    world: World
    events: list[NewEvent] = field(default_factory=list)

    def after(self, *commands: Command) -> "Story":
        """The story goes on with these."""
        for command in commands:
            self.when(command)
        return self

    def when(self, command: Command) -> "Outcome":
        """Decide, check that deciding changed nothing, and let what follows happen."""
        before = deepcopy(self.world)
        decision = decide(command, self.world)
        assert self.world == before, "deciding changed the world"
        assert decision == decide(command, before) or decision.refusal, "the same answer each time"
        happened = stamped(decision.drafts, self.world)
        for event in happened:
            evolve(self.world, event)
        self.events += happened
        return Outcome(self, decision)

    def state(self, session: str) -> str:
        """Where a session is; `ended` once it is not open any more."""
        found = self.world.sessions.get(SessionId(session))
        return "ended" if found is None else found.state


@dataclass(frozen=True, slots=True)
class Outcome:
    """What followed from a command."""

    story: Story
    decision: Decision

    def then(self, *expected: str) -> Story:
        """Exactly these events, in this order."""
        assert [told(draft) for draft in self.decision.drafts] == list(expected)
        return self.story

    def then_nothing(self) -> Story:
        """No event, and nothing to tell."""
        assert self.decision == Decision()
        return self.story

    def then_wait(self) -> Story:
        """Not yet an answer."""
        assert self.decision == Decision(wait=True)
        return self.story

    def then_refused(self, kind: type[Refused], *expected: str) -> Refused:
        """Declined with this sentence, recorded with these events."""
        assert isinstance(self.decision.refusal, kind), self.decision
        assert self.decision.granted is None
        self.then(*expected)
        return self.decision.refusal

    def payload(self, index: int = -1) -> Mapping[str, Any]:
        """What one of the events carries."""
        return self.decision.drafts[index].payload


def given(policy: Policy | None = None, **values: Any) -> Story:
    """A bridge on which nothing happened yet, under this policy."""
    return Story(World(policy=replace(policy or Policy(), **values)))


def watching(*sessions: str, second: float = 1, **values: Any) -> Story:
    """Sessions on channel 1 whose clients accepted 1,000 bytes, the upstream flowing."""
    story = given(**values).after(*(tune(session) for session in sessions))
    story.after(opened(second=0.5), first_byte(second=second))
    return story.after(*(took(session, 1_000, second=second) for session in sessions))


def in_trouble(*sessions: str, second: float = 2, **values: Any) -> Story:
    """The same after their upstream was lost."""
    return watching(*sessions, **values).after(lost(second=second))
