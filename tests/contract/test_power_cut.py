"""A power cut loses nothing that was acknowledged, whatever the disk had not yet written.

The append path runs under another SQLite driver on a recorded disk; then the power is cut at random
moments, and each image is opened as the next start would open it.
"""

from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import pytest
from log_rigs import event
from power_cut import ApswConnection, Delete, Disk, RecordingVfs, Sync, Truncate, Write, image

from plexbridge.log import driver, schema
from plexbridge.log.batch import Append
from plexbridge.log.reader import SqliteReader
from plexbridge.log.verify import verify_chain
from plexbridge.log.writer import Writer

NAME = "plexbridge.db"
COMMITS = 120
IMAGES, IMAGES_LONG = 50, 1_000


@dataclass(slots=True)
class Recording:
    """A log's life on a recorded disk."""

    disk: Disk = field(default_factory=Disk)
    acknowledged: list[tuple[int, bytes]] = field(default_factory=list)
    """Operations done when an event's commit had returned, and its id."""

    def ids_before(self, moment: int) -> set[bytes]:
        """What had been acknowledged after so many operations."""
        return {id_ for done, id_ in self.acknowledged if done <= moment}


def opened(vfs: RecordingVfs, synchronous: str) -> ApswConnection:
    """As `driver.open_writer`, but that nobody else has the file: shared memory is not recorded."""
    connection = apsw.Connection(f"/{NAME}", vfs=vfs.name)
    for pragma in (
        "locking_mode=EXCLUSIVE",
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        "recursive_triggers=ON",
        "temp_store=MEMORY",
        f"journal_size_limit={driver.WAL_LIMIT_BYTES}",
        "wal_autocheckpoint=0",
    ):
        list(connection.execute(f"PRAGMA {pragma}"))
    return ApswConnection(connection)


@cache
def new_file() -> bytes:
    """A log without events, as a first start leaves it."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / NAME
        schema.prepare(path)
        return path.read_bytes()


@cache
def recording(synchronous: str) -> Recording:
    """Commits of one and several appends, checkpoints, and files opened anew."""
    random, made = Random(20), Recording()
    made.disk.put(NAME, new_file())
    vfs = RecordingVfs(made.disk)
    writer = Writer(Path("/") / NAME, lambda: opened(vfs, synchronous))
    versions: dict[str, int] = {}
    for _ in range(COMMITS):
        batch = []
        for _ in range(random.randint(1, 5)):
            events = []
            for _ in range(random.randint(1, 4)):
                stream = f"session-{random.randint(0, 9)}"
                versions[stream] = versions.get(stream, 0) + 1
                events.append(event(stream, versions[stream]))
            nobody: Any = None
            batch.append(Append.of(nobody, events))
        writer.store(batch)
        done = len(made.disk.operations)
        made.acknowledged += [(done, one.id) for append in batch for one in append.events]
        chance = random.random()
        if chance < 0.1:
            writer.checkpoint(idle=False)
        elif chance < 0.14:
            assert writer.recover() == ()
    return made


def stored_in(files: dict[str, bytearray], directory: Path) -> set[bytes]:
    """Ids of the events an image holds, opened as a start opens it; the log must be whole."""
    directory.mkdir()
    for name, body in files.items():
        (directory / name).write_bytes(body)
    path = directory / NAME
    with closing(driver.open_writer(path)) as connection:
        assert connection.execute("PRAGMA quick_check") == [("ok",)]
        with closing(SqliteReader(path)) as reader:
            assert list(verify_chain(reader)) == []
            rows = reader.read(0, -1)
    assert [row.pos for row in rows] == list(range(1, len(rows) + 1))
    return {row.id for row in rows}


def lost(synchronous: str, images: int, directory: Path) -> int:
    """Images in which something acknowledged is missing."""
    made, random = recording(synchronous), Random(images)
    missing = 0
    for number in range(images):
        moment = random.randrange(len(made.disk.operations) + 1)
        stored = stored_in(image(made.disk, moment, random), directory / str(number))
        missing += not made.ids_before(moment) <= stored
    return missing


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Fifty images of the disk: every acknowledged event is there, and the chain is whole."""
    assert lost("FULL", IMAGES, tmp_path) == 0


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_thousand_power_cuts_lose_nothing(tmp_path: Path) -> None:
    """The same, a thousand times."""
    assert lost("FULL", IMAGES_LONG, tmp_path) == 0


def test_a_log_that_does_not_wait_for_the_disk_loses_something(tmp_path: Path) -> None:
    """`relaxed` promises no more, and the images do show a loss: the tests above can fail."""
    assert lost("NORMAL", IMAGES, tmp_path) > 0


def test_the_recorded_connection_is_set_up_as_the_real_one(tmp_path: Path) -> None:
    """What decides about durability is the same in both."""
    made = Disk()
    made.put(NAME, new_file())
    recorded = opened(RecordingVfs(made), "FULL")
    (tmp_path / NAME).write_bytes(new_file())
    with closing(driver.open_writer(tmp_path / NAME)) as real:
        for pragma in ("journal_mode", "synchronous", "wal_autocheckpoint", "page_size"):
            assert recorded.execute(f"PRAGMA {pragma}") == real.execute(f"PRAGMA {pragma}")
    recorded.close()


def test_an_image_holds_all_that_was_synced_and_part_of_the_rest() -> None:
    """Whole and torn, in any number; and files that were deleted without a sync may be back."""
    disk = Disk()
    disk.put("a", b"")
    disk.put("b", b"kept?")
    disk.did(Write("a", 0, b"1" * 1_024))
    disk.did(Sync("a"))
    disk.did(Write("a", 1_024, b"2" * 2_048))
    disk.did(Truncate("a", 512))
    disk.did(Delete("b"))
    images = [image(disk, len(disk.operations), Random(seed)) for seed in range(60)]
    assert all(bytes(one["a"][:512]) == b"1" * 512 for one in images)
    assert {len(one["a"]) for one in images} >= {512, 1_024, 3_072}
    assert {"b" in one for one in images} == {True, False}
    assert any(len(set(one["a"][1_024:])) > 1 for one in images), "torn"
    assert image(disk, 0, Random(1)) == {"a": b"", "b": b"kept?"}
