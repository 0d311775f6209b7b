"""`audit` beside a running bridge: what is open is compared with the log, or it is said why not."""

import asyncio
import http.client
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from events.ids import Position
from plexbridge.commands.beside import PATH, Beside
from plexbridge.commands.positions import decided_at
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.lock import Writer, WriterLock, writer_of
from plexbridge.log.reader import SqliteReader
from tests.end_to_end.running import RunningBridge, until
from tests.service.command_line import OPEN, Cli, on_a_sound_log
from tests.service.test_cli_beside import answering, free_port


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return on_a_sound_log(tmp_path / "data", capsys, monkeypatch)


@pytest.fixture
async def running(cli: Cli) -> AsyncIterator[Cli]:
    """The directory is taken, as by a bridge; who answers is up to the test."""
    lock = await asyncio.to_thread(WriterLock, cli.data_dir / LOG_FILE)
    yield cli
    lock.release()


def held(cli: Cli) -> dict[str, Any]:
    """What a bridge in the log's state tells."""
    with closing(SqliteReader(cli.data_dir / LOG_FILE)) as reader:
        head = reader.head()
        world = decided_at(reader, Position(head.pos))
    leases = [
        {"channel": one.channel, "lease": one.ver, "tuner": one.tuner, "source": one.source}
        for one in world.leases.values()
    ]
    return {
        "position": head.pos,
        "hash": head.hash.hex(),
        "sessions": [{"id": one.id, "state": one.state} for one in world.sessions.values()],
        "connections": [
            {"session": one.id, "number": one.connection} for one in world.sessions.values()
        ],
        "leases": leases,
        "relays": leases,
        "children": 0,
        "transcodes": 0,
    }


# Whether one runs ---------------------------------------------------------------------------------


def test_a_stopped_bridge_holds_nothing_open_and_that_is_said(cli: Cli) -> None:
    """Fine, unless it was asked for."""
    ran = cli("audit")
    assert ran.code == 0
    assert "- sockets: not compared, no bridge runs here, so nothing is open" in ran.out
    assert "no bridge runs" in cli.fails(3, "audit", "--live")
    told = cli("audit", "--json").json()
    assert "no bridge runs" in told["not_beside"]
    assert "sockets" not in {one["name"] for one in told["checks"]}


def test_the_writer_of_a_log_is_told_from_what_a_crash_left(cli: Cli) -> None:
    """By the lock, which a dead process does not hold."""
    path = cli.data_dir / LOG_FILE
    assert writer_of(path.with_name("other.db")) is None
    assert writer_of(path) is None
    lock = WriterLock(path)
    assert writer_of(path) == Writer(os.getpid())
    lock.release()
    assert writer_of(path) is None
    path.with_name(f"{LOG_FILE}.writer").write_text("12345")
    assert writer_of(path) is None
    WriterLock(path).release()


def test_where_nobody_can_see_whether_one_runs_it_was_not_checked(cli: Cli) -> None:
    """The rest is audited all the same: exit code 3."""
    path = cli.data_dir / f"{LOG_FILE}.writer"
    path.unlink()
    path.symlink_to(path)  # as unreadable as a stranger's file, for root too
    ran = cli("audit")
    assert ran.code == 3
    assert "? sockets: whether a bridge runs cannot be seen" in ran.out
    assert "✓ positions and versions without a gap" in ran.out


async def test_a_bridge_that_does_not_answer_was_not_checked(running: Cli) -> None:
    """Never fine: exit code 3; with --no-live nobody is asked."""
    ran = await asyncio.to_thread(running, "audit", "--port", str(free_port()))
    assert ran.code == 3
    assert "? sockets: no PlexBridge answers" in ran.out
    assert (await asyncio.to_thread(running, "audit", "--no-live")).code == 0


@pytest.mark.parametrize(
    ("status", "document", "server", "words"),
    [
        (200, {}, "nginx", "something else has its port"),
        (503, {"detail": "the log cannot store"}, "PlexBridge/1", "503: the log cannot store"),
        (401, {}, "PlexBridge/1", "401"),
        (200, {"position": 4}, "PlexBridge/1", "the answer lacks something"),
        (200, {"hash": "00" * 32}, "PlexBridge/1", "keeps another log"),
        (200, {"position": 99}, "PlexBridge/1", "keeps another log"),
    ],
)
async def test_an_answer_that_says_nothing_was_not_checked(
    running: Cli, status: int, document: dict[str, Any], server: str, words: str
) -> None:
    """Exit code 3, and why."""
    more = {} if document == {"position": 4} else held(running)
    async with answering(lambda *_: (status, {**more, **document}), server=server) as port:
        ran = await asyncio.to_thread(running, "audit", "--port", str(port))
    assert ran.code == 3
    assert words in ran.out


# What it holds ------------------------------------------------------------------------------------


async def test_a_lasting_difference_is_found(running: Cli) -> None:
    """Asked twice; exit code 1."""
    asked = []

    def reply(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked.append(path)
        return 200, {**held(running), "connections": []}

    async with answering(reply) as port:
        ran = await asyncio.to_thread(running, "audit", "--port", str(port))
    assert ran.code == 1
    assert f"session {OPEN} on channel 7 is active, and no connection carries it" in ran.out
    assert asked == [PATH, PATH]


async def test_what_is_on_its_way_is_no_finding(running: Cli) -> None:
    """The second look does not see it any more; between them it waits once."""
    documents = [{**held(running), "relays": []}, held(running)]
    waited: list[float] = []
    async with answering(lambda *_: (200, documents.pop(0))) as port:
        with closing(SqliteReader(running.data_dir / LOG_FILE)) as reader:
            beside = Beside(running.data_dir, port, reader, waited.append)
            assert await asyncio.to_thread(lambda: list(beside.findings())) == []
    assert waited == [1.0]
    assert beside.examined == 4


# A real one ---------------------------------------------------------------------------------------


@contextmanager
def watching(bridge: RunningBridge, number: str) -> Iterator[None]:
    """A player on a channel, with some of its bytes taken."""
    connection = http.client.HTTPConnection(bridge.base.removeprefix("http://"), timeout=15)
    with closing(connection):
        connection.request("GET", f"/auto/v{number}", headers={"User-Agent": "VLC/3"})
        response = connection.getresponse()
        assert response.status == 200
        assert response.read(188)
        yield


def test_a_running_bridge_is_what_its_log_says(tmp_path: Path) -> None:
    """Found through the directory alone, though its port is any; with sessions and without."""
    with RunningBridge(tmp_path / "data", "--demo", SESSION_KEEP_ALIVE="false") as bridge:

        def audited() -> dict[str, Any]:
            ran = bridge.command("audit", "--live", "--json")
            assert ran.returncode == 0, ran.stdout + ran.stderr
            document: dict[str, Any] = json.loads(ran.stdout)
            assert document["not_beside"] is None
            checks = {one["name"]: one for one in document["checks"]}
            sockets: dict[str, Any] = checks["sockets"]
            return sockets

        assert audited()["examined"] == 0
        first, second = (one["guide_number"] for one in bridge.get("/api/channels")[:2])
        with watching(bridge, first), watching(bridge, second):
            until("both are active", lambda: len(bridge.sessions("active")) == 2)
            assert audited()["examined"] == 8  # four things of each
            document = bridge.get(PATH)
            assert len(document["connections"]) == len(document["relays"]) == 2
            assert document["position"] <= bridge.get("/api/log/head")["position"]
        until("nobody watches", lambda: not bridge.sessions())
        assert audited()["found"] == 0
