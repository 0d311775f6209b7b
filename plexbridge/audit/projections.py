"""Whether what is stored of the projections equals what the log folds to.

One pass over the log: at each position of which a state is stored, the rebuilt state is compared
with it byte by byte; where the last one of the dashboard stands, every session's row as well. What
another version stored is not looked at, and that is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import orjson

from events.codec import NewerLog
from events.ids import BRIDGE_STREAM
from events.policy import Policy
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.reading import Progress, recorded
from plexbridge.control.prunes import PRUNED
from plexbridge.control.seals import beginning
from plexbridge.control.stored import in_force
from plexbridge.log import sealing
from plexbridge.log.driver import Connection
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sealing import SealBroken
from projections import dashboard
from projections.folding import Folding
from projections.lifting import CURRENT
from projections.live import document

CHECK: Final = "projections"

ROWS_AT_ONCE: Final = 1_000
"""Sessions that changed and are not digested yet; most change again before that."""

_PRUNES: Final = "SELECT pos, data FROM events WHERE stream = ? AND type = ? ORDER BY ver"


@dataclass(frozen=True, slots=True)
class Saved:
    """What was stored, as digests, all of one moment."""

    states: dict[int, dict[str, bytes]]
    """Position → name → SHA-256 of the state."""
    sessions: dict[str, bytes]
    """Session id → SHA-256 of its document."""
    version: int | None
    """Of the dashboard in force, whose rows those are; None where none is stored."""

    @property
    def shown_at(self) -> int:
        """The position that the sessions' rows are of."""
        return max(
            (pos for pos, names in self.states.items() if dashboard.NAME in names), default=0
        )

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
        version = in_force(connection, dashboard.NAME)
        ours = there and version in (None, dashboard.VERSION)
        rows = connection.execute("SELECT id, document FROM sessions") if ours else []
        digests = {id_: sha256(text.encode()).digest() for id_, text in rows}
        return Saved(states, digests, version)
    finally:
        connection.execute("COMMIT")


def compare(
    reader: SqliteReader,
    stored: Saved,
    progress: Progress | None = None,
    *,
    begun: Folding | None = None,
) -> Iterator[Finding]:
    """Every stored state and row that the log does not fold to. `begun`: from this fold on, which
    is folded further; rows of sessions that ended before it are then left aside. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
    """
    try:
        folding = begun or reader.query(beginning)
    except SealBroken as broken:
        yield Finding(check=CHECK, kind=Kind.BROKEN, pos=broken.pos, text=str(broken))
        return
    except NewerLog as unknown:
        yield Finding(check=CHECK, kind=Kind.UNCHECKED, pos=None, text=str(unknown))
        return
    yield from _seal(reader)
    if folding.position < reader.base().pos:
        text = "the log begins behind a prune, and nothing was sealed there to fold from"
        yield Finding(check=CHECK, kind=Kind.UNCHECKED, pos=None, text=text)
        return
    if stored.version not in (None, dashboard.VERSION):
        text = (
            f"version {stored.version} of the {dashboard.NAME} is in force and this release has "
            f"{dashboard.VERSION}: a bridge builds it beside, or plexbridge projections rebuild"
        )
        yield Finding(check=CHECK, kind=Kind.UNCHECKED, pos=None, text=text)
    last, head = max(stored.states, default=0), reader.head().pos
    for pos in sorted(pos for pos in stored.states if pos > head):
        text = f"states of position {pos} are stored, and the log ends at {head}"
        yield Finding(check=CHECK, pos=pos, text=text)
    rebuilt = dict[str, bytes]()
    if begun is not None:
        live = begun.shown.live
        live.touched = dict(live.state["sessions"])
    shown_at = stored.shown_at
    if shown_at:
        _take_rows(folding, rebuilt)
    for row in recorded(reader, after=folding.position, until=last, progress=progress):
        try:
            folding.fold(row)
        except (AssertionError, KeyError, TypeError, ValueError) as fault:
            text = f"{row.stream} {row.type} cannot be folded: {fault!r}"
            yield Finding(check=CHECK, pos=row.pos, text=text)
            return
        touched = folding.shown.live.touched
        if row.pos == shown_at or (row.pos < shown_at and len(touched) >= ROWS_AT_ONCE):
            _take_rows(folding, rebuilt)
        if row.pos in stored.states:
            yield from _states(folding, stored.states[row.pos])
    if shown_at <= head:
        compared = stored.sessions
        if begun is not None:
            compared = {id_: held for id_, held in compared.items() if id_ in rebuilt}
        yield from _sessions(compared, rebuilt, shown_at)


def _seal(reader: SqliteReader) -> Iterator[Finding]:
    """Whether the sealed states are those that the event of the prune tells of. In an archive or
    a part of a log there is no such event, and the file's own digest stands for them."""
    seal = reader.query(sealing.read)
    if seal is None:
        return
    digests = {one.name: one.digest.hex() for one in seal.states}
    for pos, payload in reader.query(lambda it: it.execute(_PRUNES, (BRIDGE_STREAM, PRUNED))):
        data = orjson.loads(payload)
        told = {one["name"]: one["digest"] for one in data["states"]}
        if data["last"] == seal.pos and told != digests:
            text = f"the states sealed at position {seal.pos} are not those this event tells of"
            yield Finding(check=CHECK, kind=Kind.BROKEN, pos=pos, text=text)


def _take_rows(folding: Folding, rebuilt: dict[str, bytes]) -> None:
    live = folding.shown.live
    if live.touched:
        policy = Policy.from_payload(live.state["policy"])
        for id_, changed in live.touched.items():
            rebuilt[id_] = sha256(orjson.dumps(document(changed, policy))).digest()
        live.touched.clear()


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
