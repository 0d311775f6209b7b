"""A guide's file to the file it is kept in: read as a stream, matched, and written whole.

Blocking, for the worker process. Only programmes of matched channels within the window are kept:
a household has some hundred channels, a provider's guide thousands.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
from lxml.etree import _Element

from plexbridge.lineup.guide import schema
from plexbridge.lineup.guide.decode import texts
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.inflate import plain
from plexbridge.lineup.guide.job import Figures, Job
from plexbridge.lineup.guide.matching import Match, match
from plexbridge.lineup.guide.mend import mended, without_prolog
from plexbridge.lineup.guide.parse import CHANNEL, MEMORY_KIB_MAX, elements
from plexbridge.lineup.guide.programme import inner_xml
from plexbridge.lineup.guide.text import clean
from plexbridge.lineup.guide.times import format_time, parse_time
from plexbridge.lineup.unpacking import PIECE_BYTES
from plexbridge.log.driver import SqliteConnection, open_writer
from plexbridge.log.errors import CannotOpen, StorageFailed

CHANNELS_MAX: Final = 250_000
"""Ids and names of all of them are in memory while matching: about 60 MB."""

NAMES_MAX: Final = 8
"""Display names of one channel that are compared."""

ID_CHARS_MAX: Final = 200

PROGRAMMES_MAX: Final = 10_000_000
"""Kept of one guide. A thousand channels in two weeks have under a million."""

LONGEST_S: Final = 7 * 86_400
"""A programme that is said to last longer has no end that means anything."""

ASSUMED_S: Final = 6 * 3_600
"""How long one without an end may have been on, when it is told whether it is in the window."""

_BATCH: Final = 2_000
"""Rows written at once: about 1 MB."""

_FILE_MODE: Final = 0o600


def build(job: Job) -> Figures:
    """Read, match and write.

    Raises:
        GuideFault: `job.into` is not to be used.
    """
    try:
        for end in ("", "-wal", "-shm", "-journal"):  # of a worker that was killed
            job.into.with_name(job.into.name + end).unlink(missing_ok=True)
        os.close(os.open(job.into, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE_MODE))
        with closing(open_writer(job.into, "relaxed")) as connection:
            # A file of its own that nobody reads before it is whole: no journal, one sync at last.
            for pragma in ("journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF"):
                connection.execute(f"PRAGMA {pragma}")
            for table in schema.TABLES:
                connection.execute(table)
            connection.execute("BEGIN")
            figures = _Reading(job, connection).read()
            connection.execute(f"PRAGMA user_version = {schema.SCHEMA}")
            connection.execute("COMMIT")
        _sync(job.into)
    except (StorageFailed, CannotOpen, OSError) as error:
        why = getattr(error, "why", None) or getattr(error, "strerror", None) or str(error)
        raise GuideFault("store", f"cannot be kept: {why}", "check the data directory") from error
    return figures


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Reading:
    """One guide being read."""

    def __init__(self, job: Job, connection: SqliteConnection) -> None:
        self._job = job
        self._connection = connection
        self._names: dict[str, tuple[str, ...]] = {}
        self._rows: list[tuple[int, int, int | None, str]] = []
        self._digest = blake2b(digest_size=8)
        self.figures = Figures()

    def read(self) -> Figures:
        started = time.monotonic()
        chosen = self._pass(None)
        matches = match(self._job.wanted, self._names)
        if not {found.guide_id for found in matches.values()} <= chosen:
            # A channel stood behind programmes, or nowhere: now that all are known, once more.
            self._pass({found.guide_id for found in matches.values()})
        self._refuse_stale()
        self._write(matches)
        self.figures.seconds = round(time.monotonic() - started, 3)
        return self.figures

    def _pass(self, chosen: set[str] | None) -> set[str]:
        """Keep the programmes of the `chosen` channels; None: of those matched at the first one."""
        self._start_over()
        numbers = None if chosen is None else _numbered(self._names, chosen)
        figures = self.figures
        with open(self._job.source, "rb", opener=_open_without_waiting) as file:
            for element in self._elements(file):
                if element.tag == CHANNEL:
                    self._take_channel(element)
                    continue
                if numbers is None:
                    matched = match(self._job.wanted, self._names).values()
                    chosen = {found.guide_id for found in matched}
                    numbers = _numbered(self._names, chosen)
                figures.programmes += 1
                self._take_programme(element, numbers)
        self._flush()
        figures.channels = len(self._names)
        if not figures.programmes:
            raise GuideFault("empty", "holds no programme", "check what the provider sends")
        assert chosen is not None, "there was a programme"
        return chosen

    def _start_over(self) -> None:
        size = self.figures.bytes
        self.figures = Figures(bytes=size)
        self._digest = blake2b(digest_size=8)
        self._connection.execute("DELETE FROM programmes")

    def _elements(self, file: BinaryIO) -> Iterator[_Element]:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise GuideFault("unreadable", "is not a file", "give the path of a file")
        self.figures.bytes = status.st_size
        pieces = iter(lambda: file.read(PIECE_BYTES), b"")
        read = mended(without_prolog(texts(plain(pieces, status.st_size))))
        return elements(read, memory_kib_max=MEMORY_KIB_MAX)

    def _take_channel(self, element: _Element) -> None:
        guide_id = (element.get("id") or "")[:ID_CHARS_MAX]
        names = (clean(one.text, ID_CHARS_MAX) for one in element.iterfind("display-name"))
        self._know(guide_id, tuple(name for name in names if name)[:NAMES_MAX])

    def _know(self, guide_id: str, names: tuple[str, ...]) -> None:
        if not guide_id or self._names.get(guide_id):
            return
        self._names[guide_id] = names
        if len(self._names) > CHANNELS_MAX:
            raise GuideFault(
                "refused", f"has more than {CHANNELS_MAX:,} channels", "ask for a smaller guide"
            )

    def _take_programme(self, element: _Element, numbers: dict[str, int]) -> None:
        figures = self.figures
        guide_id = (element.get("channel") or "")[:ID_CHARS_MAX]
        start = parse_time(element.get("start") or "")
        if start is None or not guide_id:
            figures.odd += 1
            return
        figures.latest = max(figures.latest, start)
        number = numbers.get(guide_id)
        if number is None:
            if guide_id not in self._names:
                self._know(guide_id, ())
            return
        stop = parse_time(element.get("stop") or "")
        if stop is not None and not 0 < stop - start <= LONGEST_S:
            stop = None
        if start > self._job.end or (stop or start + ASSUMED_S) <= self._job.begin:
            figures.outside += 1
            return
        xml = inner_xml(element, start, stop)
        if xml is None:
            figures.odd += 1
            return
        self._rows.append((number, start, stop, xml))
        self._digest.update(f"{guide_id}\0{start}\0{stop}\0{xml}\n".encode())
        if len(self._rows) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._connection.executemany(schema.INSERT_PROGRAMME, self._rows)
        self.figures.kept += len(self._rows)
        self._rows.clear()
        if self.figures.kept > PROGRAMMES_MAX:
            raise GuideFault(
                "refused", f"has more than {PROGRAMMES_MAX:,} programmes", "ask for a smaller guide"
            )

    def _refuse_stale(self) -> None:
        figures = self.figures
        if figures.latest <= self._job.begin:
            if not figures.latest:
                raise GuideFault(
                    "empty", "holds no programme with a time", "check what the provider sends"
                )
            ended = format_time(figures.latest)
            day = f"{ended[:4]}-{ended[4:6]}-{ended[6:8]}"
            raise GuideFault(
                "empty", f"ended on {day}", "it is out of date: check what the provider sends"
            )

    def _write(self, matches: dict[str, Match]) -> None:
        numbers = _numbered(self._names, self._names)
        execute_many = self._connection.executemany
        execute_many(
            schema.INSERT_CHANNEL,
            (
                (number, guide_id, next(iter(self._names[guide_id]), ""))
                for guide_id, number in numbers.items()
            ),
        )
        execute_many(
            schema.INSERT_MATCH,
            (
                (wanted, numbers[found.guide_id], found.how, found.confidence)
                for wanted, found in matches.items()
            ),
        )
        for wanted, found in sorted(matches.items()):
            self._digest.update(f"{wanted}\0{found.guide_id}\n".encode())
        self.figures.kept = self._connection.execute("SELECT count(*) FROM programmes")[0][0]
        self.figures.matched = len(matches)
        self.figures.digest = self._digest.hexdigest()
        facts = {"about": self._job.about, "figures": asdict(self.figures)}
        execute_many(
            schema.INSERT_FACT,
            [(name, orjson.dumps(fact).decode()) for name, fact in facts.items()],
        )


def _numbered(
    names: dict[str, tuple[str, ...]], chosen: "set[str] | dict[str, Any]"
) -> dict[str, int]:
    """Row numbers of channels: their places in the guide, the same in every pass."""
    return {guide_id: place for place, guide_id in enumerate(names) if guide_id in chosen}


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a pipe that nobody writes to would hold us for ever."""
    return os.open(path, flags | os.O_NONBLOCK)
