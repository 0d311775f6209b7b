"""From recorded events back to the commands that led to them.

Pure. Each append of the log was decided from one command and the state before it; here the command
is found again, so that it can be decided anew: under another policy, or by another version. What
was asked and left no event (a stale report, a refusal within a minute of the last, a wait) cannot
be found. Where a figure was not recorded, the docstring of the function says what stands in for it,
and of several possible commands the first is taken under which today's rules give what is recorded.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from events.appends import Append, Read, appends
from events.codec import encode
from events.commands import (
    Accepted,
    ChangeSource,
    Command,
    Disconnect,
    Expire,
    LingerOver,
    Progress,
    ShutDown,
    Stop,
    TooSlow,
    UpstreamClosed,
    UpstreamCompleted,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamOpened,
)
from events.decide import decide
from events.envelope import Draft, Recorded
from events.ids import ChannelId, SessionId, SourceId, UnixMicros
from events.machine import ACTIVITY, CONNECT, CONNECTING, DISCONNECT, ERROR, RECLAIM, IllegalStep
from events.policy import Policy
from events.refusals import Refused
from events.uptake import LITTLE_BYTES_S, Uptake
from events.world import World, evolve
from plexbridge.audit.asking import SourcesKnown, asked_and_given, refused
from plexbridge.audit.own_commands import noted, recovered, settings_changed, started

SILENT: Final = frozenset({"client_stalled", "peer_vanished"})
"""Details of a deadline that ended an active session."""


class Unexplained(Exception):
    """Recorded events that no command of this version leads to."""

    def __init__(self, pos: int, what: str) -> None:
        super().__init__(f"position {pos}: {what} follows from no command that is known here")
        self.pos = pos


@dataclass(frozen=True, slots=True)
class Input:
    """A command, and what was recorded of the decision on it."""

    command: Command
    append: Append
    """Never empty."""

    @property
    def pos(self) -> int:
        """Of the first event."""
        return self.append[0].pos


class Inputs:
    """Walks a log; `world` is the recorded state before the input that was given last."""

    def __init__(self, rows: Iterable[Recorded], world: World | None = None) -> None:
        """`world`: the state before the first of the rows; of an empty log, if not given. It is
        folded on."""
        self.world = World() if world is None else world
        self._appends = appends(rows, self.world.policy)
        self._known: SourcesKnown = {}

    def __iter__(self) -> Iterator[Input]:
        """Each input; its events are folded when the next one is asked for.

        Raises:
            Unexplained: this version knows no such decision.
            NewerLog, ValueError: an event cannot be read.
            AssertionError, KeyError: the events do not follow from each other.
        """
        for append in self._appends:
            yield Input(self._command(append), append)
            for event in append:
                evolve(self.world, event)
                self._learn(event)

    def _command(self, append: Append) -> Command:
        commands = _candidates(append, self.world, self._known)
        first = next(commands, None)
        if first is None:
            raise Unexplained(append[0].pos, f"{append[0].stream} {append[0].type}")
        second = next(commands, None)
        if second is None or self._leads_to(first, append):
            return first
        fitting = (one for one in (second, *commands) if self._leads_to(one, append))
        return next(fitting, first)

    def _leads_to(self, command: Command, append: Append) -> bool:
        try:
            return same(decide(command, self.world).drafts, append)
        except (Refused, IllegalStep):
            return False

    def _learn(self, event: Read) -> None:
        if event.type not in ("tuner_leased", "source_changed"):
            return
        known = self._known.setdefault(ChannelId(event.stream.removeprefix("channel-")), {})
        known[SourceId(event.payload["source"])] = event.payload["allowed"]


def same(drafts: Sequence[Draft], append: Append) -> bool:
    """Whether a decision is the recorded one: stream, type, step, time and payload, byte for byte.

    A recorded policy that lacks a value which came later means its default.
    """
    if len(drafts) != len(append):
        return False
    return all(_equal(draft, read) for draft, read in zip(drafts, append, strict=True))


def _equal(draft: Draft, read: Read) -> bool:
    if (draft.stream, draft.type, draft.src, draft.dst, draft.at) != (
        read.stream,
        read.type,
        read.src,
        read.dst,
        read.at,
    ):
        return False
    if encode(draft.payload) == read.row.data:
        return True
    if draft.type != "policy_set":
        return False
    return Policy.from_payload(dict(draft.payload)) == Policy.from_payload(dict(read.payload))


Lead = Callable[[Append, World], Iterator[Command]]


def _candidates(append: Append, world: World, known: SourcesKnown) -> Iterator[Command]:
    """Commands that may have led to an append, the likeliest first; none where it is not known."""
    first, last = append[0], append[-1]
    if last.type == CONNECT:
        return asked_and_given(append, world, known)
    if first.type == "refused":
        return refused(first, world, known)
    if last.type == "source_changed":
        return _change_source(append, world)
    lead = _LEADS.get(first.type)
    if lead is not None:
        return lead(append, world)
    if first.stream.startswith(("session-", "channel-")):
        return iter(())
    return noted(append, world)


def _session(read: Read) -> SessionId:
    return SessionId(read.stream.removeprefix("session-"))


def _progress(read: Read) -> Progress:
    """As recorded: never less than what was known before, which makes no difference to a rule."""
    data = read.payload
    return Progress(bytes=data["bytes"], accepted_at=UnixMicros(data["accepted_at"]))


def _all_progress(append: Append) -> tuple[tuple[SessionId, Progress], ...]:
    return tuple(
        (_session(one), _progress(one)) for one in append if one.stream.startswith("session-")
    )


def _accepted(append: Append, world: World) -> Iterator[Command]:
    [read] = append
    yield Accepted(at=read.at, session=_session(read), progress=_progress(read))


def _disconnect(append: Append, world: World) -> Iterator[Command]:
    """Not recorded: whether a player's connection ended (then its session's of that moment) or a
    program said so. The actor and the detail tell; else whether its relay was left to linger."""
    read = append[0]
    session = world.sessions.get(_session(read))
    by_program = Disconnect(
        at=read.at,
        session=_session(read),
        connection=None,
        reason=read.payload["reason"],
        detail=read.payload["detail"],
        progress=_progress(read),
    )
    if session is None or session.connection is None:
        yield by_program
        return
    by_player = replace(by_program, connection=session.connection)
    said = read.row.actor == "program" or read.payload["detail"] == "reported"
    yield from (by_program, by_player) if said else (by_player, by_program)


def _reclaim(append: Append, world: World) -> Iterator[Command]:
    """Not recorded, of a client that was too slow: what was seen of it. It took nothing for the
    whole of the window in force."""
    read = append[0]
    reason, detail = read.payload["reason"], read.payload["detail"]
    session = world.sessions.get(_session(read))
    late = (reason, detail) == ("stale", "recovery_exhausted")
    if late or (reason == "orphaned" and detail in SILENT):
        yield _expire(read)
    elif detail == "client_too_slow" and session is not None and session.connection is not None:
        window_ms = world.policy.uptake_window_ms
        offered = LITTLE_BYTES_S * window_ms // 1_000
        yield TooSlow(
            at=read.at,
            session=_session(read),
            connection=session.connection,
            progress=_progress(read),
            uptake=Uptake(
                over_ms=window_ms,
                taken_bytes=0,
                offered_bytes=offered,
                behind_ms=window_ms,
                skips=0,
            ),
        )
    yield Stop(
        at=read.at,
        session=_session(read),
        reason=reason,
        detail=detail,
        progress=_progress(read),
    )


def _expire(read: Read) -> Expire:
    """Bytes were waiting, or an active session would not have been ended."""
    return Expire(
        at=read.at,
        session=_session(read),
        progress=_progress(read),
        waiting=True,
        acknowledging=read.payload["detail"] == "client_stalled",
    )


def _error(append: Append, world: World) -> Iterator[Command]:
    yield _expire(append[0])  # an error without its upstream's is a first byte that did not come


def _upstream_opened(append: Append, world: World) -> Iterator[Command]:
    [read] = append
    yield UpstreamOpened(
        at=read.at,
        channel=_channel(read),
        lease=read.payload["lease"],
        attempt=read.payload["attempt"],
        url=read.payload["url"],
        digest=read.payload["digest"],
    )


def _upstream_first_byte(append: Append, world: World) -> Iterator[Command]:
    [read] = append
    yield UpstreamFirstByte(
        at=read.at,
        channel=_channel(read),
        lease=read.payload["lease"],
        attempt=read.payload["attempt"],
        after_ms=read.payload["after_ms"],
    )


def _upstream_lost(append: Append, world: World) -> Iterator[Command]:
    """Not recorded: whether another upstream was to be tried. It was where players who had heard
    nothing were let wait."""
    read = append[0]
    data = read.payload
    lost = UpstreamLost(
        at=read.at,
        channel=_channel(read),
        lease=data["lease"],
        attempt=data["attempt"],
        reason=data["reason"],
        detail=data["detail"],
        gave_bytes=data["gave_bytes"],
        progress=_all_progress(append),
    )
    lease = world.leases.get(lost.channel)
    failed = {one.stream for one in append if one.type == ERROR}
    spared = lease is not None and any(
        f"session-{name}" not in failed and world.sessions[name].state == CONNECTING
        for name in lease.sessions
    )
    yield replace(lost, more=spared and lease is not None and not lease.delivered)


def _upstream_closed(append: Append, world: World) -> Iterator[Command]:
    read = append[0]
    data = read.payload
    if data.get("detail") == "completed":
        yield UpstreamCompleted(
            at=read.at,
            channel=_channel(read),
            lease=data["lease"],
            attempt=data["attempt"],
            progress=_all_progress(append),
        )
        return
    yield UpstreamClosed(
        at=read.at,
        channel=_channel(read),
        lease=data["lease"],
        source=SourceId(data["source"]),
        attempt=data["attempt"],
    )


def _change_source(append: Append, world: World) -> Iterator[Command]:
    read = append[-1]
    yield ChangeSource(
        at=read.at,
        channel=_channel(read),
        lease=read.payload["lease"],
        source=SourceId(read.payload["source"]),
        allowed=read.payload["allowed"],
        attempt=read.payload["attempt"],
    )


def _released(append: Append, world: World) -> Iterator[Command]:
    [read] = append
    if read.payload["why"] == "linger_over":
        yield LingerOver(at=read.at, channel=_channel(read), lease=read.payload["lease"])


def _stopping(append: Append, world: World) -> Iterator[Command]:
    yield ShutDown(at=append[0].at, progress=_all_progress(append))


def _channel(read: Read) -> ChannelId:
    return ChannelId(read.stream.removeprefix("channel-"))


_LEADS: Final[dict[str, Lead]] = {
    ACTIVITY: _accepted,
    DISCONNECT: _disconnect,
    RECLAIM: _reclaim,
    ERROR: _error,
    "upstream_opened": _upstream_opened,
    "upstream_first_byte": _upstream_first_byte,
    "upstream_lost": _upstream_lost,
    "upstream_closed": _upstream_closed,
    "tuner_released": _released,
    "started": started,
    "settings_changed": settings_changed,
    "recovered": recovered,
    "stopping": _stopping,
}
