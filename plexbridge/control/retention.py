"""How long a running bridge keeps its events: by age, by size, once a night.

Knows when it is night and what is too old or too much; `prunes` cuts. Nothing waits for it: it
looks in threads, takes away in batches and rests after each. The night is also when the head of
the log is told, so that an anchor outlives the file.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, tzinfo
from typing import Final

import structlog

from events.ids import UnixMicros
from plexbridge.clock import Clock
from plexbridge.control.prunes import UNREADABLE, Cut, Note, cut_before, finish, prune
from plexbridge.log.errors import StorageFailed
from plexbridge.log.port import LogUnavailable
from plexbridge.log.pruning import used_bytes
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sqlite import SqliteLog

_log = structlog.get_logger(__name__)

NIGHT_HOUR: Final = 4
"""Local time: after the late film and before breakfast television."""

LOOK_EVERY_S: Final = 600.0
"""Longest sleep: a computer that was suspended, or whose clock was set, is late by no more."""

PAUSE_S: Final = 0.05
"""Between two batches of some 4 ms: the writer is free nine tenths of the time."""

DAY_US: Final = 86_400_000_000
MB_BYTES: Final = 1_000_000

_FAULTS: Final = (LogUnavailable, StorageFailed, *UNREADABLE)


def next_night(now: UnixMicros, zone: tzinfo | None) -> UnixMicros:
    """The next time it is `NIGHT_HOUR`; `zone` None is local."""
    here = datetime.fromtimestamp(now / 1_000_000, zone)
    night = here.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    if night <= here:
        night += timedelta(days=1)
    return UnixMicros(round(night.timestamp() * 1_000_000))


def too_old(reader: SqliteReader, now: UnixMicros, days: int) -> int:
    """The last position older than so many days; 0 where none is, or `days` is 0. Blocks."""
    return reader.position_at(now - days * DAY_US) if days else 0


def too_much(reader: SqliteReader, megabytes: int) -> int:
    """The position up to which events must go for the rest to fit; 0 where all fit, or
    `megabytes` is 0. Events are taken to be of one size. Blocks."""
    limit = megabytes * MB_BYTES
    used = reader.query(used_bytes)
    if not limit or used <= limit:
        return 0
    base, head = reader.base().pos, reader.head().pos
    return base + -(-(head - base) * (used - limit) // used)


class Retention:
    """Used on the event loop; what blocks runs in threads."""

    def __init__(
        self,
        log: SqliteLog,
        *,
        note: Note,
        save: Callable[[], Awaitable[None]],
        clock: Clock,
        days: int,
        megabytes: int,
        zone: tzinfo | None = None,
        pause_s: float = PAUSE_S,
    ) -> None:
        """`save` stores what the projections hold: rows of sessions that are about to go must not
        be written afterwards."""
        self._log = log
        self._note = note
        self._save = save
        self._clock = clock
        self.days = days
        self.megabytes = megabytes
        self._zone = zone
        self._pause_s = pause_s

    async def run(self) -> None:
        """Finish what a crash interrupted, and then every night; until cancelled."""
        await self._guarded(lambda: finish(self._log, pause_s=self._pause_s))
        while True:
            await self._until(next_night(self._clock.now(), self._zone))
            await self._guarded(self.tonight)

    async def _until(self, moment: UnixMicros) -> None:
        left_us = moment - self._clock.now()
        while left_us > 0:
            await asyncio.sleep(min(left_us / 1_000_000, LOOK_EVERY_S))
            left_us = moment - self._clock.now()

    async def tonight(self) -> None:
        """Tell the head, and prune what is too old or too much.

        Raises:
            LogUnavailable, StorageFailed: the log cannot be read, or not be written.
        """
        await tell_head(self._log.reader)
        cut, why = await asyncio.to_thread(self._cut)
        if cut is None:
            return
        await self._save()
        if await prune(self._log, self._note, cut, why=why, pause_s=self._pause_s):
            _log.info("Events pruned", first=cut.first, last=cut.pos, why=why, hash=cut.hash.hex())

    def _cut(self) -> tuple[Cut | None, str]:
        reader = self._log.reader
        by_age = too_old(reader, self._clock.now(), self.days)
        by_size = too_much(reader, self.megabytes)
        why = "age" if by_age >= by_size else "size"
        return cut_before(reader, max(by_age, by_size)), why

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """A night that fails is said, and the next one comes."""
        try:
            await work()
        except _FAULTS as fault:
            _log.warning("Old events could not be pruned; again next night", why=str(fault))


async def tell_head(reader: SqliteReader) -> None:
    """Say where the log ends, with its hash: kept elsewhere, that line is an anchor for
    `audit --anchor`.

    Raises:
        StorageFailed: the log cannot be read.
    """
    head = await asyncio.to_thread(reader.head)
    _log.info("Log head", position=head.pos, hash=head.hash.hex())
