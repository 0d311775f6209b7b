"""Why a tuner was busy or free, and why somebody was refused: a sentence and its evidence."""

from random import Random

from events.appends import Read
from events.commands import Command, Started
from events.envelope import Recorded
from events.ids import TunerNumber
from events.policy import Policy
from events.world import fold
from plexbridge.audit.why import Answer, refusal, tuner
from plexbridge.log.memory import MemoryReader
from tests.core.given import at, closed, first_byte, linger_over, lost, opened, progress, took, tune
from tests.core.stamped_history import StampedHousehold, chained

WATCHED = (
    tune("s1", second=1),
    opened(second=1.2),
    first_byte(second=1.3),
    took("s1", 1_000, second=1.4),
    closed("s1", second=20, seen=progress(9_500, 20)),
)


class Told:
    """A log, asked at any of its positions."""

    def __init__(self, *commands: Command, **policy: int) -> None:
        household = StampedHousehold(Random(1), Policy(**policy))
        begun = Started(at=at(0), version="1", machine="m", policy=household.policy)
        for command in (begun, *commands):
            household.do(command)
        self.rows = chained(household.events)
        self.reader = MemoryReader()
        self.reader.add(self.rows)

    def find(self, id_: bytes) -> Recorded | None:
        """One event."""
        found = self.reader.find([id_])
        return found[0] if found else None

    def tuner(self, number: int, state: str, position: int | None = None) -> Answer:
        """Why it was so, at the end of the log or earlier."""
        position = len(self.rows) if position is None else position
        world = fold(map(Read, self.rows[:position]))
        return tuner(TunerNumber(number), state == "busy", position, world, self.reader, self.find)

    def types(self, answer: Answer) -> list[str]:
        """Types of the events that an answer rests on."""
        return [self.rows[link.pos - 1].type for link in answer.evidence]


def test_a_busy_tuner_names_who_watches_what_back_to_the_lease() -> None:
    """With the positions of both."""
    log = Told(*WATCHED[:4])
    answer = log.tuner(0, "busy")
    assert answer.holds
    assert answer.sentence == (
        "tuner 0 was busy: Lavf/60 at 10.0.0.9 (session s1) watched 1 Channel 1, "
        "0.4 s after it was leased"
    )
    assert log.types(answer) == ["connect", "tuner_leased"]


def test_a_tuner_that_was_otherwise_is_told_as_it_was() -> None:
    """And the answer says that the question did not hold."""
    assert not Told(*WATCHED[:4]).tuner(0, "free").holds
    assert not Told(*WATCHED[:4]).tuner(1, "busy").holds
    assert not Told().tuner(9, "busy").holds
    assert "numbered from 0" in Told().tuner(9, "busy").sentence


def test_a_lingering_tuner_is_free_for_anyone() -> None:
    """Since the end of its last session, which is the evidence."""
    log = Told(*WATCHED)
    answer = log.tuner(0, "free")
    assert answer.holds
    assert answer.sentence == (
        "tuner 0 was free for anyone who wanted it: its relay of channel 1 lingered since "
        "session s1 ended (the player closed its connection)"
    )
    assert log.types(answer)[:2] == ["disconnect", "tuner_leased"]


def test_a_free_tuner_says_why_it_was_returned() -> None:
    """Walked back to the ask that it had been leased for, and no further."""
    lingered = Told(*WATCHED, linger_over(second=25), tune("s2", "2", second=55, tuner=3))
    answer = lingered.tuner(0, "free")
    assert answer.sentence == "tuner 0 was free for 30.0 s: nobody came back to its channel"
    types = lingered.types(answer)
    assert types[0] == "tuner_released"
    assert types[-1] == "tuner_leased"
    failed = Told(*WATCHED[:4], lost(second=9), closed("s1", second=11))
    answer = failed.tuner(0, "free")
    assert answer.sentence == (
        "tuner 0 was free for 0.0 s: its last session ended: the player closed its connection"
    )
    assert failed.types(answer)[:2] == ["tuner_released", "disconnect"]


def test_a_tuner_that_nobody_ever_had() -> None:
    """Has no evidence but the log itself."""
    answer = Told(*WATCHED).tuner(2, "free")
    assert (answer.holds, answer.evidence) == (True, ())
    assert answer.sentence == "tuner 2 was free: nobody had it in what the log holds"


def test_a_refusal_names_who_held_what_was_missing() -> None:
    """With the lease and the connect of each holder."""
    log = Told(*WATCHED[:4], tune("s2", "2", second=64, asked=61), tuners=1)
    row = log.rows[-1]
    answer = refusal(row, fold(map(Read, log.rows[:-1])), log.reader, log.find)
    assert answer.sentence == (
        "Lavf/60 at 10.0.0.9 was refused 2 Channel 2: 1 of 1 tuners are in use, none was released "
        "within 3000 ms; held: tuner 0 on channel 1 for 1m03s by Lavf/60 at 10.0.0.9 (session s1)"
    )
    assert log.types(answer) == ["refused", "tuner_leased", "connect"]
