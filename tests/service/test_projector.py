"""What is shown of a real log: now, any moment before, after a restart, when a fold breaks."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from events.envelope import NewEvent
from events.world import fold
from plexbridge.control import stored
from plexbridge.control.projector import MOMENTS_CACHED, Projector
from plexbridge.log.driver import Connection
from plexbridge.log.sqlite import SqliteLog
from projections.dashboard import NAME, Dashboard
from tests.core.given import at, closed, given, stop, took, tune
from tests.core.histories import Household, household

WITHIN_S = 20.0
Row = dict[str, Any]


@asynccontextmanager
async def opened(path: Path, **given_to: Any) -> AsyncIterator[tuple[SqliteLog, Projector]]:
    """A log and its projector, started; closed in order."""
    log = SqliteLog(path, durability="relaxed")
    projector = Projector(log, **given_to)
    try:
        await projector.start()
        yield log, projector
    finally:
        await projector.close()
        await log.close()


def copied(path: Path, to: Path) -> Path:
    """The log as it is on the disk at this moment."""
    with closing(sqlite3.connect(path)) as there, closing(sqlite3.connect(to)) as copy:
        there.backup(copy)
    return to


async def until(true: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(WITHIN_S):
        while not true():  # noqa: ASYNC110 (what is waited for sends no signal)
            await asyncio.sleep(0.005)


async def refuses(statement: str, log: SqliteLog) -> Callable[[], Awaitable[None]]:
    """The database refuses a statement, as a full disk would; returns what mends it."""
    await log.run_in_writer(
        lambda c: c.execute(
            f"CREATE TRIGGER full BEFORE {statement} BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    )

    async def mend() -> None:
        await log.run_in_writer(lambda c: c.execute("DROP TRIGGER full"))

    return mend


def with_ids(events: Sequence[NewEvent]) -> list[NewEvent]:
    """Events that a log takes: each with an id of its own."""
    random = Random(len(events))
    return [replace(event, id=random.randbytes(16)) for event in events]


def as_bytes(document: Row | list[Row] | None) -> bytes:
    """For comparing to the byte."""
    return orjson.dumps(document)


def last_states(home: Household) -> dict[str, str]:
    """Where each session of a history is at its end, by its id."""
    events = [event for event in home.events if event.stream.startswith("session-")]
    return {event.stream[8:]: event.dst or "" for event in events}


BROKEN = NewEvent(
    stream="session-nobody",
    ver=1,
    type="activity",
    schema=1,
    src="active",
    dst="active",
    machine="m",
    at=at(0),
    id=b"b" * 16,
    corr=None,
    cause=None,
    actor="test",
    node="test",
    fence=0,
    payload={"bytes": 1, "accepted_at": 1},
)
"""Bytes of a session that never began: no fold can take it."""


# Now and any moment ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
async def test_any_moment_is_shown_as_it_was_shown_then(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, whatever was stored in between."""
    monkeypatch.setattr(stored, "KEEP_EVERY", 40)
    random = Random(seed)
    seen: dict[int, bytes] = {}
    async with opened(tmp_path / "plexbridge.db") as (log, projector):
        for append in household(seed, 250).appends:
            await log.append(append)
            seen[projector.position] = as_bytes(projector.dashboard())
            if random.random() < 0.1:
                await projector.save()
        assert len(await asyncio.to_thread(log.reader.query, stored.kept)) > 4
        for position in random.sample(sorted(seen), 60):
            then = await projector.dashboard_at(position=position)
            assert as_bytes(then) == seen[position]
        assert as_bytes(await projector.dashboard_at(position=10**9)) == as_bytes(
            projector.dashboard()
        )
        assert await projector.dashboard_at(position=0) == Dashboard().document()


async def test_a_moment_is_also_a_time(tmp_path: Path) -> None:
    """The state after the last event at or before it."""
    async with opened(tmp_path / "plexbridge.db") as (log, projector):
        story = given().after(tune("s1", second=1), took("s1", 9, second=2))
        await log.append(with_ids(story.events))
        last = story.events[-1].at
        assert (await projector.dashboard_at(at=last))["position"] == 3
        before = await projector.dashboard_at(at=last - 1)
        assert before["position"] == 2
        assert before["sessions"][0]["state"] == "connecting"
        assert (await projector.dashboard_at(at=1))["position"] == 0


async def test_only_some_moments_are_remembered(tmp_path: Path) -> None:
    """The one asked for longest ago is forgotten first; one asked for again is not."""
    async with opened(tmp_path / "plexbridge.db") as (log, projector):
        for append in household(1, 200).appends:
            await log.append(append)
        first = await projector.dashboard_at(position=1)
        second = await projector.dashboard_at(position=2)
        for position in range(3, MOMENTS_CACHED + 2):
            await projector.dashboard_at(position=position)
            assert await projector.dashboard_at(position=1) is first
        assert await projector.dashboard_at(position=2) is not second


