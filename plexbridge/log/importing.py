"""Reading exported events back: into a new log with the same hashes, or not at all.

Knows plain, compressed and bundled files by their first bytes. Refuses to trust any of them: each
event's hash is computed, the database's own rules apply, and the digest at the end must fit.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final

import zstandard

from events.envelope import Recorded
from events.ids import Position
from plexbridge.log import rows, schema, sealing
from plexbridge.log.driver import Connection, open_writer
from plexbridge.log.errors import CannotOpen, StorageFailed
from plexbridge.log.exported import (
    Before,
    Closing,
    Header,
    NotExact,
    read_before,
    read_header,
    read_line,
)
from plexbridge.log.exporting import LogBroken, checked
from plexbridge.log.lock import WriterLock
from plexbridge.log.port import Head

EVENTS_MEMBER: Final = "events.ndjson"
"""What a bundle calls its events."""

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A seal is one line: some hundred kB of a full house. A longer line is not ours."""

PAGE_EVENTS: Final = 2_000
"""Events stored in one transaction, some 2 MB."""

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZIP: Final = b"PK\x03\x04"

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a file turned out to hold, every hash and its digest checked."""

    header: Header
    events: int
    head: Head
    """Position and hash of the last event."""


@contextmanager
def opened_export(path: Path) -> Iterator[IO[bytes]]:
    """The lines of an exported file, whatever it is packed in. Blocks.

    Raises:
        CannotOpen: there is no such file, or a bundle without events.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            magic = file.read(4)
            file.seek(0)
            if magic == _ZIP:
                bundle = stack.enter_context(zipfile.ZipFile(file))
                lines: IO[bytes] = stack.enter_context(bundle.open(EVENTS_MEMBER))
            elif magic == _ZSTD:
                reader = zstandard.ZstdDecompressor().stream_reader(file)
                lines = stack.enter_context(io.BufferedReader(reader))
            else:
                lines = file
        except OSError as error:
            raise CannotOpen(path, str(error.strerror)) from error
        except (KeyError, zipfile.BadZipFile) as error:
            raise CannotOpen(path, "it is no bundle of events") from error
        yield lines


def check_file(source: Path, progress: Progress | None = None) -> Taken:
    """Read a file from end to end. Blocks.

    Raises:
        LogBroken: it is not what was written, with the position up to which it is.
        CannotOpen: it cannot be read, or holds no whole range of events.
    """
    with _opened(source) as file:
        for page in file.pages():
            if progress is not None:
                progress(page[-1].pos)
        return file.taken()


def import_events(source: Path, target: Path, progress: Progress | None = None) -> Taken:
    """Make the log at `target` out of an exported file; there must be none. Blocks.

    Raises:
        LogBroken: the file is not what was written, with the position up to which it is.
        CannotOpen: the file cannot be read or holds no whole range of events; the log cannot be
            made, or is there already.
    """
    lock = WriterLock(target)
    making = target.with_name(target.name + ".importing")
    try:
        if target.exists():
            raise CannotOpen(target, "there is a log already; an import needs an empty directory")
        with _opened(source) as file:
            schema.prepare(making)
            connection = open_writer(making, "relaxed")
            try:
                _store(file, connection, progress)
            finally:
                connection.close()
            taken = file.taken()
        making.replace(target)
        return taken
    finally:
        for suffix in ("", "-wal", "-shm"):
            making.with_name(making.name + suffix).unlink(missing_ok=True)
        lock.release()


