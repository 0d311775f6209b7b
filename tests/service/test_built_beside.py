"""A changed version of the dashboard is built beside the old one, and switched when level."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from events.envelope import NewEvent
from events.world import fold
from plexbridge.audit.projections import compare, saved
from plexbridge.audit.standing import standings
from plexbridge.control import beside, building, projector, stored, successor
from plexbridge.control.building import BeingBuilt, Build
from plexbridge.control.projector import Projector
from plexbridge.control.prunes import cut_before, prune
from plexbridge.control.seals import first_moment
from plexbridge.log.driver import Connection
from plexbridge.log.port import Durable
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sqlite import SqliteLog
from projections import dashboard, lifting, world_state
from projections.dashboard import Dashboard
from tests.core.histories import Household, household
from tests.service.another_version import (
    OLD,
    OLD_WORDS,
    change,
    copied,
    hold_up,
    let_go,
    names_of,
    older_version,
    shown_tables,
)
from tests.service.test_projector import (
    as_bytes,
    break_the_shown_fold,
    last_states,
    opened,
)

Appends = Sequence[Sequence[NewEvent]]

WITHIN_S = 30.0
NEVER_S = 3_600.0


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some hundred events, nothing is so little that a start waits for it."""
    monkeypatch.setattr(projector, "BUILT_BEFORE_SERVING_EVENTS", -1)
    monkeypatch.setattr(stored, "KEEP_EVERY", 40)
    monkeypatch.setattr(building, "PAGE_EVENTS", 15)
    monkeypatch.setattr(successor, "PAGE_EVENTS", 15)
    monkeypatch.setattr(successor, "PAUSE_S", 0.0)
    monkeypatch.setattr(successor, "AGAIN_AFTER_S", 0.01)


async def append(log: SqliteLog, appends: Appends) -> None:
    for events in appends:
        await log.append(events)


async def left_by_the_old_version(path: Path, appends: Appends) -> None:
    """A log, and what the version before this one has kept of it."""
    with older_version():
        async with opened(path) as (log, old):
            await until_built(old)
            await append(log, appends)
            await old.save()


