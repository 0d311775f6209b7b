"""The two pieces of heavy work of a refresh, from files to files: a list taken in, a lineup made.

Knows files and their order; refuses to know requests, schedules and which process it is in. What it
is asked and what it answers are plain values, for they may cross to a process of its own. Blocking.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from events.ids import SourceId
from plexbridge.lineup.assign import Assignment, Before, Listing
from plexbridge.lineup.decoding import read_pieces
from plexbridge.lineup.edit_store import EditStore
from plexbridge.lineup.entries import EntryFile, EntryWriter
from plexbridge.lineup.errors import PlaylistUnreadable, StoreUnusable
from plexbridge.lineup.numbering import code
from plexbridge.lineup.store import LineupStore
from plexbridge.lineup.taking import Found, take
from plexbridge.lineup.xtream import Login, read_categories, take_streams

_DISK: Final = "check the data directory and its disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What channels of an Xtream panel are made with, beside its list of streams."""

    base: str
    user: str
    password: str
    extension: str
    categories: str
    """Path of the list of categories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeJob:
    """A body to be taken in."""

    body: str
    """Its path."""
    place: str
    """Where it came from, as it may be shown."""
    into: str
    """Path of the entries, written anew."""
    headers: Sequence[Sequence[str]]
    """Names and values each entry is asked with where it says nothing else."""
    panel: Panel | None = None
    """None: the body is a playlist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What came of it."""

    entries: int
    odd_lines: int
    first_odd: Sequence[tuple[int, str]]
    guide_urls: Sequence[str]
    digest: str
    """Of the entries, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignJob:
    """A lineup to be made of what all sources list."""

    sources: Sequence[tuple[str, str, str, bool]]
    """Ids, the preferred first; ids of those whose account they share, else their own; paths of
    their entries; and whether their numbers only count."""
    key: str
    """Of the URLs' digests, in hex."""
    database: str
    """Path of the stored lineup, which is replaced whole."""
    mark: str
    """What tells the stored lineup from another one."""
    today: int
    """Days since 1970."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """What came of it."""

    channels: int


def take_in(job: TakeJob) -> TakenIn:
    """Take a list in. What was written is of no use if this raises.

    Raises:
        LineupError: one line, fit to be shown.
    """
    body = Path(job.body)
    headers = tuple((name, value) for name, value in job.headers)
    try:
        with EntryWriter(Path(job.into), headers) as writer:
            found = _taken(job, body, writer)
            digest = writer.digest
    except OSError as error:
        raise PlaylistUnreadable(
            job.place, f"cannot be kept: {error.strerror or 'no access'}", _DISK
        ) from error
    return TakenIn(
        entries=found.entries,
        odd_lines=found.odd_lines,
        first_odd=[(odd.line, odd.what) for odd in found.first_odd],
        guide_urls=found.guide_urls,
        digest=digest,
    )


def _taken(job: TakeJob, body: Path, writer: EntryWriter) -> Found:
    if job.panel is None:
        return take(read_pieces(body), body.stat().st_size, job.place, writer.keep)
    panel = job.panel
    categories = read_categories(read_pieces(Path(panel.categories)), job.place)
    login = Login(panel.base, panel.user, panel.password)
    return take_streams(
        read_pieces(body), categories, login, panel.extension, job.place, writer.keep
    )


def assign_all(job: AssignJob) -> Assigned:
    """Make the lineup and put it into the database, whole.

    Raises:
        StoreUnusable: nothing was changed.
    """
    store, edits = LineupStore(Path(job.database)), EditStore(Path(job.database)).read()
    edited = {
        code(edit.guide_number): int(channel, 16)
        for channel, edit in edits.items()
        if edit.guide_number is not None and edit.enabled is not False
    }
    before = Before(given=store.given(), edited=edited, today=job.today)
    with ExitStack() as stack:
        try:
            listings = _listings(job.sources, stack)
        except OSError as error:
            place = str(Path(job.database).parent)
            raise StoreUnusable(place, error.strerror or "no access", _DISK) from error
        assignment = Assignment(listings, before)
        parts = assignment.parts(bytes.fromhex(job.key))
        store.replace(parts, job.mark, assignment.given)
    return Assigned(len(parts.ids))


def _listings(sources: Iterable[tuple[str, str, str, bool]], stack: ExitStack) -> list[Listing]:
    return [
        Listing(
            SourceId(source),
            stack.enter_context(EntryFile(Path(path))),
            account=SourceId(account),
            counted=counted,
        )
        for source, account, path, counted in sources
    ]
