"""The logs the contract holds for, each with a way to make its storage fail on demand."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from events.envelope import NewEvent
from events.ids import UnixMicros
from plexbridge.log import driver
from plexbridge.log.driver import Connection, Durability, Row
from plexbridge.log.errors import StorageFailed
from plexbridge.log.memory import MemoryLog, Outcome
from plexbridge.log.port import EventLog
from plexbridge.log.sqlite import SqliteLog

START_US = 1_700_000_000_000_000
_serials = itertools.count(1)


def event(stream: str, ver: int, **changes: Any) -> NewEvent:
    """An event nobody stored yet."""
    serial = next(_serials)
    fields: dict[str, Any] = {
        "stream": stream,
        "ver": ver,
        "type": "activity",
        "schema": 1,
        "src": "active",
        "dst": "active",
        "machine": "3f6b9c2d41e7",
        "at": UnixMicros(START_US + serial),
        "id": serial.to_bytes(16, "big"),
        "corr": b"c" * 16,
        "cause": None,
        "actor": "player",
        "node": "local",
        "fence": 0,
        "payload": {"bytes": serial, "channel": "zdf-händel", "tags": ["a", None, 1.5]},
    }
    return NewEvent(**(fields | changes))


class Faults:
    """What the storage does with the next batches: `Outcome.STORED` until told otherwise."""

    def __init__(self) -> None:
        self.next = Outcome.STORED
        self.still_broken = False
        """Whether opening the storage anew fails too."""

    def take(self, events: Sequence[NewEvent] = ()) -> Outcome:
        """What happens to this batch; the one after it is stored."""
        outcome, self.next = self.next, Outcome.STORED
        return outcome


class FaultyConnection:
    """SQLite as it is, but for its commits."""

    def __init__(self, real: Connection, faults: Faults) -> None:
        self._real = real
        self._faults = faults

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        if sql == "COMMIT":
            match self._faults.take():
                case Outcome.LOST:
                    raise StorageFailed("SQLITE_FULL", "database or disk is full")
                case Outcome.UNKNOWN:
                    self._real.execute(sql)
                    raise StorageFailed("SQLITE_IOERR_FSYNC", "disk I/O error")
        return self._real.execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._real.executemany(sql, rows)

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def close(self) -> None:
        self._real.close()


class Rig(Protocol):
    """One kind of log under test."""

    faults: Faults

    def open(self) -> EventLog: ...


class SqliteRig:
    """The log in a file; opening again finds what was stored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults = Faults()

    def open(self) -> SqliteLog:
        # What survives a power cut is not the question here, and a slow disk is no part of it.
        return SqliteLog(self.path, durability="relaxed", open_writer=self._open_writer)

    def _open_writer(self, path: Path, durability: Durability) -> Connection:
        if self.faults.still_broken:
            raise StorageFailed("SQLITE_IOERR", "disk I/O error")
        return FaultyConnection(driver.open_writer(path, durability), self.faults)


class MemoryRig:
    """The log in memory."""

    def __init__(self) -> None:
        self.faults = Faults()

    def open(self) -> MemoryLog:
        return MemoryLog(fault=self.faults.take)
