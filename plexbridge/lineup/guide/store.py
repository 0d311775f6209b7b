"""The guides in force, as they are kept: found again at a start, read, never changed.

Each file is replaced as a whole by the worker's new one (`build`). Blocking: for a thread.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from plexbridge.lineup.guide import schema
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.job import SURE, Figures
from plexbridge.lineup.guide.matching import CHOSEN
from plexbridge.log.driver import SqliteConnection, open_reader
from plexbridge.log.errors import CannotOpen, StorageFailed

SUFFIX: Final = ".db"
NEW_SUFFIX: Final = ".new"
_OURS: Final = re.compile(r".+\.(?:db|new|incoming)(?:-wal|-shm|-journal)?")
"""Files that may be removed; somebody may keep a guide of their own beside them."""

_DIRECTORY_MODE: Final = 0o700
_REMEDY: Final = "check the data directory; the guide is read again"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of a guide beside what it says."""

    key: str
    """Names its file: the guide's place, without a login."""
    read_at: int
    """Seconds since 1970."""
    wanted: str
    """Digest of the lineup channels it was read for."""
    etag: str = ""
    modified: str = ""


class Found(NamedTuple):
    """The guide channel of a lineup channel, in one guide."""

    number: int
    how: str
    confidence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGuide:
    """One guide's file, whole."""

    path: Path
    about: About
    figures: Figures
    found: Mapping[str, Found]
    """By lineup channel; only those that have a programme."""


class GuideDirectory:
    """Where the files are."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def file(self, key: str) -> Path:
        """The file of the guide in force."""
        return self._path / f"{key}{SUFFIX}"

    def new(self, key: str) -> Path:
        """The file that a worker writes, before it is in force."""
        return self._path / f"{key}{NEW_SUFFIX}"

    def incoming(self, key: str) -> Path:
        """The guide as it comes from its provider, until it was read."""
        return self._path / f"{key}.incoming"

    def prepare(self, keys: Iterable[str]) -> None:
        """Make the directory, and remove what belongs to none of these guides or was left over.

        Raises:
            GuideFault: it cannot be used.
        """
        kept = {self.file(key).name for key in keys}
        try:
            self._path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            self._path.chmod(_DIRECTORY_MODE)
            for path in self._path.iterdir():
                if _OURS.fullmatch(path.name) and path.name not in kept and path.is_file():
                    path.unlink()
        except OSError as error:
            raise GuideFault(
                "store",
                f"cannot be kept in {self._path}: {error.strerror}",
                "let the user that runs the bridge write there",
            ) from error

    def load(self, key: str) -> StoredGuide | None:
        """The guide in force; None when there is none.

        Raises:
            GuideFault: there is a file, and it cannot be read.
        """
        path = self.file(key)
        return _load(path) if path.exists() else None

    def put_in_force(self, key: str) -> StoredGuide:
        """Take a worker's new file for the guide's; who reads the old one goes on reading it.

        Raises:
            GuideFault: nothing was changed.
        """
        new, path = self.new(key), self.file(key)
        stored = _load(new)
        try:
            os.replace(new, path)
        except OSError as error:
            raise GuideFault("store", f"cannot be kept: {error.strerror}", _REMEDY) from error
        return StoredGuide(
            path=path, about=stored.about, figures=stored.figures, found=stored.found
        )


def _load(path: Path) -> StoredGuide:
    try:
        with closing(open_reader(path)) as connection:
            version = connection.execute("PRAGMA user_version")[0][0]
            if version != schema.SCHEMA:
                raise GuideFault("store", "is kept in a form of another release", _REMEDY)
            facts: dict[str, str] = dict(connection.execute(schema.SELECT_FACTS))
            found = {
                wanted: Found(number, how, confidence)
                for wanted, number, how, confidence in connection.execute(schema.SELECT_MATCHES)
            }
            about, figures = (orjson.loads(facts[name]) for name in ("about", "figures"))
            return StoredGuide(
                path=path, about=About(**about), figures=Figures(**figures), found=found
            )
    except (CannotOpen, StorageFailed, KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise GuideFault("store", f"kept in {path.name} cannot be read", _REMEDY) from error


def as_facts(about: About) -> dict[str, Any]:
    """`about`, as a worker is given it."""
    return asdict(about)


class Place(NamedTuple):
    """Where a lineup channel's programmes are."""

    guide: int
    """Index in `Guide.stored`."""
    number: int
    how: str
    confidence: int


class Guide:
    """All guides in force as one; never changes.

    A lineup channel has its programmes from the guide that has what a person chose for it; else
    from the first, in the order given, that surely has it; else from the first that has one of a
    similar name.
    """

    def __init__(self, stored: Sequence[StoredGuide]) -> None:
        self.stored = tuple(stored)
        places: dict[str, Place] = {}
        for order in range(_ORDERS):
            for index, guide in enumerate(self.stored):
                for channel, found in guide.found.items():
                    if _order(found) == order and channel not in places:
                        places[channel] = Place(index, *found)
        self.places: Mapping[str, Place] = places
        """By lineup channel."""
        state = blake2b(digest_size=8)
        for guide in self.stored:
            state.update(guide.figures.digest.encode())
        self.digest = state.hexdigest()
        """16 hex digits that differ whenever anything of it does."""

    def reader(self, stack: ExitStack) -> "GuideReader":
        """For reading programmes, until `stack` is closed.

        Raises:
            GuideFault: a file is gone or damaged.
        """
        try:
            connections = [
                stack.enter_context(closing(open_reader(guide.path))) for guide in self.stored
            ]
        except CannotOpen as error:
            raise GuideFault("store", "cannot be read", _REMEDY) from error
        return GuideReader(self, connections)