async def until(true: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(WITHIN_S):
        while not true():  # noqa: ASYNC110 (what is waited for sends no signal)
            await asyncio.sleep(0.005)


async def until_built(made: Projector) -> None:
    await until(lambda: made.being_built is None)


async def until_stored_beside(path: Path) -> int:
    """How far it was stored, once it was."""
    with closing(SqliteReader(path)) as reader:
        await until(lambda: any(one.pos for one in reader.query(beside.under_way)))
        return reader.query(beside.under_way)[0].pos


def is_the_whole_fold(path: Path) -> bool:
    """Byte for byte what the log folds to, every kept state and every session's row; nothing of an
    older version, nothing beside."""
    with closing(SqliteReader(path)) as reader:
        there = saved(reader)
        kept = reader.query(stored.kept)
        assert list(compare(reader, there)) == []
        assert there.sessions
        assert there.shown_at
    assert {one.version for one in kept if one.name == dashboard.NAME} == {dashboard.VERSION}
    assert not {"building", *beside.NEXT} & names_of(path)
    assert {"sessions_started", "sessions_ended"} <= names_of(path)
    assert OLD_WORDS not in str(shown_tables(path))
    return True


def doing(connection: Connection, statement: str) -> None:
    connection.execute(statement)


def home_of(seed: int) -> tuple[Household, int]:
    """A household, and where its first half ends."""
    home = household(seed, 250)
    return home, len(home.appends) // 2


# Built and switched ------------------------------------------------------------------------------


async def test_until_it_is_level_the_old_one_stays_and_no_number_of_the_new_one_is_told(
    tmp_path: Path,
) -> None:
    """Events go on coming; what is decided on is right from the start; a switch that fails in its
    middle has changed nothing."""
    path, (home, half) = tmp_path / "plexbridge.db", home_of(3)
    await left_by_the_old_version(path, home.appends[:half])
    old = shown_tables(path)
    assert OLD_WORDS in str(old)
    change(path, hold_up)
    log = SqliteLog(path, durability="relaxed")
    made = Projector(log)
    try:
        known = [event for events in home.appends[:half] for event in events]
        assert await made.start() == fold(known)
        await append(log, home.appends[half:])
        await until(lambda: made.position == len(home.events))
        told = made.being_built
        assert told is not None
        assert (told.name, told.version) == (dashboard.NAME, dashboard.VERSION)
        assert (told.position, told.of) == (len(home.events), len(home.events))
        assert made.parked is None
        for ask in (made.sessions(), made.session("s"), made.dashboard_at(position=1)):
            with pytest.raises(BeingBuilt):
                await ask
        with pytest.raises(BeingBuilt, match="is being built from the event log: position"):
            made.dashboard()
        await made.save()
        assert shown_tables(path) == old

        await log.run_in_writer(let_go)
        await until_built(made)
        shown = Dashboard()
        for row in log.reader.read(0, -1):
            shown.fold(row)
        assert as_bytes(made.dashboard()) == as_bytes(shown.document())
        rows = await made.sessions(limit=10_000)
        assert {row["id"]: row["state"] for row in rows} == last_states(home)
    finally:
        await made.close()
        await log.close()
    assert is_the_whole_fold(path)


@pytest.mark.parametrize("seed", range(6))
async def test_no_event_is_lost_or_folded_twice_at_the_hand_over(tmp_path: Path, seed: int) -> None:
    """Whenever they come: as fast as they can, all the while it is built."""
    path, (home, half) = tmp_path / "plexbridge.db", home_of(seed)
    await left_by_the_old_version(path, home.appends[:half])
    async with opened(path) as (log, made):
        for number, events in enumerate(home.appends[half:]):
            await log.append(events)
            if number % 7 == seed:
                await asyncio.sleep(0)
        await until_built(made)
        assert made.parked is None
        assert made.position == len(home.events)
        shown = as_bytes(made.dashboard())
        moment = await made.dashboard_at(position=len(home.events))
        assert as_bytes(moment) == shown
    assert is_the_whole_fold(path)


async def test_it_equals_what_a_rebuild_makes(tmp_path: Path) -> None:
    """The same rows, though one came in small parts beside a running bridge."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(5)
    await left_by_the_old_version(path, home.appends)
    other = await asyncio.to_thread(copied, path, tmp_path / "other.db")
    async with opened(path) as (_, made):
        await until_built(made)
    log = SqliteLog(other, durability="relaxed")
    rebuilt = Build(log, decided=True)
    await rebuilt.begin()
    while rebuilt.position < len(home.events):
        await rebuilt.advance(len(home.events))
    await rebuilt.switch()
    await log.close()
    assert shown_tables(other) == shown_tables(path)


async def test_few_events_are_folded_before_anybody_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A household sees nothing of it."""
    path, (home, half) = tmp_path / "plexbridge.db", home_of(2)
    await left_by_the_old_version(path, home.appends[:half])
    monkeypatch.setattr(projector, "BUILT_BEFORE_SERVING_EVENTS", len(home.events))
    async with opened(path) as (_, made):
        assert made.being_built is None
        assert made.dashboard()["position"] == sum(map(len, home.appends[:half]))


async def test_states_that_are_all_damaged_are_replaced_as_well(tmp_path: Path) -> None:
    """Of the same version; nothing that is shown rests on them."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(4)
    async with opened(path) as (log, made):
        await until_built(made)
        await append(log, home.appends)
    damage = "UPDATE projections SET state = CAST('{}' AS BLOB) WHERE name = 'dashboard'"
    change(path, lambda connection: doing(connection, damage))
    async with opened(path) as (_, made):
        await until_built(made)
    assert is_the_whole_fold(path)


# Stopped in the middle ---------------------------------------------------------------------------


async def stopped_in_the_middle(
    path: Path, monkeypatch: pytest.MonkeyPatch, appends: Appends, to: Path
) -> int:
    """What a crash leaves while it is being built; how far that was stored."""
    await left_by_the_old_version(path, appends)
    with monkeypatch.context() as patch:
        patch.setattr(building, "PAGE_EVENTS", 40)
        patch.setattr(successor, "PAUSE_S", NEVER_S)
        async with opened(path) as (_, made):
            stored_to = await until_stored_beside(path)
            assert made.being_built is not None
            await asyncio.to_thread(copied, path, to)
    return stored_to


async def test_what_a_crash_interrupts_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start does not fold again what was stored, and comes to the same."""
    left, (home, _) = tmp_path / "left.db", home_of(3)
    path = tmp_path / "plexbridge.db"
    stored_to = await stopped_in_the_middle(path, monkeypatch, home.appends, left)
    assert 0 < stored_to < len(home.events)
    with closing(SqliteReader(left)) as reader:
        found = reader.query(lambda it: beside.resumed(it, len(home.events)))
        assert found is not None
        assert found.position == stored_to
    async with opened(left) as (_, made):
        await until_built(made)
    assert is_the_whole_fold(left)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE projections_next SET state = CAST('{}' AS BLOB)",
        "UPDATE building SET version = version + 1",
        "UPDATE building SET base = 7",
        "DROP TABLE sessions_next",
        "DELETE FROM projections_next",
    ],
    ids=["damaged", "of another version", "of a log since pruned", "half there", "emptied"],
)
async def test_what_cannot_be_gone_on_from_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """Whatever an earlier attempt left."""
    left, (home, _) = tmp_path / "left.db", home_of(6)
    await stopped_in_the_middle(tmp_path / "plexbridge.db", monkeypatch, home.appends, left)
    change(left, lambda connection: doing(connection, damage))
    async with opened(left) as (_, made):
        await until_built(made)
    assert is_the_whole_fold(left)


