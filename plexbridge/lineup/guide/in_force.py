"""The guide in force: found again at a start, read anew on a schedule, replaced whole or kept.

Used on the event loop only; whatever blocks or computes is in threads and in the worker process.
One guide at a time is read, however many there are: memory and disk stay those of one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Final

import structlog

from events.ids import ChannelId
from plexbridge.clock import Clock
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edits import AS_LISTED, Edits
from plexbridge.lineup.guide.document import NowNext, now_next
from plexbridge.lineup.guide.download import Fetched, GuideFetcher, Validators
from plexbridge.lineup.guide.errors import GuideFailed, GuideFault
from plexbridge.lineup.guide.job import Figures, Job, Wanted
from plexbridge.lineup.guide.place import GuidePlace
from plexbridge.lineup.guide.process import build_apart
from plexbridge.lineup.guide.store import About, Guide, GuideDirectory, StoredGuide, as_facts
from plexbridge.lineup.redact import redact

_log = structlog.get_logger(__name__)

GUIDE_STREAM: Final = "guide"

EVERY_S: Final = 12 * 3_600.0
"""Between two readings of one guide. Providers renew theirs once or twice a day, players ask once
a day."""

FILE_EVERY_S: Final = 900.0
"""Between two looks at a file, which cost nothing: another program writes it when it likes."""

JITTER: Final = 0.1
"""Of that, more or less: not all bridges of a provider come in the same minute."""

RETRY_S: Final = (60.0, 3_600.0)
"""After a failure: at first, and at most; doubled each time."""

LOOK_S: Final = 15.0
"""Between two looks at the lineup: a new one may have channels that no guide was read for."""

BEHIND_S: Final = 86_400
AHEAD_S: Final = 14 * 86_400
"""Programmes kept. Players show a week or two; what was on yesterday is still asked for."""

CONDITIONAL_S: Final = 3 * 86_400
"""A guide read longer ago is read again though its provider says that nothing is new: what is kept
of it ends with the days kept then."""

WANTED_MAX: Final = 250_000
"""Lineup channels that are matched; more is whole catalogues of films, and Plex takes 480."""

Note = Callable[[str, str, Mapping[str, object]], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideStatus:
    """How it stands with one guide, to be shown. Times in seconds since 1970."""

    key: str
    place: str
    """Redacted."""
    figures: Figures | None
    """None: never read."""
    read_at: int | None
    problem: str | None
    """Why the last reading failed."""


@dataclass(slots=True)
class _One:
    """A guide and when it is to be read."""

    named: GuidePlace
    place: str
    """As it may be shown."""
    stored: StoredGuide | None = None
    due_s: float = 0.0
    """On the monotonic clock."""
    failures: int = 0
    problem: str | None = None

    @property
    def key(self) -> str:
        """Its name in our files and events."""
        return self.named.key

    @property
    def is_file(self) -> bool:
        """Whether it is on this machine."""
        return not self.named.location.lower().startswith(("http://", "https://"))

    @property
    def every_s(self) -> float:
        """Between two readings."""
        return FILE_EVERY_S if self.is_file else EVERY_S


@dataclass(frozen=True, slots=True)
class _WantedChannels:
    """The lineup channels that guides are read for."""

    channels: tuple[Wanted, ...]
    digest: str


_NO_EDITS: Final[Edits] = {}


def guide_key(location: str, key: bytes) -> str:
    """A guide's name in our files and events: 16 hex digits; nobody finds its URL by guessing."""
    return blake2b(location.encode("utf-8", "surrogatepass"), key=key, digest_size=8).hexdigest()


