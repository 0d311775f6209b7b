"""What only a log in a file must promise: append-only, one writer, found damage, clear refusals."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from log_rigs import SqliteRig, event

from events.codec import NewerLog
from events.envelope import Recorded
from plexbridge.log import driver
from plexbridge.log.driver import Connection
from plexbridge.log.errors import CannotOpen, LogLocked, StorageFailed
from plexbridge.log.memory import Outcome
from plexbridge.log.port import LogUnavailable
from plexbridge.log.reader import SqliteReader
from plexbridge.log.schema import SCHEMA_VERSION
from plexbridge.log.sqlite import SqliteLog
from plexbridge.log.verify import Finding, verify_chain

COLUMNS = ", ".join(Recorded._fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plexbridge.db"


async def fill(path: Path, events: int = 6) -> None:
    """A closed log of two streams taking turns."""
    log = SqliteLog(path, durability="relaxed")
    await log.append([event(f"session-{n % 2}", 1 + n // 2) for n in range(events)])
    await log.close()


@pytest.fixture
async def file(path: Path) -> Path:
    """The file of a closed log of six events."""
    await fill(path)
    return path


@pytest.fixture
def intruder(file: Path) -> Iterator[Connection]:
    """Another program's connection to it, with SQLite's own defaults."""
    with closing(driver.open_writer(file)) as connection:
        connection.execute("PRAGMA recursive_triggers=OFF")
        yield connection


def check(path: Path) -> list[Finding]:
    with closing(SqliteReader(path)) as reader:
        return list(verify_chain(reader))


VALUES = "'session-0', {ver}, 't', 1, null, null, null, 1, {id}, null, null, 'a', 'n', 0, x'7b7d'"
INSERT = "INSERT {how} INTO events({columns}) VALUES ({pos}, " + VALUES + ", zeroblob(32))"
FRESH_ID = "zeroblob(16)"
FIRST_ID = "(SELECT id FROM events WHERE pos = 1)"


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE events SET data = x'00' WHERE pos = 3", "append-only"),
        ("UPDATE events SET pos = 99 WHERE pos = 6", "append-only"),
        ("DELETE FROM events WHERE pos = 6", "append-only"),
        ("DELETE FROM events", "append-only"),
        (INSERT.format(how="", columns=COLUMNS, pos=8, ver=4, id=FRESH_ID), "position"),
        (INSERT.format(how="", columns=COLUMNS, pos=7, ver=5, id=FRESH_ID), "version"),
        (INSERT.format(how="", columns=COLUMNS, pos=7, ver=4, id=FIRST_ID), "id is taken"),
        (INSERT.format(how="OR REPLACE", columns=COLUMNS, pos=3, ver=4, id=FRESH_ID), "position"),
        (INSERT.format(how="OR REPLACE", columns=COLUMNS, pos=7, ver=3, id=FRESH_ID), "version"),
        (INSERT.format(how="OR REPLACE", columns=COLUMNS, pos=7, ver=4, id=FIRST_ID), "id is"),
    ],
)
def test_the_file_itself_refuses_whatever_is_no_append(
    intruder: Connection, file: Path, statement: str, refusal: str, recursive_triggers: str
) -> None:
    """Updates, deletes, gaps, and INSERT OR REPLACE by position, version or id."""
    intruder.execute(f"PRAGMA recursive_triggers={recursive_triggers}")
    with pytest.raises(StorageFailed, match=refusal):
        intruder.execute(statement)
    assert check(file) == []


@pytest.mark.parametrize("field", Recorded._fields[1:])
def test_a_changed_field_is_found_and_its_position_named(
    intruder: Connection, file: Path, field: str
) -> None:
    """Whoever holds the file can drop the triggers; the chain still tells."""
    intruder.execute("DROP TRIGGER events_no_update")
    [(value,)] = intruder.execute(f"SELECT {field} FROM events WHERE pos = 4")
    other = {int: 9, str: "other", bytes: b"\x01" * 32, type(None): b""}[type(value)]
    intruder.execute(f"UPDATE events SET {field} = ? WHERE pos = 4", (other,))
    first, *others = check(file)
    assert (first.pos, first.rule) == (4, "hash")
    assert {finding.rule for finding in others} <= {"version"}


def test_absent_and_empty_are_told_apart(intruder: Connection, file: Path) -> None:
    """A name moved into its neighbour's field, or NULL made empty, changes the hash."""
    intruder.execute("DROP TRIGGER events_no_update")
    intruder.execute("UPDATE events SET src = '', dst = src || dst WHERE pos = 2")
    intruder.execute("UPDATE events SET cause = x'' WHERE pos = 4")
    intruder.execute("UPDATE events SET actor = 'play' || char(0) || 'er' WHERE pos = 6")
    assert [(finding.pos, finding.rule) for finding in check(file)] == [
        (2, "hash"),
        (4, "hash"),
        (6, "hash"),
    ]


