"""A disk that can lose its power: an SQLite VFS in memory that records what was written and synced.

Knows files, writes, truncations, deletions and syncs, in their order. An image is what a disk may
hold after a power cut at one moment: all that was synced, and of the rest any part, whole or torn
at sectors. Refuses to know what SQLite means by it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw

SECTOR_BYTES: Final = 512
TORN: Final = 0.3
"""Of the writes that were not synced, so many reach the disk in part."""

_names = count(1)


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place of a file."""

    file: str
    offset: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file is cut."""

    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Delete:
    """A file is gone from its directory."""

    file: str


@dataclass(frozen=True, slots=True)
class Sync:
    """What was done to a file is on the disk when this returns."""

    file: str


Operation = Write | Truncate | Delete | Sync


@dataclass(slots=True)
class Disk:
    """What the files hold for whoever asks now, and how it came to be."""

    files: dict[str, bytearray] = field(default_factory=dict)
    begun_with: dict[str, bytes] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def put(self, name: str, body: bytes) -> None:
        """A file that was on the disk before."""
        self.files[name] = bytearray(body)
        self.begun_with[name] = body

    def did(self, operation: Operation) -> None:
        """Carry out and remember."""
        self.operations.append(operation)
        apply(self.files, operation)


def apply(files: dict[str, bytearray], operation: Operation) -> None:
    """What an operation makes of the files."""
    if isinstance(operation, Write):
        body = files.setdefault(operation.file, bytearray())
        end = operation.offset + len(operation.body)
        body.extend(bytes(max(0, end - len(body))))
        body[operation.offset : end] = operation.body
    elif isinstance(operation, Truncate):
        del files.setdefault(operation.file, bytearray())[operation.size :]
    elif isinstance(operation, Delete):
        files.pop(operation.file, None)


def image(disk: Disk, moment: int, random: Random) -> dict[str, bytearray]:
    """What the disk may hold when the power is cut after `moment` operations."""
    done = disk.operations[:moment]
    synced = {one.file: index for index, one in enumerate(done) if isinstance(one, Sync)}
    files = {name: bytearray(body) for name, body in disk.begun_with.items()}
    for index, one in enumerate(done):
        if index < synced.get(one.file, -1):
            apply(files, one)
        elif random.random() < 0.5:
            for part in _torn(one, random):
                apply(files, part)
    return files


def _torn(one: Operation, random: Random) -> Iterator[Operation]:
    if not isinstance(one, Write) or random.random() > TORN:
        yield one
        return
    for offset in range(0, len(one.body), SECTOR_BYTES):
        if random.random() < 0.5:
            sector = one.body[offset : offset + SECTOR_BYTES]
            yield Write(one.file, one.offset + offset, sector)


class RecordingVfs(apsw.VFS):  # type: ignore[misc]
    """The way SQLite comes to the disk."""

    def __init__(self, disk: Disk) -> None:
        self.name = f"power-cut-{next(_names)}"
        self.disk = disk
        super().__init__(self.name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> "RecordingFile":
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        flags[1] = flags[0]
        return RecordingFile(self.disk, Path(path or f"temp{next(_names)}").name)

    def xAccess(self, path: str, flags: int) -> bool:
        return Path(path).name in self.disk.files

    def xDelete(self, path: str, sync: bool) -> None:
        name = Path(path).name
        if name not in self.disk.files:
            raise apsw.IOError("no such file")
        self.disk.did(Delete(name))
        if sync:
            self.disk.did(Sync(name))

    def xFullPathname(self, name: str) -> str:
        return f"/{Path(name).name}"


class RecordingFile:
    """One open file."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        self._name = name
        disk.files.setdefault(name, bytearray())

    @property
    def _body(self) -> bytearray:
        return self._disk.files.setdefault(self._name, bytearray())

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._body[offset : offset + amount])

    def xWrite(self, body: bytes, offset: int) -> None:
        self._disk.did(Write(self._name, offset, bytes(body)))

    def xTruncate(self, size: int) -> None:
        self._disk.did(Truncate(self._name, size))

    def xSync(self, flags: int) -> None:
        self._disk.did(Sync(self._name))

    def xFileSize(self) -> int:
        return len(self._body)

    def xLock(self, level: int) -> None:
        """Nobody else is there."""

    def xUnlock(self, level: int) -> None:
        """Nobody else is there."""

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:
        return 0

    def xClose(self) -> None:
        """What was not synced is not on the disk by that."""


class ApswConnection:
    """The log's `Connection` over this other driver of SQLite, on a recorded disk."""

    def __init__(self, raw: apsw.Connection) -> None:
        self.raw = raw

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.raw.execute(sql, tuple(parameters))]

    def executemany(self, sql: str, rows: Any) -> None:
        self.raw.executemany(sql, [tuple(row) for row in rows])

    @property
    def in_transaction(self) -> bool:
        return bool(self.raw.in_transaction)

    def close(self) -> None:
        self.raw.close()
