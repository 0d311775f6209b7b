"""State and command in, events out. The one place where anything is decided.

Each rule drafts the events that belong together; the door stamps and appends them as one
transaction. The rules stand by subject: `tuning`, `upstreams`, `lifecycle`, and here what happens
to a session that goes on or ends.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from events.commands import (
    Accepted,
    ChangeSettings,
    ChangeSource,
    Command,
    Disconnect,
    Expire,
    LingerOver,
    Note,
    Recover,
    ShutDown,
    Started,
    Stop,
    TooSlow,
    Tune,
    TuneTooOften,
    TuneUnknown,
    UpstreamClosed,
    UpstreamCompleted,
    UpstreamFirstByte,
    UpstreamLost,
    UpstreamOpened,
)
from events.deadlines import deadline, linger_over_at, overdue
from events.decision import Decision
from events.ids import SessionId
from events.lifecycle import change_settings, note, recover, shut_down, started
from events.machine import ACTIVE, CONNECTING
from events.refusals import AlreadyEnded, UnknownSession
from events.releases import release, releases_after
from events.session import accepted, ended_by_client, failed, reclaimed
from events.too_often import tune_too_often
from events.tuning import tune, tune_unknown
from events.upstreams import (
    change_source,
    current,
    upstream_closed,
    upstream_completed,
    upstream_first_byte,
    upstream_lost,
    upstream_opened,
)
from events.uptake import too_slow
from events.world import CONNECTING_UPSTREAM, LOST_UPSTREAM, Session, World


def decide(command: Command, world: World) -> Decision:
    """Answer a command. Pure: changes nothing, and the same arguments give the same answer.

    Raises:
        UnknownSession: a command for a session that never was, or was long ago.
        AlreadyEnded: a second end for a session.
    """
    rule: Callable[[Any, World], Decision] = _RULES[type(command)]
    return rule(command, world)


def _accepted(command: Accepted, world: World) -> Decision:
    session = world.sessions.get(command.session)
    if session is None:
        return Decision()  # its end was decided while these bytes were on their way
    draft = accepted(session, world.policy, at=command.at, progress=command.progress)
    return Decision(drafts=() if draft is None else (draft,))


def _disconnect(command: Disconnect, world: World) -> Decision:
    session = _open(command.session, world)
    if command.connection is not None and command.connection != session.connection:
        return Decision()  # an earlier connection of a session that goes on with another
    end = ended_by_client(
        session,
        world.policy,
        at=command.at,
        reason=command.reason,
        detail=command.detail,
        progress=command.progress,
    )
    by_player = command.connection is not None
    return Decision(drafts=(end, *releases_after([end], world, command.at, lingers=by_player)))


def _stop(command: Stop, world: World) -> Decision:
    session = _open(command.session, world)
    end = reclaimed(
        session,
        world.policy,
        at=command.at,
        reason=command.reason,
        detail=command.detail,
        progress=command.progress,
    )
    return Decision(drafts=(end, *releases_after([end], world, command.at)))


def _expire(command: Expire, world: World) -> Decision:
    session = world.sessions.get(command.session)
    if session is None:
        return Decision()
    if not overdue(session, world.policy, command.progress, command.waiting, command.at):
        return Decision()  # bytes were accepted since it was looked at
    due = deadline(session, world.policy, command.progress)
    if session.state == CONNECTING:
        opened = world.lease_of(session).upstream not in (CONNECTING_UPSTREAM, LOST_UPSTREAM)
        detail = "upstream_no_data" if opened else "upstream_no_answer"
        end = failed(
            session,
            world.policy,
            at=command.at,
            reason=due.reason,
            detail=detail,
            progress=command.progress,
        )
    else:
        detail = "recovery_exhausted"
        if session.state == ACTIVE:
            detail = "client_stalled" if command.acknowledging else "peer_vanished"
        end = reclaimed(
            session,
            world.policy,
            at=command.at,
            reason=due.reason,
            detail=detail,
            progress=command.progress,
        )
    return Decision(drafts=(end, *releases_after([end], world, command.at)))


def _too_slow(command: TooSlow, world: World) -> Decision:
    session = world.sessions.get(command.session)
    if session is None or session.state != ACTIVE or session.connection != command.connection:
        return Decision()  # it ended, is in trouble, or goes on with another connection
    if not too_slow(command.uptake, world.policy):
        return Decision()
    end = reclaimed(
        session,
        world.policy,
        at=command.at,
        reason="orphaned",
        detail="client_too_slow",
        progress=command.progress,
    )
    return Decision(drafts=(end, *releases_after([end], world, command.at)))


def _open(session: SessionId, world: World) -> Session:
    found = world.sessions.get(session)
    if found is not None:
        return found
    raise AlreadyEnded(session) if session in world.ended else UnknownSession(session)


def _linger_over(command: LingerOver, world: World) -> Decision:
    lease = current(command.channel, command.lease, world)
    if lease is None or lease.empty_since is None:
        return Decision()
    if command.at < linger_over_at(lease, world.policy):
        return Decision()
    return Decision(drafts=(release(lease, command.at, why="linger_over"),))


_RULES: Final[Mapping[type[Any], Callable[[Any, World], Decision]]] = {
    Tune: tune,
    TuneUnknown: tune_unknown,
    TuneTooOften: tune_too_often,
    Accepted: _accepted,
    Disconnect: _disconnect,
    Stop: _stop,
    Expire: _expire,
    TooSlow: _too_slow,
    UpstreamOpened: upstream_opened,
    UpstreamFirstByte: upstream_first_byte,
    UpstreamLost: upstream_lost,
    ChangeSource: change_source,
    UpstreamCompleted: upstream_completed,
    UpstreamClosed: upstream_closed,
    LingerOver: _linger_over,
    Started: started,
    ChangeSettings: change_settings,
    Recover: recover,
    ShutDown: shut_down,
    Note: note,
}
