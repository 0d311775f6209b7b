"""What the sources list, in force: found again at a start, read anew on a schedule, replaced whole
or kept. Used on the event loop only; players are given what follows from it and from the edits.

Each source has its own schedule and its own troubles: one that fails keeps no other from being
read, and what it listed last goes on being served.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import structlog

from events.ids import LINEUP_STREAM, SourceId, source_stream
from plexbridge.clock import Clock
from plexbridge.lineup.apart import assign_apart
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.errors import LineupError, PlaylistUnreadable
from plexbridge.lineup.jobs import AssignJob
from plexbridge.lineup.refreshing import Reading, SourceReader
from plexbridge.lineup.source import Source
from plexbridge.lineup.source_files import Facts, SourceFiles
from plexbridge.lineup.store import LineupStore

_log = structlog.get_logger(__name__)

NAMES_RECORDED: Final = 100
"""Channel names written into a refresh event (DESIGN section 5); the rest is counted."""

START_S: Final = 10.0
"""How long a start waits for providers when there is an older lineup to serve."""

FILE_EVERY_S: Final = 900.0
"""Between two looks at a file, which cost nothing: another program writes it when it likes."""

JITTER: Final = 0.1
"""Of the time between two readings, more or less: not all bridges come in the same minute."""

RETRY_S: Final = (60.0, 3_600.0)
"""After a failure: at first, and at most; doubled each time."""

LOOK_S: Final = 15.0
"""Between two looks at what is due."""

_MARK_FORM: Final = "1"
"""Changes with the way lineups are made of entries, so that the stored one is made anew."""

Note = Callable[[str, str, Mapping[str, object]], Awaitable[object]]
Serve = Callable[[Lineup], Awaitable[None]]


class UnknownSource(Exception):
    """No source has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """How it stands with one source, to be shown."""

    source: Source
    facts: Facts | None
    """None: never read."""
    allowed: int
    """Connections at once; 0: not known."""
    problem: str | None
    """Why the last reading was not taken."""
    due_in_s: float | None
    """Until it is read by itself; None: never."""


@dataclass(slots=True)
class _Held:
    """A source, what it listed last, and when it is to be read."""

    source: Source
    facts: Facts | None = None
    due_s: float = 0.0
    """On the monotonic clock."""
    failures: int = 0
    error: LineupError | None = None
    """Why the last reading was not taken."""

    @property
    def problem(self) -> str | None:
        """The same in one line."""
        return None if self.error is None else str(self.error)


