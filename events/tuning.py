"""A player asks for a channel: what it is given, or why not."""

from dataclasses import asdict

from events.admission import HANDED_OVER, Grant, Join, NotNow, admit, alone_at_its_address
from events.commands import ChannelRef, ClientRef, Tune, TuneUnknown
from events.decision import Decision
from events.envelope import Draft, Payload
from events.ids import LINEUP_STREAM, UnixMicros, channel_stream, session_stream
from events.limits import GUIDE_NUMBER_CHARS, REFUSAL_COALESCE_MS
from events.machine import CONNECT, MACHINE_ID, RECOVERING, Guard, step
from events.refusals import Refused, ShuttingDown, UnknownChannel
from events.releases import release
from events.session import ended_by_client
from events.world import Lease, Session, World, refusal_key


def tune(command: Tune, world: World) -> Decision:
    waited_ms = (command.at - command.asked_at) // 1_000
    if world.stopping:
        stopping = ShuttingDown()
        return Decision(drafts=_refused(command, stopping, world, waited_ms), refusal=stopping)
    own = _own_recovering(command, world)
    if own is not None:
        return Decision(
            drafts=(_connect(command, own.state, world.lease_of(own), own),), granted=own.id
        )

    answer = admit(command, world)
    if isinstance(answer, NotNow):
        if answer.worth_waiting and waited_ms < world.policy.admission_wait_ms:
            return Decision(wait=True)
        drafts = _refused(command, answer.refusal, world, waited_ms)
        return Decision(drafts=drafts, refusal=answer.refusal)

    begin: list[Draft] = []
    if answer.hand_over is not None:
        begin += _handed_over(answer.hand_over, command, world)
    if isinstance(answer, Join):
        begin.append(_connect(command, "new", answer.lease))
        return Decision(drafts=tuple(begin), granted=command.session)
    for lease in answer.give_up:
        begin.append(release(lease, command.at, why="given_up"))
    begin.append(_lease(command, answer, world, tuple(begin)))
    begin.append(_connect(command, "new", answer, because=len(begin) - 1))
    return Decision(drafts=tuple(begin), granted=command.session)


def _own_recovering(tune: Tune, world: World) -> Session | None:
    """The session this client left in trouble on this channel; nobody else can take it.

    One that has no connection is anybody's with the same key. One that has is taken over only
    where it is certain to be the same viewer: a media server reads for several under one key.
    """
    mine = [
        session
        for session in world.sessions.values()
        if session.state == RECOVERING
        and session.channel == tune.channel.id
        and session.client_key == tune.client.key
        and tune.tuner in (None, world.lease_of(session).tuner)
    ]
    left = next((session for session in mine if session.connection is None), None)
    if left is not None:
        return left
    if tune.client.identified:
        return next(iter(mine), None)
    only = alone_at_its_address(tune, world)
    return only if only in mine else None


def _connect(
    tune: Tune,
    src: str,
    claim: Lease | Grant,
    own: Session | None = None,
    because: int | None = None,
) -> Draft:
    return Draft(
        stream=session_stream(own.id if own else tune.session),
        type=CONNECT,
        at=tune.at,
        src=src,
        dst=step(src, CONNECT, Guard(same_client=own is not None)),
        machine=MACHINE_ID,
        because=because,
        payload={
            "channel": _channel(tune.channel),
            "client": asdict(tune.client),
            "tuner": claim.tuner,
            "source": claim.source,
            "connection": tune.connection,
            "kind": tune.kind,
            "waited_ms": (tune.at - tune.asked_at) // 1_000,
            "resumed": own is not None,
        },
    )


def _lease(tune: Tune, grant: Grant, world: World, before: tuple[Draft, ...]) -> Draft:
    given_back = sum(
        draft.type == "tuner_released" and draft.payload["source"] == grant.source
        for draft in before
    )
    return Draft(
        stream=channel_stream(tune.channel.id),
        type="tuner_leased",
        at=tune.at,
        payload={
            "tuner": grant.tuner,
            "source": grant.source,
            "in_use": world.connections_of(grant.source) - given_back + 1,
            "allowed": grant.allowed,
        },
    )


def _handed_over(older: Session, tune: Tune, world: World) -> list[Draft]:
    """The older session of the same viewer ends; its tuner goes with it if nobody shares it."""
    end = ended_by_client(
        older,
        world.policy,
        at=tune.at,
        reason=HANDED_OVER,
        detail="superseded",
        progress=dict(tune.progress).get(older.id),
    )
    lease = world.lease_of(older)
    if lease.sessions != [older.id]:
        return [end]
    return [end, release(lease, tune.at, why="given_up", because=0)]


def _refused(tune: Tune, refusal: Refused, world: World, waited_ms: int) -> tuple[Draft, ...]:
    return refusal_drafts(
        world,
        stream=channel_stream(tune.channel.id),
        at=tune.at,
        refusal=refusal,
        refusal_id=tune.refusal_id,
        asked=tune.channel.guide_number,
        channel=tune.channel,
        client=tune.client,
        waited_ms=waited_ms,
    )


def tune_unknown(command: TuneUnknown, world: World) -> Decision:
    asked = command.asked[:GUIDE_NUMBER_CHARS]
    refusal = UnknownChannel(asked)
    drafts = refusal_drafts(
        world,
        stream=LINEUP_STREAM,
        at=command.at,
        refusal=refusal,
        refusal_id=command.refusal_id,
        asked=asked,
        channel=None,
        client=command.client,
        waited_ms=0,
    )
    return Decision(drafts=drafts, refusal=refusal)


def refusal_drafts(
    world: World,
    *,
    stream: str,
    at: UnixMicros,
    refusal: Refused,
    refusal_id: str,
    asked: str,
    channel: ChannelRef | None,
    client: ClientRef,
    waited_ms: int,
) -> tuple[Draft, ...]:
    """Once a minute for each client and channel; the client is told each time."""
    before = world.refused.get(refusal_key(client.key, channel.id if channel else None))
    if before is not None and at - before < REFUSAL_COALESCE_MS * 1_000:
        return ()
    payload = {
        "id": refusal_id,
        "rule": refusal.rule,
        "text": str(refusal),
        "asked": asked,
        "channel": channel and _channel(channel),
        "client": asdict(client),
        "holders": [
            {**asdict(holder), "sessions": list(holder.sessions)} for holder in refusal.holders
        ],
        "waited_ms": waited_ms,
    }
    return (Draft(stream=stream, type="refused", at=at, payload=payload),)


def _channel(channel: ChannelRef) -> Payload:
    return {"id": channel.id, "guide_number": channel.guide_number, "name": channel.name}
