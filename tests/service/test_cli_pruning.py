"""`events prune|archive`: what goes is sealed, told and archived; what stays is what it was."""

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.policy import Policy
from events.world import World, fold
from plexbridge.control import prunes
from plexbridge.control.projector import Projector
from plexbridge.control.prunes import PRUNED, Cut, cut_before
from plexbridge.control.seals import Pruned
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import wal_bytes
from plexbridge.log.lock import WriterLock
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sqlite import SqliteLog
from tests.service.command_line import Cli, on_a_sound_log
from tests.service.test_cli_exports import is_sound, reading
from tests.service.written_logs import events_of, house, is_whole, shown_at, write


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    on_a_sound_log(tmp_path / "sound", capsys, monkeypatch)
    write(tmp_path / "data", house().appends)
    return Cli(tmp_path / "data", capsys)


def log_of(cli: Cli) -> Path:
    return cli.data_dir / LOG_FILE


def cut_of(cli: Cli, wanted: int) -> Cut:
    with closing(SqliteReader(log_of(cli))) as reader:
        cut = cut_before(reader, wanted)
    assert cut is not None
    return cut


# Where it is cut ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_tears_no_session_and_no_decision(tmp_path: Path, seed: int) -> None:
    """Nothing was open there, and it stands between two decisions."""
    happened = house(seed)
    path = write(tmp_path / "log", happened.appends)
    ends = {0}
    for append in happened.appends:
        ends.add(max(ends) + len(append))
    quiet = [
        pos
        for pos in sorted(ends - {0})
        if not (at := fold(events_of(path)[:pos], Policy())).sessions and not at.leases
    ]
    with closing(SqliteReader(path)) as reader:
        for wanted in range(1, reader.head().pos + 50, 61):
            cut = cut_before(reader, wanted)
            before = [pos for pos in quiet if pos <= wanted and pos < reader.head().pos]
            if cut is not None and before:
                assert cut.pos in ends
                assert cut.pos in before
                assert cut.split == 0
            elif cut is not None:
                assert cut.pos in ends


def test_what_is_open_is_never_cut(tmp_path: Path) -> None:
    """In a house without a quiet moment the cut lies before everything that goes on."""
    happened = house(3, 60)
    events = happened.events
    going_on = [e for e in events if e.stream.startswith("session-")]
    streams = {e.stream for e in going_on} - {e.stream for e in going_on if e.dst == "ended"}
    assert streams or happened.world.leases
    path = write(tmp_path / "log", happened.appends)
    first = {row.stream: row.pos for row in reversed(events_of(path))}
    with closing(SqliteReader(path)) as reader:
        cut = cut_before(reader, reader.head().pos)
    if cut is not None:
        assert all(first[stream] > cut.pos for stream in streams)


# What a prune leaves ------------------------------------------------------------------------------


def test_what_is_behind_the_cut_stays_as_it_was(cli: Cli) -> None:
    """Rows, hashes, every moment, totals over all time; and it says what is gone."""
    rows = events_of(log_of(cli))
    cut = cut_of(cli, 400)
    positions = range(cut.pos, rows[-1].pos + 1, 7)
    shown = shown_at(log_of(cli), positions)
    told = cli("events", "prune", "--before", "#401", "--json").json()
    assert (told["first"], told["last"], told["events"]) == (1, cut.pos, cut.pos)
    assert told["hash"] == rows[cut.pos - 1].hash.hex()
    left = events_of(log_of(cli))
    assert left[:-1] == rows[cut.pos :]
    assert shown_at(log_of(cli), positions) == shown
    assert is_whole(log_of(cli))
    assert is_sound(cli)
    assert left[-1].type == PRUNED
    assert left[-1].stream == "bridge"
    assert left[-1].payload["last"] == cut.pos
    assert f"#{cut.pos + 1}" in cli.fails(2, "at", f"#{cut.pos - 1}")
    assert "pruned" in cli.fails(2, "at", "2001-01-01")


def test_a_bridge_starts_on_a_pruned_log_with_the_same_state(cli: Cli) -> None:
    """What is decided on, and what streams may grow, is what it was."""
    before = fold(events_of(log_of(cli)), Policy())
    assert cli("events", "prune", "--before", "#401").code == 0

    async def start() -> World:
        log = SqliteLog(log_of(cli), durability="relaxed")
        projector = Projector(log)
        world = await projector.start()
        with pytest.raises(Pruned):
            await projector.dashboard_at(position=3)
        for stream, ver in world.versions.items():
            assert log.reader.version(stream) == ver
        await projector.close()
        await log.close()
        return world

    world = asyncio.run(start())
    world.versions["bridge"] -= 1  # the prune itself
    assert world == before
    assert is_sound(cli)


