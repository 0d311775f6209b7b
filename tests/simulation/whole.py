"""The whole bridge, simulated: players, relays, log, deadlines and sweep in virtual time, with a
provider that fails, a disk that fails, clocks that are set, and crashes at any await.

A schedule is one household's evening: up to three lives of the bridge over one log. At its end
everything is held against everything else, and every end against what really happened.
"""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import Any, Final, NamedTuple

from events.commands import ShutDown
from events.envelope import NewEvent, Recorded
from events.ids import SessionId
from events.machine import ENDED
from events.policy import Policy
from events.refusals import AlreadyEnded, UnknownSession
from events.world import fold
from plexbridge.audit.checks import check, promises
from plexbridge.control.sweep import drift
from plexbridge.log.memory import Outcome
from plexbridge.server.media import MEDIA_EXTENSION, LostHow
from tests.simulation.ledger import Ledger, must
from tests.simulation.life import ALLOWED, LINEUP, Life
from tests.simulation.outside import Media, Provider

EVENING_S: Final = 14.0
CRASHES_MAX: Final = 2
TURNS_TO_CRASH: Final = 500
"""About as many turns as a quarter of an evening has."""


class Member(NamedTuple):
    """Who asks, and how it looks."""

    name: str
    address: str
    agent: str
    identifier: str | None


MEMBERS: Final = (
    Member("a", "10.0.0.1", "Lavf/60", "client-a"),
    Member("b", "10.0.0.2", "Lavf/60", "client-b"),
    Member("vlc", "10.0.0.3", "VLC/3", None),
    Member("server", "10.0.0.4", "Lavf/60", None),
    Member("server", "10.0.0.4", "Lavf/60", None),
    Member("kodi", "10.0.0.5", "Kodi/21", None),
)
STEADY: Final = Member("steady", "10.0.0.9", "Lavf/61", "client-steady")


