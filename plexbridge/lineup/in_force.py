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
from typing import Final

import structlog

from events.ids import LINEUP_STREAM, SourceId, source_stream
from plexbridge.clock import Clock
from plexbridge.lineup.apart import assign_apart
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.differences import differences
from plexbridge.lineup.errors import LineupError
from plexbridge.lineup.held import Held, Schedule
from plexbridge.lineup.jobs import AssignJob
from plexbridge.lineup.refreshing import Reading, SourceReader
from plexbridge.lineup.source import Source
from plexbridge.lineup.source_files import Facts, SourceFiles
from plexbridge.lineup.source_options import SourceOptions, patched
from plexbridge.lineup.store import LineupStore

_log = structlog.get_logger(__name__)

START_S: Final = 10.0
"""How long a start waits for providers when there is an older lineup to serve."""

LOOK_S: Final = 15.0
"""Between two looks at what is due."""

_DAY_US: Final = 24 * 3_600 * 1_000_000

_MARK_FORM: Final = "2"
"""Changes with the way lineups are made of entries, so that the stored one is made anew."""

Note = Callable[[str, str, Mapping[str, object]], Awaitable[object]]
Serve = Callable[[Lineup], Awaitable[None]]


class UnknownSource(Exception):
    """No source has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """How it stands with one source, to be shown."""

    source: Source
    options: SourceOptions
    """What a person set of it in the page; `source` goes by it."""
    counts_as: SourceId
    """Whose connections it takes: the first source's of the same account, else its own."""
    facts: Facts | None
    """None: never read."""
    allowed: int
    """Connections at once; 0: not known."""
    problem: str | None
    """Why the last reading was not taken."""
    due_in_s: float | None
    """Until it is read by itself; None: never."""


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
        self._held = tuple(Held(source) for source in sources)
        self._reader = reader
        self._files = files
        self._database = database
        self._store = LineupStore(database)
        self._key = key
        self._schedule = Schedule(clock, random, every_hours)
        self._clock = clock
        self._note = note
        self._serve = serve
        self._turn = asyncio.Lock()
        self._options_turn = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str | None:
        """Why some or all of an older lineup serves."""
        return next((held.problem for held in self._held if held.problem is not None), None)

    @property
    def guide_urls(self) -> Mapping[str, bool]:
        """Guides that the sources name now (may hold logins), and whether only public hosts do."""
        named: dict[str, bool] = {}
        for facts in (held.facts for held in self._held if held.facts is not None):
            for url in facts.guide_urls:
                named[url] = named.get(url, True) and facts.from_public
        return named

    def allowed(self, source: SourceId) -> int:
        """Connections that an account allows at once; 0: not known. The lowest, where providers and
        people say several numbers of it."""
        return min((held.allowed for held in self._sharing(source) if held.allowed), default=0)

    def settle_ms(self, source: SourceId) -> int | None:
        """Between the end of one connection of an account and the next one; None: nothing said. The
        longest, where several are said of it."""
        said = (held.source.settle_ms for held in self._sharing(source))
        return max((ms for ms in said if ms is not None), default=None)

    def _sharing(self, source: SourceId) -> Sequence[Held]:
        """The sources of the same account as this one, the preferred first."""
        own = [held for held in self._held if held.written.id == source]
        account = own[0].written.account if own else ""
        return [held for held in self._held if account and held.written.account == account] or own

    def status(self) -> tuple[SourceStatus, ...]:
        """How it stands with each source."""
        now = self._clock.monotonic()
        return tuple(
            SourceStatus(
                source=held.source,
                options=held.options,
                counts_as=self._sharing(held.written.id)[0].written.id,
                facts=held.facts,
                allowed=self.allowed(held.written.id),
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
            held.options = await asyncio.to_thread(self._files.options, held.written.id)
            held.facts = await asyncio.to_thread(self._files.load, held.written.id)
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
        await self._refresh((self._of(source),), accept_fewer=accept_fewer)
        return self.status_of(source)

    def status_of(self, source: SourceId) -> SourceStatus:
        """How it stands with one.

        Raises:
            UnknownSource: there is none of this id.
        """
        place = self._held.index(self._of(source))
        return self.status()[place]

    async def set_options(self, source: SourceId, patch: object) -> SourceStatus:
        """Set some of a source's options, as `patched` reads it; how it stands with it then. Where
        its headers change it is read again soon, whatever it says is new.

        Raises:
            UnknownSource: there is none of this id.
            OptionInvalid: something of it cannot be.
            StoreUnusable: it could not be kept, and is not in force.
        """
        held = self._of(source)
        async with self._options_turn:
            options = patched(held.options, patch)
            await asyncio.to_thread(self._files.keep_options, source, options)
            held.options = options
        if held.facts is not None and held.error is None:
            held.due_s = self._schedule.due_s(held.source, held.facts)
        return self.status_of(source)

    def _of(self, source: SourceId) -> Held:
        held = next((held for held in self._held if held.written.id == source), None)
        if held is None:
            raise UnknownSource(source)
        return held

    async def _refresh(self, held: Iterable[Held], *, accept_fewer: bool = False) -> None:
        """Read some sources and put what they list in force, together."""
        async with self._turn:
            readings: list[tuple[Held, Reading]] = []
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

    async def _adopt(self, readings: Sequence[tuple[Held, Reading]]) -> None:
        new = {one.source.id: reading for one, reading in readings if reading.changed}
        before = self.lineup
        if new:
            await self._assemble(new)
        for one, reading in readings:
            same = one.facts is not None and one.error is None and not reading.changed
            await asyncio.to_thread(
                self._files.keep, one.source.id, reading.facts, new=reading.changed
            )
            one.facts, one.error, one.failures = reading.facts, None, 0
            one.due_s = self._schedule.due_s(one.source, reading.facts)
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
        listing = [held.source for held in self._held if held.source.id in facts]
        paths = [
            self._files.new_entries(one.id) if one.id in new else self._files.entries(one.id)
            for one in listing
        ]
        job = AssignJob(
            sources=[
                (
                    one.id,
                    self._sharing(one.id)[0].written.id,
                    str(path.absolute()),
                    one.kind == "xtream",
                )
                for one, path in zip(listing, paths, strict=True)
            ],
            key=self._key.hex(),
            database=str(self._database.absolute()),
            mark=_mark((one.id, facts[one.id].digest) for one in listing),
            today=self._clock.now() // _DAY_US,
        )
        await assign_apart(job, sum(one.entries for one in facts.values()))
        self.lineup = await asyncio.to_thread(self._store.load)
        await self._serve(self.lineup)

    async def _find_again(self) -> None:
        """Serve what is stored: the lineup, if it is the one of these sources; else the one that
        follows from what they listed; else whatever there is, until one of them can be read."""
        kept = [(held.source.id, held.facts) for held in self._held if held.facts is not None]
        if kept and await asyncio.to_thread(self._store.mark) != _mark(
            (one, at.digest) for one, at in kept
        ):
            await self._assemble({})
            return
        self.lineup = await asyncio.to_thread(self._store.load)
        await self._serve(self.lineup)

    async def _failed(self, held: Held, error: LineupError) -> None:
        held.error = error.with_traceback(None)
        held.failures += 1
        held.due_s = self._schedule.retry_s(held.failures, error)
        _log.warning("A source could not be read; what it listed before serves", why=str(error))
        facts = {"why": str(error), "place": held.source.place, "kind": type(error).__name__}
        await self._note(source_stream(held.source.id), "refresh_failed", facts)

    async def _tell(self, before: Lineup) -> None:
        lineup = self.lineup
        appeared, vanished = await asyncio.to_thread(differences, before, lineup)
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
