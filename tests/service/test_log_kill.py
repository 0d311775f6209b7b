"""Killed at any moment, the log keeps what it acknowledged. Run as a program, this file is the
process that gets killed: it appends without end and prints what was acknowledged."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from events.envelope import NewEvent
from events.ids import UnixMicros
from plexbridge.log.driver import open_reader
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sqlite import SqliteLog
from plexbridge.log.verify import verify_chain

KILLS = 6
ASKERS = 24
LINES_BEFORE_KILL = (1, 400)
"""Acknowledgements read before the kill: from the first commit to well into the work."""


def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Killed over and over: acknowledged ids are there, positions dense, versions and chain whole,
    the file sound, and the next start goes on from there."""
    path = tmp_path / "plexbridge.db"
    chance = random.Random(20)
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        acknowledged |= run_and_kill(path, chance.randint(*LINES_BEFORE_KILL))
        with closing(SqliteReader(path)) as reader:
            rows = reader.read(0, 1_000_000)
            assert acknowledged <= {row.id.hex() for row in rows}
            assert [row.pos for row in rows] == list(range(1, len(rows) + 1))
            versions: dict[str, list[int]] = defaultdict(list)
            for row in rows:
                versions[row.stream].append(row.ver)
            assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
            assert list(verify_chain(reader)) == []
        with closing(open_reader(path)) as connection:
            assert connection.execute("PRAGMA quick_check") == [("ok",)]
    assert len(acknowledged) >= KILLS


def run_and_kill(path: Path, lines: int) -> set[str]:
    """Start the appender, kill it after so many acknowledgements; all that it printed."""
    with subprocess.Popen(
        [sys.executable, __file__, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        heard = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        heard += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return {line.strip() for line in heard if line.endswith("\n")}


async def append_for_ever(path: Path) -> None:
    """Several askers, each on streams of its own, some appends of two events."""
    log = SqliteLog(path)

    async def ask(asker: int) -> None:
        streams = (f"session-{asker}", f"channel-{asker}")
        ver = log.reader.version(streams[0])
        while True:
            ver += 1
            ids = [os.urandom(16) for _ in streams]
            await log.append(
                [an_event(stream, ver, id_) for stream, id_ in zip(streams, ids, strict=True)]
            )
            sys.stdout.write("".join(f"{id_.hex()}\n" for id_ in ids))
            sys.stdout.flush()

    await asyncio.gather(*(ask(asker) for asker in range(ASKERS)))


def an_event(stream: str, ver: int, id_: bytes) -> NewEvent:
    """An event of some 300 bytes."""
    return NewEvent(
        stream=stream,
        ver=ver,
        type="activity",
        schema=1,
        src="active",
        dst="active",
        machine="3f6b9c2d41e7",
        at=UnixMicros(1_700_000_000_000_000 + ver),
        id=id_,
        corr=None,
        cause=None,
        actor="bridge",
        node="local",
        fence=0,
        payload={"bytes": ver * 1316, "note": "x" * 100},
    )


if __name__ == "__main__":
    asyncio.run(append_for_ever(Path(sys.argv[1])))