class Evening:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.policy = policy_of(random)
        self.provider = Provider(random, ALLOWED, well="well")
        self.ledger = Ledger(self.policy, ALLOWED)
        self.rows: list[Recorded] = []
        self.did: set[tuple[str, str]] = set()
        """What really happened to whom: the evidence for ends."""
        self.troubled = random.random() < 0.3
        self.disk_fails = random.random() < 0.4
        self.disk_failed = False
        self.bad_commits = 0
        self.life = self._live(0.0)

    def _live(self, now: float) -> Life:
        life = Life(
            self.random,
            self.policy,
            self.provider,
            self.rows,
            fault=self._fault,
            now=now,
            troubled=self.troubled,
        )
        life.log.subscribe(self.ledger.became_durable)
        return life

    def _fault(self, events: Sequence[NewEvent]) -> Outcome:
        if self.disk_fails and not self.bad_commits and self.random.random() < 0.01:
            self.bad_commits = self.random.randint(1, 4)
        if not self.bad_commits:
            return Outcome.STORED
        self.bad_commits -= 1
        self.disk_failed = True
        return self.random.choice((Outcome.LOST, Outcome.UNKNOWN))

    # Lives -------------------------------------------------------------------------------------

    def run(self) -> None:
        """The whole evening."""
        random = self.random
        for _ in range(random.choice((0, 0, 1, CRASHES_MAX))):
            self.life.loop.create_task(self._evening())
            self.life.loop.run_turns(random.randint(1, TURNS_TO_CRASH))
            self._checks()
            self._crash()
        self.life.loop.run(self._evening())
        self._checks()
        self._nothing_is_left()

    def _crash(self) -> None:
        before = self.life
        before.loop.crash()
        self.provider.killed()
        self.did.add(("bridge", "crashed"))
        unheard = before.log.reader.read(self.ledger.position, -1)
        self.ledger.became_durable(unheard)  # stored, though the dead never learned of it
        self.rows = list(before.log.reader.read(0, -1))
        self.life = self._live(before.loop.time() + self.random.random())

    async def _evening(self) -> None:
        life, random = self.life, self.random
        await life.start()
        world = life.door.world
        must(not world.sessions and not world.leases, "something is open before anyone asked")
        until = life.loop.time() + EVENING_S * (0.3 + random.random() * 0.7)
        tasks = [life.loop.create_task(self._member(one, until)) for one in self._household()]
        tasks += [life.loop.create_task(self._steady(until))] * (random.random() < 0.5)
        tasks.append(life.loop.create_task(self._people(until)))
        await asyncio.wait(tasks)
        for task in tasks:
            task.result()
        if random.random() < 0.5:
            self.did.add(("bridge", "stopped"))
            progress = life.viewers.all_progress()
            life.door.report(ShutDown(at=life.clock.now(), progress=progress))
        policy = self.policy
        await asyncio.sleep(
            (policy.grace_ms + policy.active_idle_ms + policy.linger_ms + policy.first_byte_ms)
            / 1_000
        )
        self.bad_commits, self.disk_fails = 0, False
        await asyncio.sleep(policy.linger_ms / 1_000 + 3)

    def _household(self) -> list[Member]:
        return self.random.sample(MEMBERS, self.random.randint(2, len(MEMBERS)))

    # Players -----------------------------------------------------------------------------------

    def _asks(self, member: Member, channel: str, tuner: int | None = None) -> Media:
        media = Media(self.life.loop, member.address)
        headers = [(b"user-agent", member.agent.encode())]
        if member.identifier is not None:
            headers.append((b"x-plex-client-identifier", member.identifier.encode()))
        scope: dict[str, Any] = {"headers": headers, "extensions": {MEDIA_EXTENSION: media}}
        self.did.add((member.address, "asked"))
        responding = self.life.streams.respond(
            scope,
            channel=LINEUP.get(channel),
            asked=channel,
            kind="auto",
            query={},
            tuner=tuner,  # type: ignore[arg-type]
        )
        task = self.life.loop.create_task(responding)
        task.add_done_callback(lambda done: self._responded(done, media))
        return media

    def _responded(self, task: "asyncio.Task[None]", media: Media) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.life.failures.append({"message": "a response", "exception": task.exception()})
        if media.status not in (None, 200):
            self.did.add((media.peer[0], "refused"))

    def _leaves(self, media: Media) -> None:
        self.did.add((media.peer[0], "left"))
        media.leaves(self.random.choice((LostHow.CLIENT_CLOSED, LostHow.CLIENT_RESET)))

    async def _member(self, member: Member, until: float) -> None:
        """Zaps, opens twice, stalls, vanishes, comes back, leaves."""
        random, loop = self.random, self.life.loop
        held: list[Media] = []
        while loop.time() < until:
            await asyncio.sleep(random.choice((0.0, 0.02, 0.4, 2.0)))
            act = random.random()
            if act < 0.45 and len(held) < 3:
                tuner = random.choice((None, None, None, None, None, 0, 2))
                held.append(self._asks(member, random.choice("123459"), tuner))
            elif act < 0.55 and held:  # the new channel first, as a media server does
                held.append(self._asks(member, random.choice("12345")))
                await asyncio.sleep(random.choice((0.0, 0.02, 0.4)))
                self._leaves(held.pop(0))
            elif act < 0.75 and held:
                self._leaves(held.pop(random.randrange(len(held))))
            elif act < 0.85 and held:
                media = random.choice(held)
                self.did.add((member.address, "stalled"))
                media.stops_reading(vanishes=random.random() < 0.5)
            elif held:
                random.choice(held).reads_on()
            held = [media for media in held if not media.over.done()]
        for media in held:
            if random.random() < 0.8:
                self._leaves(media)
            else:  # gone without a word
                self.did.add((member.address, "stalled"))
                media.stops_reading(vanishes=True)

    async def _steady(self, until: float) -> None:
        """Watches one channel and does nothing wrong."""
        media = self._asks(STEADY, "well")
        await asyncio.sleep(5.0)
        served = media.status == 200 and not media.over.done()
        troubled = self.did & {("bridge", "stopped"), (STEADY.address, "refused")}
        while served and self.life.loop.time() < until:
            must(not media.over.done() and media.how is None, "a healthy session was ended")
            await asyncio.sleep(0.5)
        must(served or self.disk_fails or bool(troubled) or media.status != 200, "it never began")
        self._leaves(media)

    async def _people(self, until: float) -> None:
        """A person stops sessions, a program reports, the system's clock is set."""
        life, random = self.life, self.random
        while life.loop.time() < until:
            await asyncio.sleep(random.choice((0.5, 3.0)))
            names = [n for n, s in life.door.world.sessions.items() if s.address != STEADY.address]
            if random.random() < 0.1:
                life.clock.system_us = random.choice((-1, 1)) * 3_600_000_000
            if not names or random.random() < 0.5:
                continue
            session = random.choice(names)
            self.did.add(("admin", "stopped"))
            life.loop.create_task(self._ends(session))

    async def _ends(self, session: SessionId) -> None:
        door = self.life.door
        try:
            if self.random.random() < 0.5:
                await door.stop(session, reason="manual", detail="by_admin", actor="admin")
            else:
                reason = self.random.choice(("admin", "timeout", "client_disconnect"))
                await door.disconnect(session, reason=reason, detail="reported", actor="api")
        except (AlreadyEnded, UnknownSession):
            return

    # What must hold ----------------------------------------------------------------------------

    def _checks(self) -> None:
        for fault in self.life.failures:
            raise fault.get("exception") or AssertionError(fault["message"])
        self.ledger.check()
        if self.provider.broken is not None:
            raise self.provider.broken

    def _nothing_is_left(self) -> None:
        life = self.life
        world = life.door.world
        states = {name: session.state for name, session in world.sessions.items()}
        must(not states, f"still open: {states}")
        must(not world.leases, f"still leased: {list(world.leases)}")
        must(not life.effects.relays, "a relay is left")
        must(not len(life.viewers), "a connection is left")
        must(not sum(self.provider.open.values()), f"upstreams are open: {self.provider.open}")
        must(life.sweep.found == 0, "the sweep found a leak")
        must(not list(drift(world, life.effects, life.viewers)), "sockets differ from the state")
        rows = list(life.log.reader.read(0, -1))
        must(fold(rows, self.policy) == world, "the log folds to something else")
        must(self.ledger.position == len(rows), "not every event was told")
        findings = [f"{found.pos}: {found.text}" for found in check(promises(), rows)]
        must(not findings, f"audit: {findings[:3]}")
        for row in rows:
            if row.dst == ENDED:
                self._is_explained(row, rows)

    @property
    def _kept(self) -> bool:
        return self.policy.enhanced_cleanup_disabled and self.policy.keep_alive

    def _is_explained(self, row: Recorded, rows: Sequence[Recorded]) -> None:
        """An end says what really happened."""
        begun = next(one for one in rows if one.stream == row.stream)
        address = begun.payload["client"]["address"]
        channel = begun.payload["channel"]["id"]
        detail = row.payload["detail"]
        evidence: dict[str, set[tuple[str, str]]] = {
            "client_closed": {(address, "left"), (address, "refused")},
            "client_reset": {(address, "left")},
            "superseded": {(address, "asked")},
            "client_stalled": {(address, "stalled")},
            "client_too_slow": {(address, "stalled")},
            "peer_vanished": {(address, "stalled")},
            "bridge_restarted": {("bridge", "crashed")},
            "bridge_stopped": {("bridge", "stopped")},
            "by_admin": {("admin", "stopped")},
            "reported": {("admin", "stopped")},
        }
        if detail in evidence:
            must(bool(evidence[detail] & self.did), f"{row.stream}: {detail} did not happen")
        elif detail == "recovery_exhausted" and (("admin", "stopped") in self.did or self._kept):
            return  # a report, or under the old rule a leaving, left it in its grace
        else:
            failed = {digest.partition("@")[0] for digest in self.provider.failed}
            must(channel in failed or self.disk_failed, f"{row.stream}: {detail}, and it is well")


def policy_of(random: Random) -> Policy:
    """Any household's, with short times."""
    return Policy(
        keep_alive=random.random() < 0.4,
        enhanced_cleanup_disabled=random.random() < 0.15,
        tuners=random.randint(1, 4),
        max_sessions=random.choice((0, 0, 0, 3)),
        linger_ms=random.choice((0, 1_500)),
        grace_ms=random.choice((2_000, 6_000)),
        first_byte_ms=2_500,
        active_idle_ms=4_000,
        recovery_attempts=random.choice((2, 10)),
        admission_wait_ms=random.choice((0, 300, 1_000)),
        activity_record_ms=random.choice((500, 10_000)),
    )


def evening(seed: int) -> list[bytes]:
    """One schedule to its end; a digest of what happened in which order."""
    simulated = Evening(seed)
    try:
        simulated.run()
    finally:
        simulated.life.loop.crash()
    digest = blake2b(digest_size=8)
    for row in simulated.life.log.reader.read(0, -1):
        digest.update(f"{row.stream.partition('-')[0]} {row.type} {row.dst} {row.at}".encode())
    return [digest.digest()]