class GuideInForce:
    """Holds the guide that players are given."""

    def __init__(
        self,
        named: Callable[[], Sequence[GuidePlace]],
        *,
        directory: Path,
        fetcher: GuideFetcher,
        clock: Clock,
        random: Random,
        lineup: Callable[[], Lineup],
        note: Note,
        edits: Callable[[], Edits] = lambda: _NO_EDITS,
    ) -> None:
        """`named`: the guides there are now, the most trusted first. `edits`: which of the
        lineup's channels a person mapped."""
        self.guide = Guide(())
        """Of one moment: what holds it goes on reading it, whatever is put in force."""
        self._named = named
        self._guides: tuple[_One, ...] = ()
        self._files = GuideDirectory(directory)
        self._fetcher = fetcher
        self._clock = clock
        self._random = random
        self._lineup = lineup
        self._edits = edits
        self._note = note
        self._wanted = _WantedChannels((), "")
        self._wanted_of: tuple[str, Edits] = ("", {})
        """What `_wanted` is of: the digest of a lineup, and the edits."""
        self._served: list[StoredGuide] = []
        """What `guide` is made of."""
        self._asked = asyncio.Event()

    async def load(self) -> None:
        """At the start: what was read before is in force again, and nothing is asked of anyone.

        Raises:
            GuideFailed: the directory cannot be used.
        """
        self._look_at_names()
        try:
            await asyncio.to_thread(self._files.prepare, [one.key for one in self._guides])
        except GuideFault as fault:
            raise GuideFailed("directory", fault) from fault
        await self._look_at_lineup()
        for one in self._guides:
            try:
                one.stored = await asyncio.to_thread(self._files.load, one.key)
            except GuideFault as fault:
                one.problem = str(GuideFailed(one.place, fault))
                _log.warning("A stored guide cannot be used", why=one.problem)
            one.due_s = self._due_s(one)
        await self._put_in_force()

    async def run(self) -> None:
        """Read each guide when it is due, until cancelled."""
        while True:
            if self._look_at_names():
                await self._put_in_force()
            await self._look_at_lineup()
            for one in self._guides:
                if one.due_s <= self._clock.monotonic():
                    await self._refresh(one)
            soonest_s = min((one.due_s for one in self._guides), default=float("inf"))
            left_s = soonest_s - self._clock.monotonic()
            self._asked.clear()
            try:
                async with asyncio.timeout(max(0.0, min(left_s, LOOK_S))):
                    await self._asked.wait()
            except TimeoutError:
                continue

    def refresh(self) -> None:
        """Have every guide read again, soon; for a person who asks."""
        for one in self._guides:
            one.due_s = 0.0
        self._asked.set()

    def status(self) -> tuple[GuideStatus, ...]:
        """How it stands with each guide."""
        return tuple(
            GuideStatus(
                key=one.key,
                place=one.place,
                figures=None if one.stored is None else one.stored.figures,
                read_at=None if one.stored is None else one.stored.about.read_at,
                problem=one.problem,
            )
            for one in self._guides
        )

    @property
    def behind(self) -> bool:
        """Whether a guide is still to be read for the lineup as it is now mapped. One that cannot
        be read is not waited for."""
        digest, edits = self._wanted_of
        looked = digest == self._lineup().digest and edits is self._edits()
        return self._served != self._stored or any(
            one.problem is None
            and not (looked and one.stored and one.stored.about.wanted == self._wanted.digest)
            for one in self._guides
        )

    async def now_next(self, channels: Sequence[ChannelId]) -> dict[ChannelId, NowNext]:
        """What is on each of these, and what comes after; channels without a guide are left out.

        Raises:
            GuideFault: a file is gone or damaged.
        """
        return await asyncio.to_thread(now_next, self.guide, channels, self._now_s())

    async def _refresh(self, one: _One) -> None:
        try:
            await self._read(one)
        except GuideFault as fault:
            failed = GuideFailed(one.place, fault)
            one.failures += 1
            one.problem = str(failed)
            one.due_s = self._clock.monotonic() + self._retry_s(one.failures, failed.retry_after_s)
            _log.warning("A guide could not be read; what was read before serves", why=str(failed))
            await self._note(
                GUIDE_STREAM,
                "refresh_failed",
                {"guide": one.key, "place": one.place, "kind": failed.kind, "why": str(failed)},
            )
            return
        one.failures = 0
        one.problem = None
        one.due_s = self._clock.monotonic() + self._every_s(one)

    async def _read(self, one: _One) -> None:
        incoming, new = self._files.incoming(one.key), self._files.new(one.key)
        try:
            fetched = await self._fetcher.fetch(one.named, incoming, self._known(one))
            if fetched is None:
                assert one.stored is not None, "only of what is stored is it asked"
                if not one.is_file or one.problem:  # a look at a file is nobody's news
                    await self._tell(one, one.stored.figures, unchanged=True)
                return
            figures = await build_apart(self._job(one, fetched, new))
            one.stored = await asyncio.to_thread(self._files.put_in_force, one.key)
        finally:
            await asyncio.to_thread(_remove, (incoming, new))
        await self._put_in_force()
        await self._tell(one, figures, unchanged=False)

    def _job(self, one: _One, fetched: Fetched, into: Path) -> Job:
        now = self._now_s()
        about = About(
            key=one.key,
            read_at=now,
            wanted=self._wanted.digest,
            etag=fetched.validators.etag,
            modified=fetched.validators.modified,
        )
        return Job(
            source=fetched.path,
            into=into,
            wanted=self._wanted.channels,
            begin=now - BEHIND_S,
            end=now + AHEAD_S,
            about=as_facts(about),
        )

    async def _tell(self, one: _One, figures: Figures, *, unchanged: bool) -> None:
        facts = {
            "guide": one.key,
            "place": one.place,
            "unchanged": unchanged,
            "wanted": len(self._wanted.channels),
            "matched": figures.matched,
            "channels": figures.channels,
            "programmes": figures.programmes,
            "kept": figures.kept,
            "outside": figures.outside,
            "odd": figures.odd,
            "latest": figures.latest,
            "bytes": figures.bytes,
            "digest": figures.digest,
        }
        await self._note(GUIDE_STREAM, "refreshed", facts)
        _log.info(
            "Guide in force",
            matched=figures.matched,
            programmes=figures.kept,
            unchanged=unchanged,
            seconds=figures.seconds,
            peak_mib=figures.peak_kib // 1024,
        )

    @property
    def _stored(self) -> list[StoredGuide]:
        return [one.stored for one in self._guides if one.stored is not None]

    async def _put_in_force(self) -> None:
        stored = self._stored
        self.guide = await asyncio.to_thread(Guide, stored)
        self._served = stored

    def _look_at_names(self) -> bool:
        """Whether other guides are named than before: a source's list names another one now. What
        was read of one that is named still is kept; its files go at the next start."""
        named = {one.key: one for one in self._named()}
        if list(named.values()) == [one.named for one in self._guides]:
            return False
        held = {one.key: one for one in self._guides}
        self._guides = tuple(
            held.get(key) or _One(one, redact(one.location)) for key, one in named.items()
        )
        for one in self._guides:
            one.named = named[one.key]
        return True

    async def _look_at_lineup(self) -> None:
        lineup, edits = self._lineup(), self._edits()
        digest, edits_of = self._wanted_of
        if (lineup.digest == digest and edits is edits_of) or not self._guides:
            return
        self._wanted = await asyncio.to_thread(_wanted_of, lineup, edits)
        self._wanted_of = lineup.digest, edits
        for one in self._guides:
            if one.stored is None or one.stored.about.wanted != self._wanted.digest:
                one.due_s = 0.0

    def _due_s(self, one: _One) -> float:
        """At the start: what was read lately, for this lineup, is not read again yet."""
        now = self._clock.monotonic()
        if one.stored is None or one.stored.about.wanted != self._wanted.digest:
            return now
        age_s = max(0, self._now_s() - one.stored.about.read_at)
        return now + max(0.0, self._every_s(one) - age_s)

    def _known(self, one: _One) -> Validators:
        """What may be asked whether it is new; nothing, where it is to be read in any case."""
        if one.stored is None or one.stored.about.wanted != self._wanted.digest:
            return Validators()
        about = one.stored.about
        if self._now_s() - about.read_at > CONDITIONAL_S:
            return Validators()
        return Validators(about.etag, about.modified)

    def _every_s(self, one: _One) -> float:
        return one.every_s * self._random.uniform(1 - JITTER, 1 + JITTER)

    def _retry_s(self, failures: int, asked_s: float | None) -> float:
        first, most = RETRY_S
        waited = min(most, first * 2.0 ** min(failures - 1, 10))
        return max(waited, asked_s or 0.0) * self._random.uniform(1.0, 1.0 + JITTER)

    def _now_s(self) -> int:
        return self._clock.now() // 1_000_000


def _wanted_of(lineup: Lineup, edits: Edits) -> _WantedChannels:
    wanted = tuple(
        Wanted(
            channel.id,
            channel.tvg_id,
            channel.guide_name,
            edits.get(channel.id, AS_LISTED).tvg_id is not None,
        )
        for channel in lineup.channels[:WANTED_MAX]
    )
    state = blake2b(digest_size=8)
    for one in wanted:
        chosen = "\0" if one.chosen else ""
        texts = f"{one.channel}\0{one.tvg_id}\0{one.name}{chosen}\n"
        state.update(texts.encode("utf-8", "surrogatepass"))
    return _WantedChannels(wanted, state.hexdigest())


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