_ORDERS: Final = 3


def _order(found: Found) -> int:
    """Which of several guides' findings goes first."""
    if found.how == CHOSEN:
        return 0
    return 1 if found.confidence >= SURE else 2


Row = tuple[int, int, str]
"""Start, stop (seconds since 1970), and the XML inside the programme."""


class GuideReader:
    """Open files of one `Guide`: what they hold stays the same, whatever replaces them."""

    PAGE_ROWS: Final = 200
    """Programmes read at once; the longest have 100 KB."""

    PAGE_CHANNELS: Final = 2_000
    """Guide channels read at once: some 200 KB."""

    UNSAID_S: Final = 3_600
    """How long a programme is taken to last that says nothing and is not followed soon."""

    FOLLOWED_S: Final = 6 * 3_600
    """A programme without an end goes on to the next one, if that begins within this time."""

    def __init__(self, guide: Guide, connections: Sequence[SqliteConnection]) -> None:
        self._guide = guide
        self._connections = connections

    def programmes(self, channel: str) -> Iterator[list[Row]]:
        """Every programme of a lineup channel, in pages, in order, none reaching into the next."""
        place = self._guide.places.get(channel)
        start = -(2**62)
        while place is not None:
            rows = self._connections[place.guide].execute(
                schema.SELECT_PROGRAMMES, (place.number, start, self.PAGE_ROWS + 1)
            )
            page = _ended(rows)
            if len(rows) <= self.PAGE_ROWS:
                yield page
                return
            yield page[: self.PAGE_ROWS]
            start = rows[self.PAGE_ROWS][0]

    def within(self, channel: str, begin: int, until: int) -> list[Row]:
        """What is on between two times (seconds since 1970), and the one after it: at most
        `PAGE_ROWS` of them."""
        place = self._guide.places.get(channel)
        if place is None:
            return []
        asked: Any = {"channel": place.number, "begin": begin, "until": until}
        asked["most"] = self.PAGE_ROWS
        return _ended(self._connections[place.guide].execute(schema.SELECT_WITHIN, asked))

    def start_before(self, channel: str, start: int) -> int | None:
        """When the programme before the one at `start` begins."""
        place = self._guide.places.get(channel)
        if place is None:
            return None
        asked = (place.number, start)
        [(found,)] = self._connections[place.guide].execute(schema.SELECT_START_BEFORE, asked)
        return None if found is None else int(found)

    def guide_channel(self, guide: int, number: int) -> tuple[str, str]:
        """Id and first name of a guide's channel; `guide`: its index in `Guide.stored`."""
        [(xmltv_id, name)] = self._connections[guide].execute(schema.SELECT_CHANNEL, (number,))
        return str(xmltv_id), str(name)

    def without_programmes(self, channel: str) -> tuple[int, Found] | None:
        """What a lineup channel is matched with, in a guide that has no programme for it: that
        guide's index, and what was found."""
        for index, connection in enumerate(self._connections):
            for number, how, confidence in connection.execute(schema.SELECT_MATCH, (channel,)):
                return index, Found(number, how, confidence)
        return None

    def guide_channels(self, guide: int) -> Iterator[list[tuple[str, str]]]:
        """Ids and first names of a guide's channels, in pages."""
        after = -1
        while True:
            asked = (after, self.PAGE_CHANNELS)
            rows = self._connections[guide].execute(schema.SELECT_CHANNELS, asked)
            yield [(xmltv_id, name) for _, xmltv_id, name in rows]
            if len(rows) < self.PAGE_CHANNELS:
                return
            after = rows[-1][0]

    def from_now(self, channel: str, at: int) -> list[Row]:
        """What is on at `at` (seconds since 1970) and the two after it."""
        place = self._guide.places.get(channel)
        if place is None:
            return []
        asked: Any = {"channel": place.number, "at": at}
        return _ended(self._connections[place.guide].execute(schema.SELECT_FROM_NOW, asked))


def _ended(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    ended: list[Row] = []
    for index, (start, stop, xml) in enumerate(rows):
        following = rows[index + 1][0] if index + 1 < len(rows) else None
        if stop is None:
            near = following is not None and following - start <= GuideReader.FOLLOWED_S
            stop = following if near else start + GuideReader.UNSAID_S
        if following is not None:
            stop = min(stop, following)
        ended.append((start, stop, xml))
    return ended


@contextmanager
def opened(guide: Guide) -> Iterator[GuideReader]:
    """For reading, as long as the block lasts.

    Raises:
        GuideFault: a file is gone or damaged.
    """
    try:
        with ExitStack() as stack:
            yield guide.reader(stack)
    except StorageFailed as failed:
        raise GuideFault("store", "cannot be read", _REMEDY) from failed