# Kept -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
async def test_a_restart_shows_and_decides_on_the_same(tmp_path: Path, crash: bool) -> None:
    """After an orderly end, and from what a crash left: what came behind the last save is folded
    from the log."""
    path, home = tmp_path / "plexbridge.db", household(3, 200)
    async with opened(path) as (log, projector):
        for number, append in enumerate(home.appends):
            await log.append(append)
            if number == 60:
                await projector.save()
        shown = as_bytes(projector.dashboard())
        if crash:
            path = await asyncio.to_thread(copied, path, tmp_path / "left.db")
    log = SqliteLog(path, durability="relaxed")
    projector = Projector(log)
    try:
        assert await projector.start() == fold(home.events)
        assert as_bytes(projector.dashboard()) == shown
        rows = await projector.sessions(limit=10_000)
        assert {row["id"]: row["state"] for row in rows} == last_states(home)
    finally:
        await projector.close()
        await log.close()


async def test_a_damaged_state_is_not_gone_on_from(tmp_path: Path) -> None:
    """An earlier one, or the log itself, does as well."""
    path = tmp_path / "plexbridge.db"
    async with opened(path) as (log, projector):
        for append in household(3, 100).appends:
            await log.append(append)
        shown = as_bytes(projector.dashboard())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE projections SET state = CAST('{}' AS BLOB)")
    async with opened(path) as (_, projector):
        assert as_bytes(projector.dashboard()) == shown


