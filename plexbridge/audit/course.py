"""The course things would have taken under another policy: a log's inputs decided again, in order.

Players and providers do what the record shows; the rules and the deadlines are today's, under the
policy asked about. Where the course leaves the record, what nobody knows is filled in by the
simplest model that there is, and counted (`assumed`), so that each figure can say what it rests on:

- a viewer who was refused and would have been given a session watches for the median of the
  recorded sessions, and a byte comes at once (`admitted`);
- a viewer who was served and would have been refused does not ask again (`refused`);
- a session that would have outlived its recorded end: a client that was silent then stays silent,
  and its deadline decides (`silent`); any other closes its connection then (`closed`).
"""

import heapq
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count

from events.appends import Append, Read
from events.commands import (
    Accepted,
    ChangeSettings,
    Command,
    Disconnect,
    Progress,
    Recover,
    ShutDown,
    Started,
    Tune,
    UpstreamFirstByte,
)
from events.decide import decide
from events.decision import Decision
from events.envelope import Draft
from events.ids import ChannelId, SessionId, UnixMicros
from events.machine import ACTIVE, CONNECT, ENDED, ERROR, IllegalStep
from events.policy import Policy
from events.refusals import AlreadyEnded, UnknownSession
from events.world import Lease, World, evolve
from plexbridge.audit.counterparts import Counterparts
from plexbridge.audit.inputs import SILENT, Input, same
from plexbridge.audit.own_time import OwnTime, Seen, times
from plexbridge.audit.policies import Overrides, applied
from plexbridge.audit.tally import Tally, is_silent_end

_FREEING = frozenset({"tuner_released", "source_changed", "policy_set"})


class Happened:
    """A hypothetical event: a draft with its version."""

    __slots__ = ("at", "dst", "payload", "src", "stream", "type", "ver")

    def __init__(self, draft: Draft, ver: int) -> None:
        self.stream = draft.stream
        self.ver = ver
        self.type = draft.type
        self.src = draft.src
        self.dst = draft.dst
        self.at = draft.at
        self.payload = draft.payload


@dataclass(frozen=True, slots=True)
class Asked:
    """A player waits for a release."""

    tune: Tune
    recorded: SessionId | None
    """The session it was given in the record; None: it was refused."""


