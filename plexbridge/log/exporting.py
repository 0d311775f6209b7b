"""Writing events out: chain checked on the way, digest at the end.

An export vouches for what it holds: an event whose hash does not fit is not written.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import zstandard

from events.codec import NotCanonical, canonical, chain, hash_of
from events.envelope import Recorded
from plexbridge.log.exported import (
    Before,
    Closing,
    Header,
    before_line,
    closing_line,
    event_line,
    header_line,
)
from plexbridge.private_file import OWNER_ONLY

ZSTD_SUFFIX: Final = ".zst"
ZSTD_LEVEL: Final = 9
"""As small as it gets before time is spent for nothing: about a twentieth of the lines."""

Rewrite = Callable[[Recorded], Recorded]
"""Gives an event other contents; hashes are made anew behind it."""


class LogBroken(Exception):
    """The events are not what was written; one line with the position."""

    def __init__(self, pos: int, what: str) -> None:
        super().__init__(f"position {pos}: {what}")
        self.pos = pos


class Sink(Protocol):
    """Takes bytes in order."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Written:
    """What an export came to."""

    events: int
    first: int
    last: int
    hash: bytes
    """Of the last event, as it is in the file."""
    digest: str


def write_events(
    rows: Iterable[Recorded],
    header: Header,
    sink: Sink,
    *,
    before: Before | None = None,
    rewrite: Rewrite | None = None,
) -> Written:
    """Write header, seal, events and digest. `rows` are all events from `header.first` on, without
    a gap; those that the header does not select are checked and left out.

    Raises:
        LogBroken: an event's hash does not fit. What was written has no digest line and so no end.
        StorageFailed: the log cannot be read.
    """
    assert header.sealed is (before is not None), "a header says whether a seal follows"
    digest, count = hashlib.sha256(), 0

    def put(line: bytes) -> None:
        digest.update(line)
        sink.write(line)

    put(header_line(header))
    if before is not None:
        put(before_line(before))
    made = header.before
    pos, types = header.first - 1, frozenset(header.types)
    for row in checked(rows, after=pos, previous=header.before):
        pos = row.pos
        if rewrite is not None:
            row = rewrite(row)
            row = row._replace(hash=chain(made, row.pos, canonical(*row[1:-1])))
        made = row.hash
        if row.stream.startswith(header.stream) and (not types or row.type in types):
            put(event_line(row))
            count += 1
    closing = Closing(count, f"sha256:{digest.hexdigest()}")
    sink.write(closing_line(closing))
    return Written(count, header.first, pos, made, closing.digest)


def checked(rows: Iterable[Recorded], *, after: int, previous: bytes) -> Iterator[Recorded]:
    """The same events, each only if it follows the one before it.

    Raises:
        LogBroken: one does not.
    """
    for row in rows:
        if row.pos != after + 1:
            raise LogBroken(row.pos, f"it follows position {after}")
        try:
            fits = hash_of(previous, row) == row.hash
        except (NotCanonical, TypeError, ValueError, ArithmeticError) as fault:
            raise LogBroken(row.pos, f"a field cannot have been written so ({fault})") from fault
        if not fits:
            raise LogBroken(row.pos, "the event was altered: its hash does not fit")
        after, previous = row.pos, row.hash
        yield row


@contextmanager
def whole_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """A file that is there, synced, once the block ends well, and not before. `private`: readable
    by its owner alone, from its first byte.

    Raises:
        OSError: it cannot be written; what stood there is as it was.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)  # what a crash left has whatever mode it had
        with open(part, "wb", opener=_for_its_owner if private else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER_ONLY)


@contextmanager
def export_file(path: Path) -> Iterator[Sink]:
    """The same, compressed where its name says so.

    Raises:
        OSError: see `whole_file`.
    """
    with whole_file(path) as file:
        if path.suffix != ZSTD_SUFFIX:
            yield file
            return
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
        with compressor.stream_writer(file, closefd=False) as compressed:
            yield compressed