def test_projections_are_rebuilt_from_the_seal(cli: Cli) -> None:
    """Equal to what was kept; rows of sessions that ended before the cut are gone."""
    assert cli("projections", "rebuild").code == 0
    every = cli("sessions", "ls", "-n", "9999").out
    assert cli("events", "prune", "--before", "#401").code == 0
    kept = cli("sessions", "ls", "-n", "9999").out
    assert cli("projections", "verify").code == 0
    assert cli("projections", "rebuild").code == 0
    assert cli("sessions", "ls", "-n", "9999").out == kept
    assert 0 < len(kept.splitlines()) < len(every.splitlines())
    assert cli("projections", "verify").code == 0


def test_a_log_may_be_pruned_again(cli: Cli) -> None:
    """From where the last one left it, and with nothing to do it does nothing."""
    assert cli("events", "prune", "--before", "#201").code == 0
    first = events_of(log_of(cli))[0].pos
    assert cli("events", "prune", "--before", "#451").code == 0
    rows = events_of(log_of(cli))
    assert first < rows[0].pos <= 451
    assert [row.payload["first"] for row in rows if row.type == PRUNED] == [1, first]
    assert is_sound(cli)
    assert "nothing that could go" in cli("events", "prune", "--before", "#451").out
    assert len(events_of(log_of(cli))) == len(rows)


def test_a_pruned_log_can_be_exported_and_imported(cli: Cli) -> None:
    """With its seal; the copy is the same log."""
    assert cli("events", "prune", "--before", "#401").code == 0
    file = cli.data_dir.with_name("x.ndjson.zst")
    assert cli("events", "export", "-o", str(file)).code == 0
    copy = reading(cli.data_dir.with_name("copy"), cli)
    assert copy("events", "import", str(file)).code == 0
    assert events_of(log_of(copy)) == events_of(log_of(cli))
    assert copy("at", "now", "--json").out == cli("at", "now", "--json").out
    assert is_sound(copy)


def test_space_is_given_back(cli: Cli) -> None:
    """The file is smaller, not only emptier."""
    write(cli.data_dir.with_name("big"), house(5, 6_000).appends)
    big = reading(cli.data_dir.with_name("big"), cli)
    before = log_of(big).stat().st_size + wal_bytes(log_of(big))
    told = big("events", "prune", "--before", "#3001", "--json").json()
    after = log_of(big).stat().st_size
    assert wal_bytes(log_of(big)) == 0
    assert told["freed_bytes"] == before - after
    assert after < 0.7 * before


# Archives -----------------------------------------------------------------------------------------


def test_what_goes_can_be_archived_first_and_opened_later(cli: Cli) -> None:
    """The archive tells every moment before the cut, and leads to where the log begins."""
    cut = cut_of(cli, 400)
    positions = range(0, cut.pos + 1, 11)
    shown = shown_at(log_of(cli), positions)
    file = cli.data_dir.with_name("old.ndjson.zst")
    told = cli("events", "prune", "--before", "#401", "--archive", str(file), "--json").json()
    archive = reading(file, cli)
    assert archive("events", "head").out.startswith(f"{cut.pos} {told['hash']} ")
    for position, document in zip(positions, shown, strict=True):
        if position in (0, cut.pos):
            assert archive("at", f"#{position}", "--json").json() == document
    assert is_sound(archive)
    assert events_of(log_of(cli))[-1].payload["archive"] == told["archive"]


def test_an_archive_alone_changes_nothing(cli: Cli) -> None:
    """It holds what a prune of the same moment would take; a running bridge does not mind."""
    rows = events_of(log_of(cli))
    lock = WriterLock(log_of(cli))
    file = cli.data_dir.with_name("old.ndjson")
    told = cli("events", "archive", "--before", "#401", "-o", str(file), "--json").json()
    lock.release()
    assert (told["first"], told["last"]) == (1, cut_of(cli, 400).pos)
    assert events_of(log_of(cli)) == rows
    assert "no file was written" in cli("events", "archive", "--before", "#1", "-o", "x").out


