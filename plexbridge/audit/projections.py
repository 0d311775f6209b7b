"""Whether what is stored of the projections equals what the log folds to.

One pass over the log: at each position of which a state is stored, the rebuilt state is compared
with it byte by byte; where the last one stands, every session's row as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import orjson

from events.policy import Policy
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.reading import Progress, recorded
from plexbridge.log.driver import Connection
from plexbridge.log.reader import SqliteReader
from projections import dashboard, world_state
from projections.folding import Folding
from projections.live import document

CHECK: Final = "projections"

CURRENT: Final = {dashboard.NAME: dashboard.VERSION, world_state.NAME: world_state.VERSION}
"""What this release stores, and in which version; other versions are left aside at a start."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What was stored, as digests, all of one moment."""

    states: dict[int, dict[str, bytes]]
    """Position → name → SHA-256 of the state."""
    sessions: dict[str, bytes]
    """Session id → SHA-256 of its document."""

    @property
    def examined(self) -> int:
        """How many things there are to compare."""
        return sum(map(len, self.states.values())) + len(self.sessions)


def saved(reader: SqliteReader) -> Saved:
    """Read the digests of what is stored. Blocks."""
    return reader.query(_saved)


def _saved(connection: Connection) -> Saved:
    connection.execute("BEGIN")  # states and rows of one save, though a bridge goes on saving
    try:
        states: dict[int, dict[str, bytes]] = {}
        for name, version, pos in connection.execute("SELECT name, version, pos FROM projections"):
            if CURRENT.get(name) == version:
                [(state,)] = connection.execute(
                    "SELECT state FROM projections WHERE name = ? AND version = ? AND pos = ?",
                    (name, version, pos),
                )
                states.setdefault(pos, {})[name] = sha256(state).digest()
        [(there,)] = connection.execute(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'sessions'"
        )
        rows = connection.execute("SELECT id, document FROM sessions") if there else []
        return Saved(states, {id_: sha256(text.encode()).digest() for id_, text in rows})
    finally:
        connection.execute("COMMIT")


def compare(
    reader: SqliteReader, stored: Saved, progress: Progress | None = None
) -> Iterator[Finding]:
    """Every stored state and row that the log does not fold to. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
    """
    if reader.base().pos > 0:
        text = "the log begins behind a prune, and is not folded from its first event"
        yield Finding(check=CHECK, kind=Kind.UNCHECKED, pos=None, text=text)
        return
    last, head = max(stored.states, default=0), reader.head().pos
    for pos in sorted(pos for pos in stored.states if pos > head):
        text = f"states of position {pos} are stored, and the log ends at {head}"
        yield Finding(check=CHECK, pos=pos, text=text)
    folding, rebuilt = Folding(), dict[str, bytes]()
    for row in recorded(reader, until=last, progress=progress):
        try:
            folding.fold(row)
        except (AssertionError, KeyError, TypeError, ValueError) as fault:
            text = f"{row.stream} {row.type} cannot be folded: {fault!r}"
            yield Finding(check=CHECK, pos=row.pos, text=text)
            return
        for id_, changed in folding.shown.live.touched.items():
            policy = Policy.from_payload(folding.shown.live.state["policy"])
            rebuilt[id_] = sha256(orjson.dumps(document(changed, policy))).digest()
        folding.shown.live.touched.clear()
        if row.pos in stored.states:
            yield from _states(folding, stored.states[row.pos])
    if last <= head:
        yield from _sessions(stored.sessions, rebuilt, last)


def _states(folding: Folding, digests: dict[str, bytes]) -> Iterator[Finding]:
    for (name, _), state in folding.dump().items():
        if name in digests and digests[name] != sha256(state).digest():
            text = f"{name} at {folding.position} DIFFERS → plexbridge projections rebuild"
            yield Finding(check=CHECK, pos=folding.position, text=text)


def _sessions(stored: dict[str, bytes], rebuilt: dict[str, bytes], pos: int) -> Iterator[Finding]:
    wrong = sorted(
        id_ for id_ in stored.keys() | rebuilt.keys() if stored.get(id_) != rebuilt.get(id_)
    )
    if wrong:
        text = (
            f"{len(wrong)} session rows DIFFER, {wrong[0]} first → plexbridge projections rebuild"
        )
        yield Finding(check=CHECK, pos=pos, text=text)