async def test_states_are_kept_now_and_then_and_the_newest_always(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that any moment is folded from one nearby, and the file does not grow with each save."""
    monkeypatch.setattr(stored, "KEEP_EVERY", 50)
    async with opened(tmp_path / "plexbridge.db") as (log, projector):
        for append in household(2, 300).appends:
            await log.append(append)
            await projector.save()
        kept = await asyncio.to_thread(log.reader.query, stored.kept)
        positions = [state.pos for state in kept if state.name == NAME]
        assert positions[-1] == max(positions)
        assert len({position // 50 for position in positions}) >= projector.position // 50 - 1
        assert len(positions) <= 2 * (projector.position // 50 + 1)


# Sessions, open and ended -----------------------------------------------------------------------


async def test_sessions_are_found_by_what_one_asks(tmp_path: Path) -> None:
    """The newest first; each filter alone and together; on below an id."""
    home = household(5, 200)
    async with opened(tmp_path / "plexbridge.db") as (log, projector):
        for append in home.appends:
            await log.append(append)
        every = await projector.sessions(limit=10_000)
        assert [row["id"] for row in every] == sorted(last_states(home), reverse=True)

        async def found(**asked: Any) -> list[Row]:
            return await projector.sessions(**asked, limit=10_000)

        assert await found(state="ended") == [row for row in every if row["state"] == "ended"]
        assert await found(channel="3") == [row for row in every if row["channel"]["id"] == "3"]
        assert await found(client="10.0.0.7") == [
            row for row in every if row["client"]["address"] == "10.0.0.7"
        ]
        middle = every[len(every) // 2]
        assert await found(since=middle["started_at"]) == [
            row for row in every if row["started_at"] >= middle["started_at"]
        ]
        assert await found(after=middle["id"]) == every[len(every) // 2 + 1 :]
        assert await projector.sessions(limit=3) == every[:3]
        assert await projector.session(middle["id"]) == middle
        assert await projector.session("nobody") is None


async def test_an_ended_session_is_never_listed_as_open_though_it_cannot_be_stored(
    tmp_path: Path,
) -> None:
    """A full disk makes no ghost; once there is room, it is stored."""
    async with opened(tmp_path / "plexbridge.db") as (log, projector):
        story = given().after(tune("s1"), took("s1", 9, second=1))
        await log.append(with_ids(story.events))
        assert len(await projector.sessions(state="active")) == 1
        mend = await refuses("INSERT ON sessions", log)
        more = story.events[:]
        story.after(stop("s1", second=2), tune("s2", second=3))
        await log.append(with_ids(story.events)[len(more) :])

        assert await projector.sessions(state="active") == []
        assert [row["id"] for row in await projector.sessions()] == ["s2", "s1"]
        assert [row["id"] for row in await projector.sessions(limit=1)] == ["s2"]
        assert [row["id"] for row in await projector.sessions(after="s2")] == ["s1"]
        ended = await projector.session("s1")
        assert ended is not None
        assert ended["state"] == "ended"

        await mend()
        await projector.save()
        there = await asyncio.to_thread(
            log.reader.query, lambda c: stored.find_sessions(c, {"state": "ended"}, 9)
        )
        assert there == [ended]


async def test_what_a_cancelled_asker_was_storing_is_not_lost(tmp_path: Path) -> None:
    """Its save fails after it has gone; the next one stores the rows."""
    async with opened(tmp_path / "plexbridge.db") as (log, projector):
        await log.append(with_ids(given().after(tune("s1"), closed("s1", second=1)).events))
        mend = await refuses("INSERT ON sessions", log)
        asker = asyncio.create_task(projector.sessions())
        await asyncio.sleep(0)
        asker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asker
        await mend()
        await projector.save()
        there = await asyncio.to_thread(log.reader.query, lambda c: stored.find_session(c, "s1"))
        assert there is not None


# A fold that breaks -----------------------------------------------------------------------------


async def break_the_shown_fold(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a session's end is folded half, and then raises."""
    half = Dashboard.fold

    def raising(self: Dashboard, event: Any) -> None:
        if event.dst == "ended":
            self.ends.state["sessions"] += 1_000
            raise ZeroDivisionError("a bug")
        half(self, event)

    monkeypatch.setattr(Dashboard, "fold", raising)


async def test_a_fold_that_raises_is_parked_and_what_was_before_goes_on_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half folded is shown or stored; the log takes what comes."""
    told: list[tuple[str, int, Exception]] = []
    async with opened(
        tmp_path / "plexbridge.db", on_parked=lambda *parked: told.append(parked)
    ) as (log, projector):
        story = given().after(tune("s1"), took("s1", 9, second=1))
        events = with_ids(story.after(stop("s1", second=2), tune("s2", second=3)).events)
        await log.append(events[:2])
        before = as_bytes(projector.dashboard())
        await break_the_shown_fold(log, monkeypatch)

        await log.append(events[2:5])
        assert projector.parked is not None
        assert "position 4" in projector.parked
        assert [(name, pos, type(why)) for name, pos, why in told] == [(NAME, 4, ZeroDivisionError)]
        assert as_bytes(projector.dashboard()) == before, "while the state is put back"
        await projector.save()
        await until(lambda: projector.dashboard()["position"] == 3)
        third = await projector.dashboard_at(position=3)
        assert third["totals"]["sessions"] == 1, "nothing half folded was stored"
        before = as_bytes(third)
        assert as_bytes(projector.dashboard()) == before

        assert len(await log.append(events[5:])) > 0, "streams go on"
        assert len(told) == 1
        assert as_bytes(projector.dashboard()) == before
        assert as_bytes(await projector.dashboard_at(position=10**9)) == before
        [session] = await projector.sessions()
        assert session["state"] == "active"


async def test_an_event_that_cannot_be_shown_does_not_stop_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decided state is folded to the head, what is shown stops before it and says so."""
    path, told = tmp_path / "plexbridge.db", list[int]()
    story = given().after(tune("s1"), stop("s1", second=2), tune("s2", second=3))
    events = with_ids(story.events)
    async with opened(path) as (log, _):
        await log.append(events[:2])
    log = SqliteLog(path, durability="relaxed")
    await log.append(events[2:])
    await break_the_shown_fold(log, monkeypatch)
    projector = Projector(log, on_parked=lambda name, pos, why: told.append(pos))
    try:
        assert await projector.start() == story.world
        assert projector.dashboard()["sessions"][0]["id"] == "s1"
        assert projector.dashboard()["totals"]["sessions"] == 1
        assert told == [3]
    finally:
        await projector.close()
        await log.close()


async def test_a_decided_state_that_cannot_be_folded_stops_a_start(tmp_path: Path) -> None:
    """Nothing may be given on a state that is not known."""
    log = SqliteLog(tmp_path / "plexbridge.db", durability="relaxed")
    try:
        await log.append([BROKEN])
        with pytest.raises(KeyError):
            await Projector(log).start()
    finally:
        await log.close()


async def test_a_fault_in_storing_ends_no_later_storing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and tried again."""
    monkeypatch.setattr("plexbridge.control.projector.SAVE_EVERY_S", 0.01)
    save = stored.save
    faults = [ZeroDivisionError("a bug"), ZeroDivisionError("again")]
    saved: list[int] = []

    def failing(connection: Connection, states: list[stored.State], rows: Any) -> None:
        if faults:
            raise faults.pop()
        save(connection, states, rows)
        saved.append(states[0].pos)

    monkeypatch.setattr(stored, "save", failing)
    async with opened(tmp_path / "plexbridge.db") as (log, projector):
        await log.append(with_ids(given().after(tune("s1")).events))
        await until(lambda: saved == [projector.position])
        there = await asyncio.to_thread(log.reader.query, lambda c: stored.find_session(c, "s1"))
        assert there is not None