class LineupInForce:
    """Holds what the sources list."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        reader: SourceReader,
        files: SourceFiles,
        database: Path,
        key: bytes,
        every_hours: int,
        clock: Clock,
        random: Random,
        note: Note,
        serve: Serve,
    ) -> None:
        """`sources`: the preferred first. `database`: of the stored lineup. `every_hours`: between
        two readings of a source that says nothing else; 0: never by itself. `serve`: told of each
        new lineup."""
        self.lineup = Lineup.EMPTY
        self._held = tuple(_Held(source) for source in sources)
        self._reader = reader
        self._files = files
        self._database = database
        self._store = LineupStore(database)
        self._key = key
        self._every_hours = every_hours
        self._clock = clock
        self._random = random
        self._note = note
        self._serve = serve
        self._turn = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str | None:
        """Why some or all of an older lineup serves."""
        return next((held.problem for held in self._held if held.problem is not None), None)

    @property
    def guide_urls(self) -> tuple[str, ...]:
        """Guides that the sources name, each once: may hold logins."""
        named = (url for held in self._held if held.facts for url in held.facts.guide_urls)
        return tuple(dict.fromkeys(named))

    def allowed(self, source: SourceId) -> int:
        """Connections that an account allows at once; 0: not known. The lower, where both the
        provider and a person say a number."""
        held = next((held for held in self._held if held.source.id == source), None)
        return 0 if held is None else _allowed(held)

    def status(self) -> tuple[SourceStatus, ...]:
        """How it stands with each source."""
        now = self._clock.monotonic()
        return tuple(
            SourceStatus(
                source=held.source,
                facts=held.facts,
                allowed=_allowed(held),
                problem=held.problem,
                due_in_s=max(0.0, held.due_s - now) if held.due_s < float("inf") else None,
            )
            for held in self._held
        )

    async def load(self) -> None:
        """At the start: what is stored is in force again; then every source is read, without
        waiting longer than `START_S` if something is served already.

        Raises:
            LineupError: there is nothing to serve: the first source's trouble; or what is stored
                cannot be used.
        """
        await asyncio.to_thread(self._files.prepare, [held.source.id for held in self._held])
        for held in self._held:
            held.facts = await asyncio.to_thread(self._files.load, held.source.id)
        await self._find_again()
        if not self._held:
            return
        self._starting = asyncio.create_task(self._refresh(self._held), name="first refresh")
        patience_s = START_S if self.lineup.everything else None
        done, _ = await asyncio.wait({self._starting}, timeout=patience_s)
        if done:
            self._starting.result()
        if not self.lineup.everything:
            raise self._nothing()
        if self.problem is not None:
            _log.warning("Serving a stored lineup", why=self.problem, channels=len(self.lineup))

    async def run(self) -> None:
        """Read each source when it is due, until cancelled."""
        try:
            if self._starting is not None:
                await self._starting
            while True:
                now = self._clock.monotonic()
                for held in self._held:
                    if held.due_s <= now:
                        await self._refresh((held,))
                await asyncio.sleep(LOOK_S)
        finally:
            if self._starting is not None:
                self._starting.cancel()

    async def refresh(self, source: SourceId, *, accept_fewer: bool = False) -> SourceStatus:
        """Read a source now, for a person who asks; how it stands with it then. `accept_fewer`:
        also where most of its channels are gone.

        Raises:
            UnknownSource: there is none of this id.
        """
        held = next((held for held in self._held if held.source.id == source), None)
        if held is None:
            raise UnknownSource(source)
        await self._refresh((held,), accept_fewer=accept_fewer)
        return next(one for one in self.status() if one.source.id == source)

    async def _refresh(self, held: Iterable[_Held], *, accept_fewer: bool = False) -> None:
        """Read some sources and put what they list in force, together."""
        async with self._turn:
            readings: list[tuple[_Held, Reading]] = []
            for one in held:
                try:
                    reading = await self._reader.read(
                        one.source, one.facts, accept_fewer=accept_fewer
                    )
                except LineupError as error:
                    await self._failed(one, error)
                else:
                    readings.append((one, reading))
            try:
                await self._adopt(readings)
            except LineupError as error:
                for one, _ in readings:
                    await self._failed(one, error)

    async def _adopt(self, readings: Sequence[tuple[_Held, Reading]]) -> None:
        new = {one.source.id: reading for one, reading in readings if reading.changed}
        before = self.lineup
        if new:
            await self._assemble(new)
        for one, reading in readings:
            same = one.facts is not None and not reading.changed
            await asyncio.to_thread(
                self._files.keep, one.source.id, reading.facts, new=reading.changed
            )
            one.facts, one.error, one.failures = reading.facts, None, 0
            one.due_s = self._clock.monotonic() + self._every_s(one.source)
            if not (same and one.source.is_file):  # a look at a file is nobody's news
                await self._note(
                    source_stream(one.source.id), "refreshed", _told(one.source, reading)
                )
        if self.lineup.digest != before.digest:
            await self._tell(before)

    async def _assemble(self, new: Mapping[SourceId, Reading]) -> None:
        """Make the lineup of what every source lists, these anew, and serve it."""
        facts = {held.source.id: held.facts for held in self._held if held.facts is not None}
        facts |= {source: reading.facts for source, reading in new.items()}
        listing = [held.source.id for held in self._held if held.source.id in facts]
        paths = [
            self._files.new_entries(one) if one in new else self._files.entries(one)
            for one in listing
        ]
        job = AssignJob(
            sources=[(one, str(path.absolute())) for one, path in zip(listing, paths, strict=True)],
            key=self._key.hex(),
            database=str(self._database.absolute()),
            mark=_mark((one, facts[one].digest) for one in listing),
        )
        await assign_apart(job, sum(one.entries for one in facts.values()))
        self.lineup = await self._store.load()
        await self._serve(self.lineup)

    async def _find_again(self) -> None:
        """Serve what is stored: the lineup, if it is the one of these sources; else the one that
        follows from what they listed; else whatever there is, until one of them can be read."""
        kept = [(held.source.id, held.facts) for held in self._held if held.facts is not None]
        if kept and await self._store.mark() != _mark((one, at.digest) for one, at in kept):
            await self._assemble({})
            return
        self.lineup = await self._store.load()
        await self._serve(self.lineup)

    async def _failed(self, held: _Held, error: LineupError) -> None:
        held.error = error.with_traceback(None)
        held.failures += 1
        asked_s = error.retry_after_s if isinstance(error, PlaylistUnreadable) else None
        held.due_s = self._clock.monotonic() + self._retry_s(held.failures, asked_s)
        _log.warning("A source could not be read; what it listed before serves", why=str(error))
        facts = {"why": str(error), "place": held.source.place, "kind": type(error).__name__}
        await self._note(source_stream(held.source.id), "refresh_failed", facts)

    async def _tell(self, before: Lineup) -> None:
        lineup = self.lineup
        appeared, vanished = await asyncio.to_thread(_differences, before, lineup)
        facts = {
            "channels": len(lineup.everything),
            "digest": lineup.digest,
            "odd_lines": sum(held.facts.odd_lines for held in self._held if held.facts),
            "appeared": appeared.names,
            "appeared_count": appeared.number,
            "vanished": vanished.names,
            "vanished_count": vanished.number,
        }
        await self._note(LINEUP_STREAM, "refreshed", facts)
        _log.info(
            "Lineup in force",
            channels=facts["channels"],
            appeared=appeared.number,
            vanished=vanished.number,
        )

    def _nothing(self) -> LineupError:
        error = next((held.error for held in self._held if held.error is not None), None)
        assert error is not None, "what could be read lists a channel"
        return error

    def _every_s(self, source: Source) -> float:
        hours = self._every_hours if source.refresh_hours is None else source.refresh_hours
        if not hours:
            return float("inf")
        every_s = min(hours * 3_600.0, FILE_EVERY_S if source.is_file else float("inf"))
        return every_s * self._random.uniform(1 - JITTER, 1 + JITTER)

    def _retry_s(self, failures: int, asked_s: float | None) -> float:
        first, most = RETRY_S
        waited = min(most, first * 2.0 ** min(failures - 1, 10))
        return max(waited, asked_s or 0.0) * self._random.uniform(1.0, 1.0 + JITTER)


def _allowed(held: _Held) -> int:
    account = None if held.facts is None else held.facts.account
    said = (held.source.max_connections, account.max_connections if account else 0)
    return min((number for number in said if number), default=0)


def _mark(listed: Iterable[tuple[SourceId, str]]) -> str:
    state = blake2b(_MARK_FORM.encode(), digest_size=8)
    for source, digest in listed:
        state.update(f"{source}\0{digest}\n".encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def _told(source: Source, reading: Reading) -> dict[str, object]:
    facts, account = reading.facts, reading.facts.account
    told: dict[str, object] = {
        "place": source.place,
        "kind": source.kind,
        "unchanged": not reading.changed,
        "entries": facts.entries,
        "odd_lines": facts.odd_lines,
        "digest": facts.digest,
    }
    if account is not None:
        told["account"] = {
            "status": account.status,
            "max_connections": account.max_connections,
            "expires_at": account.expires_at,
        }
    return told


class _Missing(NamedTuple):
    """Channels that a lineup does not have."""

    number: int
    names: list[str]
    """Of the first."""


def _differences(before: Lineup, after: Lineup) -> tuple[_Missing, _Missing]:
    """What only the later one has, and what only the earlier one had."""
    return _missing(after, before), _missing(before, after)


def _missing(lineup: Lineup, other: Lineup) -> _Missing:
    number, names = 0, []
    for place, channel in enumerate(lineup.ids()):
        if not other.has(channel):
            number += 1
            if number <= NAMES_RECORDED:
                names.append(lineup.everything[place].guide_name)
    return _Missing(number, names)