async def test_the_old_version_opens_a_file_in_which_the_new_one_is_being_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows what it showed, goes on with its rows, and the new one builds again afterwards."""
    left, (home, half) = tmp_path / "left.db", home_of(3)
    path = tmp_path / "plexbridge.db"
    await stopped_in_the_middle(path, monkeypatch, home.appends[:half], left)
    before = shown_tables(left)
    with older_version():
        async with opened(left) as (log, old):
            assert old.being_built is None
            assert shown_tables(left) == before
            await append(log, home.appends[half:])
            rows = await old.sessions(limit=10_000)
            assert {row["id"]: row["state"] for row in rows} == last_states(home)
            assert {row["words"]["text"] for row in rows if row["words"]} == {OLD_WORDS}
    assert {row[1] for row in shown_tables(left)["projections"]} == {OLD}
    async with opened(left) as (_, made):
        await until_built(made)
    assert is_the_whole_fold(left)


async def test_what_an_interrupted_rebuild_left_goes_at_the_next_start(tmp_path: Path) -> None:
    """Nobody would finish it: what is in force is of this version."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(3)
    async with opened(path) as (log, made):
        await until_built(made)
        await append(log, home.appends)
    log = SqliteLog(path, durability="relaxed")
    rebuilt = Build(log, decided=True)
    await rebuilt.begin()
    await rebuilt.advance(len(home.events))
    await log.close()
    assert beside.NEXT.sessions in names_of(path)
    async with opened(path) as (_, made):
        assert made.being_built is None
    assert is_the_whole_fold(path)


# Pruned ------------------------------------------------------------------------------------------


async def pruned(log: SqliteLog, wanted: int) -> int:
    """Cut the log; the position behind which it begins. The event that tells of it is left out: it
    is not one of the household's."""

    async def note(stream: str, type_: str, payload: dict[str, object]) -> Durable:
        return tuple(log.reader.read(0, 1))

    cut = await asyncio.to_thread(cut_before, log.reader, wanted)
    assert cut is not None
    assert await prune(log, note, cut, why="test")
    return cut.pos