def test_a_missing_event_is_found(intruder: Connection, file: Path) -> None:
    """The gap is named once for the log, and once for the stream it belonged to."""
    intruder.execute("DROP TRIGGER events_no_delete")
    intruder.execute("DELETE FROM events WHERE pos = 3")
    first, second = check(file)
    assert (first.pos, first.rule, first.text) == (4, "position", "events 3 to 3 are missing")
    assert (second.pos, second.rule) == (5, "version")


def test_an_event_that_cannot_be_read_is_named_and_the_rest_is_checked(
    intruder: Connection, file: Path
) -> None:
    """Bytes that are no text stop a page, not the check."""
    intruder.execute("DROP TRIGGER events_no_update")
    intruder.execute("UPDATE events SET actor = CAST(x'ff' AS TEXT) WHERE pos = 3")
    intruder.execute("UPDATE events SET data = x'00' WHERE pos = 6")
    found = [(finding.pos, finding.rule) for finding in check(file)]
    assert found == [(3, "unreadable"), (6, "hash")]


async def test_a_second_writer_is_refused_and_told_who_has_the_log(path: Path) -> None:
    """In the same process or another one, until the first lets go."""
    first = SqliteLog(path)
    with pytest.raises(LogLocked, match=r"another PlexBridge is running on .*plexbridge.db \(pid"):
        SqliteLog(path)
    code = "import sys; from pathlib import Path; from plexbridge.log.sqlite import SqliteLog\n"
    code += "SqliteLog(Path(sys.argv[1]))"
    other = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code, str(path)], capture_output=True, check=False
    )
    assert b"LogLocked: another PlexBridge is running on" in other.stderr
    await first.close()
    await SqliteLog(path).close()


async def test_a_log_opened_again_goes_on_where_it_ended(file: Path) -> None:
    """Position, hash, versions and ids are found in the file."""
    log = SqliteLog(file)
    again = event("session-0", 4)
    stored = await log.append([again])
    assert [(row.pos, row.ver) for row in stored] == [(7, 4)]
    await log.close()
    log = SqliteLog(file)
    assert await log.append([again]) == stored
    await log.close()
    assert check(file) == []


async def test_a_reader_works_beside_the_writer_and_without_it(file: Path) -> None:
    """It sees what is durable, at once; and the same after the writer is gone."""
    log = SqliteLog(file)
    with closing(SqliteReader(file)) as reader:
        assert reader.head().pos == 6
        [row] = await log.append([event("session-9", 1)])
        assert reader.read(6, 10) == [row]
        await log.close()
        assert reader.head().pos == 7
    with closing(SqliteReader(file)) as reader:
        assert reader.read_stream("session-9") == [row]


async def test_reading_from_many_threads_at_once_is_fine(file: Path) -> None:
    """Each read has a connection of its own."""
    with closing(SqliteReader(file)) as reader:
        pages = await asyncio.gather(
            *(asyncio.to_thread(reader.read, n % 6, 10) for n in range(60))
        )
    assert [len(page) for page in pages] == [6 - n % 6 for n in range(60)]


def test_a_reader_cannot_write(file: Path) -> None:
    """Whatever it is asked."""
    with closing(SqliteReader(file)) as reader, pytest.raises(StorageFailed, match="readonly"):
        reader.query(lambda it: it.execute("DELETE FROM projections"))