@contextmanager
def _opened(source: Path) -> Iterator["ExportedFile"]:
    try:
        with opened_export(source) as lines:
            yield ExportedFile(source, lines)
    except (zstandard.ZstdError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise LogBroken(0, f"{source} is damaged ({error})") from error


class ExportedFile:
    """One file while it is read; nothing of it is to be trusted before `taken`."""

    def __init__(self, source: Path, lines: IO[bytes]) -> None:
        """Read what comes before the events.

        Raises:
            CannotOpen: these are no events, or not a whole range of them.
            LogBroken: they are, and the beginning is damaged.
        """
        self._source = source
        self._lines = lines
        self._digest = hashlib.sha256()
        self._events = 0
        self._closed = False
        self.header = self._read_header()
        self._pos, self._hash = self.header.first - 1, self.header.before
        self.before = self._read_before() if self.header.sealed else None
        if self.before is None and self.header.first != 1:
            raise CannotOpen(source, "it begins in the middle and holds no seal to fold from")

    def pages(self) -> Iterator[list[Recorded]]:
        """The events, each following from the one before it.

        Raises:
            LogBroken: one does not, or cannot be read; or the end is missing.
        """
        follow = checked(self._rows(), after=self._pos, previous=self._hash)
        while page := list(islice(follow, PAGE_EVENTS)):
            self._hash = page[-1].hash
            yield page
        if not self._closed:
            raise LogBroken(self._pos + 1, "the file ends before its digest")
        if self._pos != self.header.last:
            raise LogBroken(self._pos + 1, f"events up to {self.header.last} are promised")

    def taken(self) -> Taken:
        """What was read."""
        assert self._closed, "asked only when everything was read"
        return Taken(self.header, self._events, Head(Position(self._pos), self._hash))

    def _line(self) -> bytes:
        line = self._lines.readline(LINE_BYTES_MAX)
        if line and not line.endswith(b"\n"):
            raise LogBroken(self._pos + 1, "the file is cut off in the middle of a line")
        return line

    def _read_header(self) -> Header:
        line = self._lines.readline(LINE_BYTES_MAX)
        try:
            header = read_header(line)
        except NotExact as fault:
            raise CannotOpen(self._source, str(fault)) from fault
        if header is None:
            raise CannotOpen(self._source, "it is neither a log nor exported events")
        if header.selected:
            text = "only some events were exported; export them without --type and --stream"
            raise CannotOpen(self._source, text)
        self._digest.update(line)
        return header

    def _read_before(self) -> Before:
        line = self._line()
        self._digest.update(line)
        try:
            before = read_before(line)
        except NotExact as fault:
            raise LogBroken(self.header.first, f"what came before: {fault}") from fault
        if before.seal.pos != self.header.first - 1:
            text = f"what came before is that of position {before.seal.pos}"
            raise LogBroken(self.header.first, text)
        return before

    def _rows(self) -> Iterator[Recorded]:
        while line := self._line():
            try:
                read = read_line(line)
            except NotExact as fault:
                raise LogBroken(self._pos + 1, f"its line cannot be read: {fault}") from fault
            if isinstance(read, Closing):
                self._close(read)
                return
            self._digest.update(line)
            self._pos, self._events = read.pos, self._events + 1
            yield read

    def _close(self, closing: Closing) -> None:
        digest = f"sha256:{self._digest.hexdigest()}"
        if (closing.events, closing.digest) != (self._events, digest):
            text = "the events up to here fit, and the file's digest does not"
            raise LogBroken(self._pos, text)
        self._closed = True


def _store(file: ExportedFile, connection: Connection, progress: Progress | None) -> None:
    """Everything, into an empty database, which is then one file without a log beside it."""
    if file.before is not None:
        _begin_behind(connection, file.header, file.before)
    for page in file.pages():
        _store_page(connection, page)
        if progress is not None:
            progress(page[-1].pos)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode=DELETE")


def _store_page(connection: Connection, page: Sequence[Recorded]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(_INSERT, page)
        steps = _clock_steps(connection, page)
        connection.executemany("INSERT INTO clock_steps(pos, at) VALUES (?, ?)", steps)
        connection.execute("COMMIT")
    except StorageFailed as failed:
        if failed.code.startswith("SQLITE_CONSTRAINT"):
            raise LogBroken(page[0].pos, f"here or soon behind: {failed}") from failed
        raise
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


_INSERT: Final = (
    f"INSERT INTO events({rows.COLUMNS}) VALUES ({', '.join('?' * len(Recorded._fields))})"
)


def _begin_behind(connection: Connection, header: Header, before: Before) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "UPDATE log_meta SET first_pos = ?, base_pos = ?, base_hash = ?",
        (header.first, header.first - 1, header.before),
    )
    connection.executemany(
        "INSERT INTO stream_base(stream, ver) VALUES (?, ?)", list(before.streams.items())
    )
    sealing.write(connection, before.seal)
    connection.execute("COMMIT")


def _clock_steps(connection: Connection, page: Sequence[Recorded]) -> list[tuple[int, int]]:
    """Positions whose event is earlier than the one before it; the page is stored already."""
    found = connection.execute("SELECT at FROM events WHERE pos = ?", (page[0].pos - 1,))
    before = found[0][0] if found else page[0].at
    steps: list[tuple[int, int]] = []
    for row in page:
        if row.at < before:
            steps.append((row.pos, row.at))
        before = row.at
    return steps