async def test_behind_a_prune_it_is_built_from_what_was_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a version that is lifted to this one."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(3)
    with older_version():
        async with opened(path) as (log, old):
            await until_built(old)
            await append(log, home.appends)
            await old.save()
            cut = await pruned(log, len(home.events) // 2)
    monkeypatch.setattr(lifting, "LIFTS", {(dashboard.NAME, OLD): lambda state: state})
    async with opened(path) as (_, made):
        await until_built(made)
        assert made.dashboard()["totals"]["sessions"] == len(last_states(home))
        assert cut > 0
    assert is_the_whole_fold(path)


async def test_what_is_sealed_by_a_version_that_is_not_known_stops_no_start(tmp_path: Path) -> None:
    """What is decided on is there; what is shown says why it is not; its old rows stay."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(3)
    with older_version():
        async with opened(path) as (log, old):
            await until_built(old)
            await append(log, home.appends)
            await old.save()
            await pruned(log, len(home.events) // 2)
    before = shown_tables(path)
    async with opened(path) as (_, made):
        await until(lambda: made.parked is not None)
        assert made.being_built is not None
        assert made.being_built.stopped is not None
    assert shown_tables(path) == before


async def test_a_prune_while_it_is_built_begins_it_again(tmp_path: Path) -> None:
    """Rows of sessions that went are not in what takes the place."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(3)
    await left_by_the_old_version(path, home.appends)
    change(path, hold_up)
    async with opened(path) as (log, made):
        await until(lambda: made.position == len(home.events))
        cut = await pruned(log, len(home.events) // 2)
        assert log.reader.query(first_moment) == cut
        await log.run_in_writer(let_go)
        await until_built(made)
        assert len(await made.sessions(limit=10_000)) < len(last_states(home))
    assert is_the_whole_fold(path)


# Broken ------------------------------------------------------------------------------------------


async def test_a_version_that_cannot_be_built_leaves_the_old_one_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says where and why; nothing half folded is told; going back is at once."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(3)
    await left_by_the_old_version(path, home.appends)
    before = shown_tables(path)
    parked: list[tuple[str, int]] = []
    with monkeypatch.context() as patch:
        log = SqliteLog(path, durability="relaxed")
        await break_the_shown_fold(log, patch)
        made = Projector(log, on_parked=lambda name, pos, fault: parked.append((name, pos)))
        assert await made.start() == fold(home.events)
        await until(lambda: made.parked is not None)
        first_end = next(n for n, one in enumerate(home.events, 1) if one.dst == "ended")
        assert parked == [(dashboard.NAME, first_end)]
        with pytest.raises(BeingBuilt, match="could not be built"):
            made.dashboard()
        await made.close()
        await log.close()
    assert shown_tables(path) == before
    with older_version():
        async with opened(path) as (_, old):
            assert old.being_built is None
            assert old.dashboard()["position"] == len(home.events)
    async with opened(path) as (_, made):
        await until_built(made)
    assert is_the_whole_fold(path)


async def test_what_is_decided_on_is_kept_though_the_dashboard_is_parked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the next start folds a few events, and not all since then."""
    monkeypatch.setattr(projector, "DECIDED_EVENTS", 1)
    path, (home, half) = tmp_path / "plexbridge.db", home_of(3)
    async with opened(path) as (log, made):
        await until_built(made)
        await append(log, home.appends[:half])
        await made.save()
        with monkeypatch.context() as patch:
            await break_the_shown_fold(log, patch)
            await append(log, home.appends[half:])
            assert made.parked is not None
            await made.save()
            kept = await asyncio.to_thread(log.reader.query, stored.kept)
            newest = {one.name: one.pos for one in kept}
            assert newest[world_state.NAME] == len(home.events)
            assert newest[dashboard.NAME] < len(home.events)


async def test_the_dashboard_goes_on_though_what_is_decided_on_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is parked by its own name."""
    path, (home, half) = tmp_path / "plexbridge.db", home_of(3)
    async with opened(path) as (log, made):
        await until_built(made)
        await append(log, home.appends[:half])
        await made.save()

        def raising(*_: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(world_state, "evolve", raising)
        await append(log, home.appends[half:])
        assert made.parked is not None
        assert made.parked.startswith(f"{world_state.NAME} at position")
        assert made.dashboard()["position"] == len(home.events)
        await made.save()
        kept = await asyncio.to_thread(log.reader.query, stored.kept)
        newest = {one.name: one.pos for one in kept}
        assert newest[world_state.NAME] < newest[dashboard.NAME] == len(home.events)


# The decided state -------------------------------------------------------------------------------


async def test_a_changed_decided_state_is_folded_before_anything_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kept states are made anew, the old ones go; what is shown is as it was."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(3)
    async with opened(path) as (log, made):
        await until_built(made)
        await append(log, home.appends)
        shown = as_bytes(made.dashboard())
    changed = world_state.VERSION + 1
    monkeypatch.setattr(world_state, "VERSION", changed)
    monkeypatch.setitem(lifting.CURRENT, world_state.NAME, changed)
    async with opened(path) as (log, made):
        assert made.being_built is None
        assert as_bytes(made.dashboard()) == shown
        kept = await asyncio.to_thread(log.reader.query, stored.kept)
        positions = [one.pos for one in kept if one.name == world_state.NAME]
        assert {one.version for one in kept if one.name == world_state.NAME} == {changed}
        assert positions[-1] == len(home.events)
        assert len(positions) >= len(home.events) // 40
    assert is_the_whole_fold(path)


# Told --------------------------------------------------------------------------------------------


async def test_how_each_projection_stands_is_told(tmp_path: Path) -> None:
    """The version in force and the one being built, how far, and that it is level again."""
    path, (home, _) = tmp_path / "plexbridge.db", home_of(3)
    await left_by_the_old_version(path, home.appends)
    with closing(SqliteReader(path)) as reader:
        shown, decided = standings(reader)
        assert (shown.name, decided.name) == (dashboard.NAME, world_state.NAME)
        assert shown.newest is not None
        assert (shown.newest.version, shown.lag_events) == (OLD, 0)
        assert shown.status == f"the next start builds version {dashboard.VERSION}"
        [unchecked] = list(compare(reader, saved(reader)))
        assert f"version {OLD} of the dashboard is in force" in unchecked.text
        change(path, hold_up)
        async with opened(path) as (log, made):
            await until_stored_beside(path)
            shown, decided = standings(reader)
            assert shown.building is not None
            assert shown.building.version == dashboard.VERSION
            assert shown.newest is not None
            assert shown.newest.version == OLD
            assert shown.status.startswith("being built: position ")
            assert decided.status == "level"
            await log.run_in_writer(let_go)
            await until_built(made)
        assert [one.status for one in standings(reader)] == ["level", "level"]