def test_a_log_of_a_newer_version_is_left_alone(intruder: Connection, file: Path) -> None:
    """Both numbers are said; neither writer nor reader touches it."""
    intruder.execute(f"PRAGMA user_version={SCHEMA_VERSION + 6}")
    said = rf"newer version of PlexBridge.* has version {SCHEMA_VERSION + 6}, .*{SCHEMA_VERSION};"
    with pytest.raises(NewerLog, match=said):
        SqliteLog(file)
    with pytest.raises(NewerLog, match=said):
        SqliteReader(file)
    intruder.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    assert check(file) == []


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One line, for writing and for reading."""
    missing = tmp_path / "missing" / "plexbridge.db"
    with pytest.raises(CannotOpen, match="missing cannot be written"):
        SqliteLog(missing)
    with pytest.raises(CannotOpen, match="there is no such file"):
        SqliteReader(missing)
    assert not missing.parent.exists()


def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path) -> None:
    """Neither text nor another program's database is turned into a log."""
    text = tmp_path / "text.db"
    text.write_bytes(b"#EXTM3U\n" * 1_000)
    other = tmp_path / "other.db"
    with closing(driver.open_writer(other)) as connection:
        connection.execute("CREATE TABLE recipes(name)")
    for found, why in ((text, "not a SQLite database"), (other, "not a PlexBridge event log")):
        with pytest.raises(CannotOpen, match=why):
            SqliteLog(found)
        with pytest.raises(CannotOpen, match=why):
            SqliteReader(found)
    assert text.read_bytes() == b"#EXTM3U\n" * 1_000


async def test_work_in_the_writer_is_done_after_the_appends_before_it(path: Path) -> None:
    """In one transaction of its own: what raises leaves nothing and harms no append."""
    log = SqliteLog(path)

    def count(connection: Connection) -> int:
        connection.execute("CREATE TABLE IF NOT EXISTS notes(text)")
        connection.execute("INSERT INTO notes VALUES ('kept')")
        return int(connection.execute("SELECT count(*) FROM events")[0][0])

    def fail(connection: Connection) -> None:
        connection.execute("INSERT INTO notes VALUES ('dropped')")
        raise ValueError("a projection broke")

    log.append([event("session-a", 1)])
    counted = log.run_in_writer(count)
    log.append([event("session-a", 2)])
    failed = log.run_in_writer(fail)
    last = log.append([event("session-a", 3)])
    assert await counted == 1
    with pytest.raises(ValueError, match="a projection broke"):
        await failed
    assert [row.pos for row in await last] == [3]
    assert log.reader.query(lambda it: it.execute("SELECT text FROM notes")) == [("kept",)]
    await log.close()


async def test_a_log_that_still_cannot_store_stays_unavailable(path: Path) -> None:
    """Resuming too early changes nothing; work fails as appends do; later it goes on."""
    rig = SqliteRig(path)
    log = rig.open()
    await log.append([event("session-a", 1)])
    rig.faults.next, rig.faults.still_broken = Outcome.LOST, True
    with pytest.raises(LogUnavailable, match=r"disk is full \(SQLITE_FULL\)"):
        await log.append([event("session-a", 2)])
    log.resume()
    with pytest.raises(LogUnavailable, match=r"disk I/O error \(SQLITE_IOERR\)"):
        await log.append([event("session-a", 2)])
    with pytest.raises(LogUnavailable):
        await log.run_in_writer(lambda it: None)
    rig.faults.still_broken = False
    log.resume()
    assert [row.pos for row in await log.append([event("session-a", 2)])] == [2]
    await log.close()
    assert check(path) == []


async def test_the_write_ahead_log_is_copied_into_the_database_by_itself(path: Path) -> None:
    """On a timer of the loop after the first change, so that a start has little to recover."""
    log = SqliteLog(path, durability="relaxed", checkpoint_after_s=0.01)

    def size() -> int:
        return path.stat().st_size

    def wait_until_larger_than(before: int) -> None:
        deadline = time.monotonic() + 10
        while size() <= before:
            assert time.monotonic() < deadline, "nothing was copied within 10 s"
            time.sleep(0.005)

    before = size()
    await log.append([event("session-a", ver) for ver in range(1, 400)])
    await asyncio.to_thread(wait_until_larger_than, before)
    await log.close()


def test_an_old_sqlite_is_warned_of_with_its_number() -> None:
    """Below 3.51.3 a second writer or checkpointer can damage the file."""
    assert driver.version_warning((3, 51, 3)) is None
    warning = driver.version_warning((3, 40, 1))
    assert warning is not None
    assert "SQLite 3.40.1" in warning
    assert "3.51.3" in warning
