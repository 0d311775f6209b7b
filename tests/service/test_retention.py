"""The running bridge's nights: what is too old or too much goes, and nobody waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from events.envelope import NewEvent
from events.ids import UnixMicros
from plexbridge.clock import ManualClock
from plexbridge.control import stored
from plexbridge.control.prunes import PRUNED
from plexbridge.control.retention import DAY_US, Retention, next_night, too_much, too_old
from plexbridge.log.port import Durable
from plexbridge.log.sqlite import SqliteLog
from tests.service.relay_setup import until
from tests.service.written_logs import events_of, house, is_whole, write


def test_the_next_night_is_at_four_in_local_time() -> None:
    """Also across a change of clocks, and never now."""
    berlin = ZoneInfo("Europe/Berlin")
    for now, night in (
        (datetime(2026, 3, 28, 12, tzinfo=berlin), datetime(2026, 3, 29, 4, tzinfo=berlin)),
        (datetime(2026, 10, 25, 1, tzinfo=berlin), datetime(2026, 10, 25, 4, tzinfo=berlin)),
        (datetime(2026, 11, 4, 4, tzinfo=berlin), datetime(2026, 11, 5, 4, tzinfo=berlin)),
    ):
        found = next_night(UnixMicros(round(now.timestamp() * 1e6)), berlin)
        assert datetime.fromtimestamp(found / 1e6, berlin) == night


class LookedAt(ManualClock):
    """Counts how often it was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def now(self) -> UnixMicros:
        self.looks += 1
        return super().now()


class Nights:
    """A log of a household, a clock, and what has been noted."""

    def __init__(self, path: Path, days: int, megabytes: int) -> None:
        self.path = path
        self.clock = LookedAt()
        self.log = SqliteLog(path, durability="relaxed")
        self.saved = 0
        self.retention = Retention(
            self.log,
            note=self.note,
            save=self._save,
            clock=self.clock,
            days=days,
            megabytes=megabytes,
            zone=UTC,
            pause_s=0.001,
        )

    async def note(self, stream: str, type_: str, payload: Mapping[str, object]) -> Durable:
        return await self.log.append([self.event(stream, type_, payload)])

    def event(self, stream: str, type_: str, payload: Mapping[str, Any]) -> NewEvent:
        """The next event of a stream."""
        ver = self.log.reader.version(stream) + 1
        return NewEvent(
            stream=stream,
            ver=ver,
            type=type_,
            schema=1,
            src=None,
            dst=None,
            machine=None,
            at=self.clock.now(),
            id=f"{stream[:8]}{ver:08}"[:16].encode().ljust(16, b"-"),
            corr=None,
            cause=None,
            actor="bridge",
            node="local",
            fence=0,
            payload=payload,
        )

    async def _save(self) -> None:
        self.saved += 1

    def prunes(self) -> list[Mapping[str, Any]]:
        """What was told of prunes."""
        return [row.payload for row in events_of(self.path) if row.type == PRUNED]


@asynccontextmanager
async def nights(
    tmp_path: Path, *, days: int = 0, megabytes: int = 0, steps: int = 900
) -> AsyncIterator[Nights]:
    path = await asyncio.to_thread(write, tmp_path / "data", house(7, steps).appends)
    made = Nights(path, days, megabytes)
    await made.log.run_in_writer(stored.prepare)
    try:
        yield made
    finally:
        await made.log.close()


async def test_what_is_older_than_its_days_goes(tmp_path: Path) -> None:
    """Ninety days later everything of that household but what is open; a day later nothing."""
    async with nights(tmp_path, days=90) as house_:
        rows = events_of(house_.path)
        house_.clock.advance(86_400)
        await house_.retention.tonight()
        assert house_.prunes() == []
        middle = rows[len(rows) // 2].at
        house_.clock.advance((middle + 90 * DAY_US - house_.clock.now()) / 1e6)
        await house_.retention.tonight()
        [told] = house_.prunes()
        left = events_of(house_.path)
        assert told["why"] == "age"
        assert told["last"] == left[0].pos - 1
        assert rows[told["last"] - 1].at <= middle
        assert house_.saved == 1
        assert is_whole(house_.path)


async def test_days_and_megabytes_of_zero_keep_everything(tmp_path: Path) -> None:
    """However long ago and however much."""
    async with nights(tmp_path) as house_:
        house_.clock.advance(86_400 * 9_999)
        await house_.retention.tonight()
        assert house_.prunes() == []
        assert too_old(house_.log.reader, house_.clock.now(), 0) == 0
        assert too_much(house_.log.reader, 0) == 0


async def test_what_is_too_much_goes_from_the_front(tmp_path: Path) -> None:
    """So that the rest fits, more or less: a prune takes whole stories."""
    async with nights(tmp_path, megabytes=1, steps=12_000) as house_:
        reader = house_.log.reader
        head = reader.head().pos
        wanted = too_much(reader, 1)
        assert 0 < wanted < head
        await house_.retention.tonight()
        [told] = house_.prunes()
        assert told["why"] == "size"
        assert wanted - 300 < told["last"] <= wanted
        assert too_much(reader, 1) - reader.base().pos < (head - wanted) // 4
        assert is_whole(house_.path)


async def test_every_night_tells_the_head(tmp_path: Path) -> None:
    """The log line is an anchor."""
    async with nights(tmp_path) as house_:
        with capture_logs() as lines:
            await house_.retention.tonight()
        head = house_.log.reader.head()
        [line] = [one for one in lines if one["event"] == "Log head"]
        assert (line["position"], line["hash"]) == (head.pos, head.hash.hex())


async def test_a_night_comes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one after it; a night that fails is said and harms nothing."""
    monkeypatch.setattr("plexbridge.control.retention.LOOK_EVERY_S", 0.005)
    async with nights(tmp_path, days=90) as house_:
        house_.clock.advance(86_400 * 100)
        running = asyncio.create_task(house_.retention.run())
        await until(lambda: house_.clock.looks > 5)
        assert house_.prunes() == []
        house_.clock.advance(86_400)
        await until(lambda: bool(house_.prunes()))
        [told] = house_.prunes()
        await until(lambda: events_of(house_.path)[0].pos == told["last"] + 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert running.cancelled()


async def test_appends_go_on_while_events_are_pruned(tmp_path: Path) -> None:
    """One waits for a batch at most, never for the prune."""
    async with nights(tmp_path, days=90, steps=12_000) as house_:
        house_.clock.advance(86_400 * 100)
        pruning = asyncio.create_task(house_.retention.tonight())
        slowest, count, begun = 0.0, 0, time.perf_counter()
        while not pruning.done():
            count += 1
            asked = time.perf_counter()
            await house_.log.append([house_.event("source-x", "refreshed", {"n": count})])
            slowest = max(slowest, time.perf_counter() - asked)
            await asyncio.sleep(0)
        took = time.perf_counter() - begun
        assert count > 20
        assert slowest < max(0.5, took / 4)
        assert len(house_.prunes()) == 1
        assert is_whole(house_.path)