# What is refused ----------------------------------------------------------------------------------


def test_nothing_is_pruned_under_a_running_bridge(cli: Cli) -> None:
    """It has the directory: exit code 3. A dry run only reads."""
    rows = events_of(log_of(cli))
    lock = WriterLock(log_of(cli))
    try:
        assert "another PlexBridge" in cli.fails(3, "events", "prune", "--before", "#401")
        told = cli("events", "prune", "--before", "#401", "--dry-run", "--json").json()
    finally:
        lock.release()
    assert (told["pruned"], told["last"]) == (False, cut_of(cli, 400).pos)
    assert events_of(log_of(cli)) == rows


def test_an_altered_seal_is_found(cli: Cli) -> None:
    """By its own digest, and with that mended by the event of the prune: exit code 4."""
    assert cli("events", "prune", "--before", "#401").code == 0
    edit = "replace(CAST(state AS TEXT), '\"sessions\":', '\"sessions\" :')"
    cli.tamper(f"UPDATE sealed SET state = CAST({edit} AS BLOB) WHERE name = 'dashboard'")
    ran = cli("audit")
    assert ran.code == 4
    assert f"#{events_of(log_of(cli))[0].pos - 1} the state 'dashboard'" in ran.out
    assert "was altered" in cli.fails(4, "sessions", "ls")


def test_a_seal_made_anew_is_found(cli: Cli) -> None:
    """With its digest, it does not fit the event of the prune."""
    assert cli("events", "prune", "--before", "#401").code == 0
    with closing(SqliteReader(log_of(cli))) as reader:
        seal = reader.query(prunes.sealing.read)
    assert seal is not None
    forged = tuple(
        one._replace(state=one.state.replace(b'"at":', b'"at": ')) for one in seal.states
    )

    async def forge() -> None:
        log = SqliteLog(log_of(cli))
        new = seal._replace(states=forged)
        await log.run_in_writer(lambda it: prunes.sealing.write(it, new))
        await log.close()

    asyncio.run(forge())
    ran = cli("audit")
    assert ran.code == 4
    assert f"#{events_of(log_of(cli))[-1].pos} the states sealed" in ran.out


# A crash half-way ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_prune_that_a_crash_interrupted_is_finished(
    cli: Cli, batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In between the log is whole, foldable from the cut, and goes on as if it were done."""
    monkeypatch.setattr(prunes.pruning, "BATCH_EVENTS", 150)
    cut = cut_of(cli, 400)
    shown = shown_at(log_of(cli), [cut.pos, 600])

    async def half() -> None:
        log = SqliteLog(log_of(cli), durability="relaxed")
        seal = prunes.seal_of(cut.folding)
        await log.run_in_writer(lambda it: prunes.sealing.write(it, seal))
        await log.run_in_writer(prunes.stored.prepare)
        for _ in range(batches):
            assert await log.run_in_writer(prunes._drop_some)
        await log.close()

    asyncio.run(half())
    assert events_of(log_of(cli))[0].pos == 1 + 150 * batches
    assert is_sound(cli)
    assert shown_at(log_of(cli), [cut.pos, 600]) == shown
    cli.fails(2, "at", f"#{cut.pos - 10}")
    file = cli.data_dir.with_name("x.ndjson")
    assert cli("events", "export", "-o", str(file)).code == 0
    assert json.loads(file.read_text().splitlines()[0])["first"] == cut.pos + 1

    async def finish() -> None:
        log = SqliteLog(log_of(cli), durability="relaxed")
        await prunes.finish(log)
        await prunes.finish(log)
        await log.close()

    asyncio.run(finish())
    assert events_of(log_of(cli))[0].pos == cut.pos + 1
    assert is_sound(cli)


def test_a_prune_that_cannot_be_recorded_takes_nothing(cli: Cli) -> None:
    """The event comes first."""
    cut = cut_of(cli, 400)
    rows = events_of(log_of(cli))

    async def attempt() -> bool:
        log = SqliteLog(log_of(cli), durability="relaxed")

        async def note(stream: str, type_: str, payload: dict[str, Any]) -> tuple[()]:
            return ()

        done = await prunes.prune(log, note, cut, why="age")
        await log.close()
        return done

    assert asyncio.run(attempt()) is False
    assert events_of(log_of(cli)) == rows
