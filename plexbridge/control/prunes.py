"""Where a log is cut, what the cut is told as, and the steps by which it is made.

A cut stands where nothing was open, so that no session's story is torn; where a busy house has no
such moment, before everything that is open now. Whatever happens half-way, the log is whole: first
the event, then the states that the events come to, then the events go in batches; what a crash
interrupts is finished by `finish`. Refuses to know when it is time for a prune.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from events.codec import NewerLog
from events.machine import ENDED
from plexbridge.control import stored
from plexbridge.control.folds import fold_on
from plexbridge.control.seals import beginning, first_moment, folding_of, seal_of
from plexbridge.log import pruning, rows, sealing
from plexbridge.log.driver import Connection, Row
from plexbridge.log.port import Durable
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sqlite import SqliteLog
from projections.folding import Folding

PRUNED: Final = "pruned"
"""Type of the event on stream `bridge`."""

PAGE_ROWS: Final = 5_000
"""Read at once while a quiet moment is looked for: five small columns of each."""

_OPENINGS = """SELECT pos, at, stream, type, dst FROM events
               WHERE pos > ? ORDER BY pos LIMIT ?"""
_LAST_STEP = "SELECT dst FROM events WHERE stream = ? ORDER BY ver DESC LIMIT 1"
_NEXT_LEASE_STEP = """SELECT type FROM events WHERE stream = ? AND pos > ?
                      AND type IN ('tuner_leased', 'tuner_released') ORDER BY ver LIMIT 1"""

Note = Callable[[str, str, dict[str, object]], Awaitable[Durable]]
"""Records an event of a stream, type and payload; empty where it cannot be stored at the moment."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Everything up to `pos` may go."""

    first: int
    """The first event held now."""
    pos: int
    hash: bytes
    folding: Folding
    """As things stood after the event at `pos`."""

    @property
    def events(self) -> int:
        """How many go."""
        return self.pos - self.first + 1

    @property
    def split(self) -> int:
        """Sessions and leases whose beginning goes and whose end stays: none at a quiet moment."""
        return len(self.folding.decided.sessions) + len(self.folding.decided.leases)

    def payload(self, why: str, archive: str | None = None) -> dict[str, object]:
        """What the event of this prune carries. `archive`: digest of the file written before."""
        states = [
            {"name": one.name, "version": one.version, "digest": one.digest.hex()}
            for one in seal_of(self.folding).states
        ]
        return {
            "first": self.first,
            "last": self.pos,
            "hash": self.hash.hex(),
            "until": self.folding.shown.at,
            "why": why,
            "split": self.split,
            "states": states,
            "archive": archive,
        }


def cut_before(reader: SqliteReader, wanted: int) -> Cut | None:
    """The last place to cut at or before a position; None where nothing can go. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
        SealBroken, NewerLog: what an earlier prune sealed cannot be.
    """
    floor = reader.query(first_moment)
    wanted = min(wanted, reader.head().pos - 1)
    if wanted <= floor:
        return None
    quiet, still_open = _quiet(reader, floor, wanted)
    pos = quiet or _before_what_is_open(reader, floor, wanted, still_open)
    if pos <= floor:
        return None
    folding = fold_on(reader.query(lambda it: stored.nearest(it, pos)), reader, pos)
    return Cut(reader.first(), pos, reader.read(pos - 1, 1)[0].hash, folding)


def _quiet(reader: SqliteReader, floor: int, wanted: int) -> tuple[int, dict[str, int]]:
    """The last position at which nothing was open (0: none), and what is open at `wanted`, each
    with the position it began at. A time never falls into a decision, so a cut where the time
    changes does not either."""
    world = reader.query(beginning).decided
    open_: dict[str, int] = {f"session-{name}": floor for name in world.sessions}
    open_ |= {f"channel-{channel}": floor for channel in world.leases}
    quiet, pos, before, was_quiet = 0, floor, 0, False
    while page := reader.query(partial(_openings, after=pos)):
        for pos, at, stream, type_, dst in page:
            if was_quiet and at != before:
                quiet = pos - 1
            if pos > wanted:
                return quiet, open_
            if stream.startswith("session-"):
                if dst == ENDED:
                    open_.pop(stream, None)
                else:
                    open_.setdefault(stream, pos)
            elif type_ == "tuner_leased":
                open_[stream] = pos
            elif type_ == "tuner_released":
                open_.pop(stream, None)
            before, was_quiet = at, not open_
    return quiet, open_


def _openings(connection: Connection, *, after: int) -> list[Row]:
    return connection.execute(_OPENINGS, (after, PAGE_ROWS))


def _before_what_is_open(
    reader: SqliteReader, floor: int, wanted: int, open_: dict[str, int]
) -> int:
    """The last position up to `wanted` before everything that is open to this day."""
    began = [
        since
        for stream, since in open_.items()
        if reader.query(partial(_goes_on, stream=stream, since=since))
    ]
    pos = min([wanted, *(since - 1 for since in began)])
    while pos > floor:
        here = reader.read(pos - 1, 2)
        if here[0].at != here[1].at:
            return pos
        pos -= 1
    return floor


def _goes_on(connection: Connection, *, stream: str, since: int) -> bool:
    if stream.startswith("session-"):
        return connection.execute(_LAST_STEP, (stream,)) != [(ENDED,)]
    return connection.execute(_NEXT_LEASE_STEP, (stream, since)) != [("tuner_released",)]


async def prune(
    log: SqliteLog,
    note: Note,
    cut: Cut,
    *,
    why: str,
    archive: str | None = None,
    pause_s: float = 0.0,
) -> bool:
    """Record the cut and make it; False where the log could not record it, and nothing went.
    `pause_s` between two batches leaves appends their turn.

    Raises:
        LogUnavailable, StorageFailed: half-way; `finish` goes on from there.
    """
    if not await note("bridge", PRUNED, cut.payload(why, archive)):
        return False
    seal = seal_of(cut.folding)
    await log.run_in_writer(lambda connection: sealing.write(connection, seal))
    await finish(log, pause_s=pause_s)
    return True


async def finish(log: SqliteLog, *, pause_s: float = 0.0) -> None:
    """Let go what lies before the seal, and of the file what is free. Does nothing the second time.

    Raises:
        LogUnavailable, StorageFailed: it goes on from there the next time.
        SealBroken, NewerLog: the seal cannot be read; nothing more goes.
    """
    seal = await asyncio.to_thread(log.reader.query, sealing.read)
    if seal is None:
        return
    await log.run_in_writer(stored.prepare)
    keep = frozenset(folding_of(seal).decided.versions)
    steps: tuple[Callable[[Connection], Any], ...] = (
        _drop_some,
        lambda connection: pruning.forget_streams(connection, keep),
        pruning.give_back,
    )
    for step in steps:
        there_is_more = True
        while there_is_more:
            there_is_more = bool(await log.run_in_writer(step))
            await asyncio.sleep(pause_s)


def _drop_some(connection: Connection) -> bool:
    base, until = rows.base(connection).pos, sealing.position(connection)
    up_to = min(base + pruning.BATCH_EVENTS, until)
    if up_to <= base:
        return False
    stored.forget(connection, base, up_to)
    pruning.drop(connection, up_to)
    return True


UNREADABLE: Final = (sealing.SealBroken, NewerLog)
"""A seal that a prune cannot go on from."""
