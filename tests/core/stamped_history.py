"""Random histories with the identities a door gives: ids, causes and actors.

Knows which events each decision wrote, so that what is read back from the log can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from events.codec import GENESIS, fields_of, hash_of
from events.commands import Accepted, Command, Disconnect, Stop, Tune
from events.decide import decide
from events.envelope import NewEvent, Recorded
from events.policy import Policy
from events.world import evolve
from plexbridge.clock import ManualClock
from plexbridge.control.stamp import Stamper
from plexbridge.ids import Ids
from tests.core.histories import Household


def actor_of(command: Command) -> str:
    """Who asked, as the shell says it."""
    if isinstance(command, Tune | Accepted):
        return "player"
    if isinstance(command, Stop):
        return "admin"
    if isinstance(command, Disconnect):
        return "program" if command.connection is None else "player"
    return "bridge"


@dataclass(slots=True)
class StampedHousehold(Household):
    """A household whose events carry ids, causes and actors."""

    stamper: Stamper = field(
        default_factory=lambda: Stamper(Ids(ManualClock(), Random(1).getrandbits), node="here")
    )

    def do(self, command: Command) -> None:
        """Decide, stamp, and let what follows happen."""
        drafts = decide(command, self.world).drafts
        happened = self.stamper.stamp(drafts, self.world, actor=actor_of(command))
        for event in happened:
            evolve(self.world, event)
        if happened:
            self.appends.append(happened)


def policy_of(random: Random) -> Policy:
    """Any policy."""
    return Policy(
        keep_alive=random.random() < 0.5,
        enhanced_cleanup_disabled=random.random() < 0.3,
        tuners=random.randint(1, 4),
        max_sessions=random.choice((0, 0, 2)),
        linger_ms=random.choice((0, 5_000)),
        recovery_attempts=random.choice((1, 2, 10)),
        admission_wait_ms=random.choice((0, 2_000)),
        activity_record_ms=random.choice((0, 10_000)),
    )


def stamped_household(seed: int, steps: int, policy: Policy | None = None) -> StampedHousehold:
    """A household after so many steps; without a policy given, under one of its own."""
    random = Random(seed)
    own = policy_of(random)
    household = StampedHousehold(random, policy or own)
    household.start()
    for _ in range(steps):
        household.step()
    return household


def chained(events: Sequence[NewEvent]) -> list[Recorded]:
    """Events as a log records them, hashes included."""
    rows: list[Recorded] = []
    previous = GENESIS
    for pos, event in enumerate(events, start=1):
        row = Recorded._make((pos, *fields_of(event), b""))
        previous = hash_of(previous, row)
        rows.append(row._replace(hash=previous))
    return rows
