"""Which recorded events one decision wrote: they were appended together and belong together.

The log keeps no border between two appends, so it is read back from what a decision can look like:
one time, one actor, and a shape that a rule of this package drafts. Knows those shapes and refuses
to decide anything. Where a rule comes to draft a new shape, it has to be told here: a test splits
random histories and compares.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from events.codec import upcast
from events.envelope import Payload, Recorded
from events.ids import UnixMicros
from events.machine import CONNECT, DISCONNECT, ERROR, RECLAIM, RECOVERING
from events.policy import Policy

_ALWAYS_FOLLOW: Final = frozenset(
    {"last_session_ended", "upstream_failed", "shutdown", "bridge_restarted"}
)
"""Why a lease returns after something else in the same decision; `linger_over` stands alone and
`given_up` begins what another player is given."""

_FOLLOWS: Final = frozenset(
    {
        ("upstream_lost", ERROR),
        ("upstream_closed", DISCONNECT),
        ("recovered", RECLAIM),
        ("stopping", RECLAIM),
    }
)
"""First event of a decision, and what it does to each session."""


class Read:
    """A recorded event with its payload parsed once. A `Fact`, with its version."""

    __slots__ = ("at", "dst", "payload", "row", "src", "stream", "type", "ver")

    def __init__(self, row: Recorded) -> None:
        """Raises `NewerLog` for a payload of a version that this one does not know."""
        self.row = row
        self.stream: str = row.stream
        self.ver: int = row.ver
        self.type: str = row.type
        self.src: str | None = row.src
        self.dst: str | None = row.dst
        self.at: UnixMicros = row.at
        self.payload: Payload = upcast(row)

    @property
    def pos(self) -> int:
        """Where it stands."""
        return self.row.pos


Append = list[Read]


def appends(rows: Iterable[Recorded], policy: Policy | None = None) -> Iterator[Append]:
    """The events of each decision, in order.

    `policy` is the one in force before the first event. Where it is not known, a session that is
    reclaimed in the microsecond of its error is taken to have spent its last attempt then.

    Raises:
        NewerLog: a newer version of the bridge wrote one of them.
        ValueError: a payload is not JSON.
    """
    spent_at = None if policy is None else policy.recovery_attempts
    append: Append = []
    for row in rows:
        read = Read(row)
        if append and not _continues(append, read, spent_at):
            yield append
            append = []
        append.append(read)
        if read.type == "policy_set":
            spent_at = Policy.from_payload(dict(read.payload)).recovery_attempts
    if append:
        yield append


def _continues(append: Append, read: Read, spent_at: int | None) -> bool:
    last = append[-1]
    if read.at != last.at or read.row.actor != last.row.actor or read.row.node != last.row.node:
        return False
    if _unfinished(last):
        return True
    if read.type == "tuner_released":
        return read.payload["why"] in _ALWAYS_FOLLOW
    if read.type == "policy_set":
        return last.type in ("started", "settings_changed")
    if last.type == ERROR and read.type == RECLAIM:
        return _attempts_spent(last, read, spent_at)
    first = append[0]
    if (first.type, read.type) not in _FOLLOWS:
        return False
    # Without a cause inside its own decision an event is caused by the last one of its stream.
    cause = read.row.cause
    return cause is None or any(one.row.id == cause for one in append)


def _unfinished(last: Read) -> bool:
    """What was made room for follows in any case."""
    if last.type == "tuner_leased":
        return True
    payload: Any = last.payload
    if last.type == "tuner_released":
        return bool(payload["why"] == "given_up")
    return last.type == DISCONNECT and payload["detail"] == "superseded"


def _attempts_spent(error: Read, reclaim: Read, spent_at: int | None) -> bool:
    if error.stream != reclaim.stream or error.dst != RECOVERING:
        return False
    if reclaim.payload["detail"] != "recovery_exhausted":
        return False
    return spent_at is None or error.payload.get("attempts", 0) >= spent_at


assert CONNECT not in {follower for _, follower in _FOLLOWS}, "a connect ends what was begun"