class Course:
    """One bridge that might have been."""

    def __init__(
        self, overrides: Overrides, recorded: World, seen: Seen, since: UnixMicros
    ) -> None:
        """`recorded`: the state before the first input, folded on by whoever walks the inputs."""
        self.world = deepcopy(recorded)
        self.world.policy = applied(recorded.policy, overrides)
        self.tally = Tally(self.world, since)
        self.first_difference: int | None = None
        """Position of the first decision with another outcome than the recorded one."""
        self.exact = 0
        """Decisions that came out byte for byte as recorded."""
        self.decisions = 0
        self.assumed: Counter[str] = Counter()
        self.false_reclaims: set[str] = set()
        """Streams of sessions that were ended though their client accepted bytes later on."""
        self.modelled_us = 0
        """Tuner time held for viewers of whom only the model speaks."""
        self.modelled_since: list[int] = []
        """When each of those viewers began."""
        self._overrides = overrides
        self._recorded = recorded
        self._seen = seen
        self._names = Counterparts()
        self._viewers: dict[SessionId, tuple[str, ChannelId]] = {}
        """Sessions of whom only the model speaks."""
        self._only_modelled: dict[ChannelId, int] = {}
        self._silent_ends: set[str] = set()
        self._waiting: list[Asked] = []
        self._plans: list[tuple[int, int, Asked | SessionId]] = []
        self._number = count()
        self._pos = 0
        self._time = OwnTime(self.world, recorded, self._names, seen, self._viewers)

    @property
    def left_record(self) -> bool:
        """Whether something came out otherwise than recorded."""
        return self.first_difference is not None

    def take(self, given: Input) -> None:
        """Decide the next input; the recorded state is still that before it."""
        command = given.command
        self._pos = given.pos
        if self.left_record or self._time.differs:
            self._pass_time(command.at)
        if isinstance(command, Started | ChangeSettings) and command.policy is not None:
            command = replace(command, policy=applied(command.policy, self._overrides))
        if not self.left_record:
            self._compare(self._decide(command), given)
        else:
            self._otherwise(command, given)
        self._after(given)
        self._time.floor = command.at

    def close(self, at: UnixMicros) -> None:
        """The record ends here."""
        self._pass_time(at)
        self.tally.close(at)
        for since in self._only_modelled.values():
            self.modelled_us += max(0, at - since)
        self._only_modelled.clear()

    # Alike -------------------------------------------------------------------------------------

    def _compare(self, decision: Decision, given: Input) -> None:
        self.decisions += 1
        if same(decision.drafts, given.append):
            self.exact += 1
        elif _outcome(decision.drafts) != _outcome(given.append):
            self.first_difference = given.pos
        if isinstance(given.command, Tune) and (self.left_record or decision.wait):
            self._answered(Asked(given.command, _given(given.append)), decision)

    # Otherwise ---------------------------------------------------------------------------------

    def _otherwise(self, command: Command, given: Input) -> None:
        if isinstance(command, Tune):
            self._asks(Asked(command, _given(given.append)))
            return
        if isinstance(command, Accepted):
            here = f"session-{self._names.here(command.session)}"
            if here in self._silent_ends:
                self.false_reclaims.add(here)
        translated = self._names.command(command, self.world)
        if translated is None:
            return
        self._decide(translated)
        if isinstance(command, Recover | ShutDown):
            self._begin_anew()

    def _asks(self, asked: Asked) -> None:
        """A player asks; one whom the model has watching already asks in vain, or takes over."""
        key, channel = asked.tune.client.key, asked.tune.channel.id
        modelled = [name for name, who in self._viewers.items() if who == (key, channel)]
        if modelled and asked.recorded is None:
            return
        for name in modelled:
            self._leaves(name, asked.tune.at)
        translated = self._names.command(asked.tune, self.world)
        assert isinstance(translated, Tune), "a tune stays a tune"
        asked = Asked(translated, asked.recorded)
        self._answered(asked, self._decide(asked.tune))

    def _answered(self, asked: Asked, decision: Decision) -> None:
        tune = asked.tune
        if decision.wait:
            self._waiting.append(asked)
            until = tune.asked_at + self.world.policy.admission_wait_ms * 1_000
            heapq.heappush(self._plans, (until, next(self._number), asked))
        elif decision.granted is None:
            self.assumed["refused"] += asked.recorded is not None
        elif asked.recorded is None:
            self._watches(decision.granted, tune)
        else:
            before = self._recorded.sessions.get(asked.recorded)
            here = self.world.sessions[decision.granted]
            more = here.bytes - (0 if before is None else before.bytes)
            self._names.pair(asked.recorded, decision.granted, more)
            self._catch_up(tune.channel.id, tune.at)

    def _catch_up(self, channel: ChannelId, at: UnixMicros) -> None:
        """A relay that begins later here than in the record gives its first byte at once."""
        recorded, here = self._recorded.leases.get(channel), self.world.leases[channel]
        if recorded is not None:
            self._names.pair_leases(channel, recorded.ver, here.ver)
        if recorded is not None and recorded.delivered and not here.delivered:
            self._first_byte(here, at)

    def _first_byte(self, lease: Lease, at: UnixMicros) -> None:
        self._decide(
            UpstreamFirstByte(at=at, channel=lease.channel, lease=lease.ver, attempt=1, after_ms=0)
        )

    def _watches(self, session: SessionId, tune: Tune) -> None:
        """A viewer of whom the record knows only that it was refused."""
        self.assumed["admitted"] += 1
        self.modelled_since.append(tune.at)
        self._viewers[session] = tune.client.key, tune.channel.id
        lease = self.world.leases[tune.channel.id]
        if lease.sessions == [session]:
            self._only_modelled[tune.channel.id] = tune.at
        if not lease.delivered:
            self._first_byte(lease, tune.at)
        one_byte = Progress(bytes=self.world.sessions[session].bytes + 1, accepted_at=tune.at)
        self._decide(Accepted(at=tune.at, session=session, progress=one_byte))
        leaves_at = tune.at + self._seen.median_us
        heapq.heappush(self._plans, (leaves_at, next(self._number), session))

    def _leaves(self, session: SessionId, at: UnixMicros) -> None:
        """A viewer closes its connection, by the model."""
        self._viewers.pop(session, None)
        found = self.world.sessions.get(session)
        if found is None:
            return
        self._decide(
            Disconnect(
                at=at,
                session=session,
                connection=found.connection,
                reason="client_disconnect",
                detail="client_closed",
                progress=None,
            )
        )

    def _begin_anew(self) -> None:
        self._names.clear()
        self._viewers.clear()
        self._waiting.clear()
        self._plans.clear()

    # Deciding ----------------------------------------------------------------------------------

    def _decide(self, command: Command) -> Decision:
        try:
            decision = decide(command, self.world)
        except (UnknownSession, AlreadyEnded, IllegalStep):
            return Decision()  # in this course there is nothing that it could happen to
        freed = False
        for draft in decision.drafts:
            event = Happened(draft, self.world.versions.get(draft.stream, 0) + 1)
            evolve(self.world, event)
            self.tally.count(event)
            if event.type in _FREEING or event.dst == ENDED:
                freed = True
                self._ended(event)
            elif event.type == CONNECT and self._only_modelled:
                self._joined(event)
        if freed and self._waiting:
            self._ask_again(command.at)
        return decision

    def _ask_again(self, at: UnixMicros) -> None:
        """Something was released: who waits longest asks first."""
        waiting, self._waiting = self._waiting, []
        for asked in waiting:
            self._retry(asked, at)

    def _retry(self, asked: Asked, at: UnixMicros) -> None:
        again = Asked(replace(asked.tune, at=max(at, asked.tune.at)), asked.recorded)
        decision = self._decide(again.tune)
        if decision.wait:
            self._waiting.append(again)  # its time to give up is planned already
        else:
            self._answered(again, decision)

    def _joined(self, event: Happened) -> None:
        """A viewer of the record is on a tuner that was held for a modelled one."""
        channel = ChannelId(event.payload["channel"]["id"])
        since = self._only_modelled.pop(channel, None)
        if since is not None:
            self.modelled_us += event.at - since

    def _ended(self, event: Happened) -> None:
        if event.type == "tuner_released":
            since = self._only_modelled.pop(ChannelId(event.stream[len("channel-") :]), None)
            self.modelled_us += 0 if since is None else event.at - since
        elif event.dst == ENDED:
            self._viewers.pop(SessionId(event.stream[len("session-") :]), None)
            timed_out = event.type == ERROR and event.payload["reason"] == "timeout"
            if timed_out or is_silent_end(event):
                self._silent_ends.add(event.stream)

    # Time --------------------------------------------------------------------------------------

    def _pass_time(self, now: UnixMicros) -> None:
        """Fire the deadlines and plans of this course that the record does not tell, up to now."""
        while True:
            plan_at = self._plans[0][0] if self._plans else None
            due = self._time.next_due(now)
            if due is not None and (plan_at is None or due.at <= plan_at):
                fired = self._decide(due)
                assert fired.drafts, f"{due} is due, and nothing follows"
                if not self.left_record:
                    self.first_difference = self._pos
            elif plan_at is not None and plan_at <= now:
                self._carry_out()
                self._time.look_again()
            else:
                return

    def _carry_out(self) -> None:
        at, _, plan = heapq.heappop(self._plans)
        if not isinstance(plan, Asked):
            if plan in self._viewers:
                self._leaves(plan, UnixMicros(at))
            return
        for asked in self._waiting:
            if asked.tune.connection == plan.tune.connection:
                self._waiting.remove(asked)
                self._retry(asked, UnixMicros(at))
                return

    # What the record shows beside -----------------------------------------------------------------

    def _after(self, given: Input) -> None:
        for read in given.append:
            if read.type == "tuner_leased":
                channel = ChannelId(read.stream.removeprefix("channel-"))
                lease = self.world.leases.get(channel)
                if lease is not None:
                    self._names.pair_leases(channel, read.ver, lease.ver)
            elif read.type == "policy_set":
                self._time.differs = times(self.world.policy) != times(
                    Policy.from_payload(dict(read.payload))
                )
            elif read.dst == ENDED and self.left_record:
                self._outlived(read)

    def _outlived(self, read: Read) -> None:
        """A recorded session ended; its counterpart may go on."""
        session = SessionId(read.stream.removeprefix("session-"))
        here = self._names.here(session)
        for asked in [one for one in self._waiting if one.recorded == session]:
            self._waiting.remove(asked)  # it has left before there was anything for it
            self.assumed["refused"] += 1
        found = self.world.sessions.get(here)
        if found is None:
            self._names.part(session)
        elif found.state != ACTIVE or read.payload["detail"] in SILENT:
            self.assumed["silent"] += found.connection is not None
            self._time.silent(here)
        else:
            self.assumed["closed"] += 1
            self._leaves(here, read.at)
            self._names.part(session)


def _given(append: Append) -> SessionId | None:
    """The session that a recorded tune led to."""
    last = append[-1]
    return SessionId(last.stream.removeprefix("session-")) if last.type == CONNECT else None


def _outcome(facts: Sequence[Draft | Read]) -> list[tuple[object, ...]]:
    """What matters of events, their words and the policy's own values left aside."""
    return [
        (
            fact.stream,
            fact.type,
            fact.dst,
            fact.at,
            *(fact.payload.get(name) for name in ("tuner", "source", "reason", "bytes", "rule")),
        )
        for fact in facts
    ]
