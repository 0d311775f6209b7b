"""`backup`: a data directory in one file, taken beside a running bridge; checked; made again."""

import asyncio
import json
import os
import sqlite3
import stat
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from plexbridge.backup.manifest import MEMBER
from plexbridge.backup.reading import MAKING, restore, verify
from plexbridge.backup.writing import create
from plexbridge.cli import run
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sqlite import SqliteLog
from tests.end_to_end.running import RunningBridge, until
from tests.service.command_line import Cli, Ran, happened, on_a_sound_log
from tests.service.test_cli_audit_beside import watching
from tests.service.written_logs import events_of, house, write

KEPT = {
    "settings.toml": "TUNER_COUNT = 3\n",
    "secrets.toml": "[installation]\n",
    "keys.json": "{}",
    "sources/0.playlist": "http://someone:secret@provider.example/list",
    "a-later-version/of-it.txt": "kept without being named",
}
LEFT_OUT = {
    "local.key": "of this run",
    "local.port": "3000",
    "plexbridge.db.writer": "1",
    "lineup.db-wal": "",
    "logos/one.png": "fetched again",
    "guides/one.db": "fetched again",
    "plexbridge-backup-20260101-000000.zip": "an older one",
    "backups/older.zip": "a backup of backups",
    "keys.json.new": "half written",
}


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    made = on_a_sound_log(tmp_path / "data", capsys, monkeypatch)
    for name, text in (KEPT | LEFT_OUT).items():
        path = made.data_dir / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return made


@pytest.fixture
def backup(cli: Cli, tmp_path: Path) -> Path:
    """A backup of that directory."""
    path = tmp_path / "backup.zip"
    assert cli("backup", "create", "-o", str(path)).code == 0
    return path


def command(capsys: pytest.CaptureFixture[str], *words: str) -> Ran:
    """A command that takes no data directory."""
    code = run(words)
    told = capsys.readouterr()
    return Ran(code, told.out, told.err)


def names(path: Path) -> set[str]:
    """The files in a directory, relative."""
    return {one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()}


# Creating ----------------------------------------------------------------------------------------


def test_it_holds_what_is_needed_and_nothing_else(cli: Cli, backup: Path) -> None:
    """Logins and keys too; not what is fetched again, or made at a start."""
    with zipfile.ZipFile(backup) as packed:
        assert set(packed.namelist()) == {*KEPT, LOG_FILE, MEMBER}
    more = backup.with_name("more.zip")
    told = cli("backup", "create", "-o", str(more), "--guides", "--json").json()
    assert {one["name"] for one in told["files"]} == {*KEPT, LOG_FILE, "guides/one.db"}


def test_a_log_that_was_put_aside_is_kept_as_well(cli: Cli, tmp_path: Path) -> None:
    """Under its own name, and not in the place of the other."""
    aside = cli.data_dir / "old" / LOG_FILE
    aside.parent.mkdir()
    with closing(sqlite3.connect(aside)) as file, file:
        file.execute("CREATE TABLE other(x)")
    path = tmp_path / "both.zip"
    assert cli("backup", "create", "-o", str(path)).code == 0
    restore(path, tmp_path / "new")
    assert events_of(tmp_path / "new" / LOG_FILE) == events_of(cli.data_dir / LOG_FILE)
    with closing(sqlite3.connect(tmp_path / "new" / "old" / LOG_FILE)) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == [("other",)]


def test_it_is_its_owners_and_says_that_it_holds_logins(cli: Cli, tmp_path: Path) -> None:
    """Whatever the umask, and said where no pipe swallows it."""
    before = os.umask(0)
    try:
        ran = cli("backup", "create", "-o", str(tmp_path / "open.zip"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "open.zip").stat().st_mode) == 0o600
    assert "holds logins and keys" in ran.err
    assert [one.name for one in tmp_path.iterdir() if "plexbridge-backup" in one.name] == []


def test_it_is_never_written_over_anything(cli: Cli, backup: Path) -> None:
    """Exit code 3; nor where it cannot be written."""
    before = backup.read_bytes()
    assert "already" in cli.fails(3, "backup", "create", "-o", str(backup))
    assert backup.read_bytes() == before
    assert "nowhere" in cli.fails(3, "backup", "create", "-o", "/nowhere/backup.zip")


def test_it_may_lie_in_the_directory_itself(cli: Cli) -> None:
    """It does not hold itself."""
    path = cli.data_dir / "here.zip"
    assert cli("backup", "create", "-o", str(path)).code == 0
    with zipfile.ZipFile(path) as packed:
        assert "here.zip" not in packed.namelist()


def test_without_a_log_there_is_nothing_to_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3; nothing is left behind."""
    empty = Cli(tmp_path / "empty", capsys)
    path = tmp_path / "none.zip"
    assert LOG_FILE in empty.fails(3, "backup", "create", "-o", str(path))
    assert list(tmp_path.iterdir()) == []


async def test_a_log_is_kept_as_it_is_at_one_instant(tmp_path: Path) -> None:
    """While somebody appends without a pause: whole decisions, a chain that holds."""
    data = tmp_path / "data"
    data.mkdir()
    log = SqliteLog(data / LOG_FILE, durability="relaxed")
    appends = iter(house(8).appends)
    for events in [next(appends) for _ in range(20)]:
        await log.append(events)
    taken: list[int] = []
    for number in range(5):
        path = tmp_path / f"{number}.zip"
        making = asyncio.ensure_future(
            asyncio.to_thread(create, data, path, guides=False, at_ms=number)
        )
        while not making.done():
            events = next(appends, ())
            if events:
                await log.append(events)
            await asyncio.sleep(0)
        taken.append((await making).manifest.last)
        assert (await asyncio.to_thread(verify, path)).manifest.last == taken[-1]
    assert taken == sorted(taken)
    assert taken[0] >= 20
    await log.close()


# Verifying ---------------------------------------------------------------------------------------


def test_what_was_written_is_found_whole(
    cli: Cli, backup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the log's head, and the digest that `create` said."""
    told = cli("backup", "create", "-o", str(backup.with_name("other.zip")), "--json").json()
    found = command(capsys, "backup", "verify", str(backup.with_name("other.zip")), "--json").json()
    assert found == told | {"file": found["file"]}
    head = events_of(cli.data_dir / LOG_FILE)[-1]
    assert found["log"] == {"first": 1, "last": head.pos, "hash": head.hash.hex()}
    words = ("backup", "verify", str(backup), "--digest")
    assert command(capsys, *words, told["digest"]).code == 4, "another one, made at another time"


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8, 0.97])
def test_a_byte_that_changed_is_noticed(
    backup: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    """By the zip's own sums, or by ours: never exit code 0."""
    whole = backup.read_bytes()
    place = int(len(whole) * share)
    backup.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
    assert command(capsys, "backup", "verify", str(backup)).code == 4


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_one_that_is_cut_off_is_noticed(
    backup: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    """As a disk that ran full leaves it."""
    whole = backup.read_bytes()
    backup.write_bytes(whole[: int(len(whole) * share)])
    assert command(capsys, "backup", "verify", str(backup)).code == 4


def rewritten(backup: Path, change: Any) -> Path:
    """The same with other members: `change` is given them by name, the manifest as a document."""
    with zipfile.ZipFile(backup) as packed:
        members: dict[str, Any] = {name: packed.read(name) for name in packed.namelist()}
    members[MEMBER] = json.loads(members[MEMBER])
    change(members)
    members[MEMBER] = json.dumps(members[MEMBER]).encode()
    path = backup.with_name("rewritten.zip")
    with zipfile.ZipFile(path, "w") as packed:
        for name, body in members.items():
            packed.writestr(name, body)
    return path


def outside(members: dict[str, Any]) -> None:
    members["../outside"] = b"x"
    members[MEMBER]["files"].append({"name": "../outside", "bytes": 1, "sha256": "0"})


def absolute(members: dict[str, Any]) -> None:
    members["/tmp/outside"] = b"x"
    members[MEMBER]["files"].append({"name": "/tmp/outside", "bytes": 1, "sha256": "0"})


def unlisted(members: dict[str, Any]) -> None:
    members["smuggled"] = b"x"


def missing(members: dict[str, Any]) -> None:
    del members["keys.json"]


def without_log(members: dict[str, Any]) -> None:
    del members[LOG_FILE]
    files = members[MEMBER]["files"]
    members[MEMBER]["files"] = [one for one in files if one["name"] != LOG_FILE]


def longer(members: dict[str, Any]) -> None:
    members["keys.json"] += b" " * 5_000_000


def less_than_nothing(members: dict[str, Any]) -> None:
    members[MEMBER]["files"][0]["bytes"] = -5


def other_contents(members: dict[str, Any]) -> None:
    members["keys.json"] = b"[]"


def other_head(members: dict[str, Any]) -> None:
    members[MEMBER]["log"]["last"] = 99


def later(members: dict[str, Any]) -> None:
    members[MEMBER]["schema"] = 2


def something_else(members: dict[str, Any]) -> None:
    members[MEMBER] = {"plexbridge": "incident", "schema": 1}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (outside, 3),
        (absolute, 3),
        (unlisted, 4),
        (missing, 4),
        (without_log, 4),
        (longer, 4),
        (less_than_nothing, 3),
        (other_contents, 4),
        (other_head, 4),
        (later, 3),
        (something_else, 3),
    ],
)
def test_one_that_was_made_up_is_refused_and_nothing_is_written(
    backup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, code: int
) -> None:
    """Neither inside the directory nor outside it; one line says why."""
    path = rewritten(backup, change)
    before = names(tmp_path)
    ran = command(capsys, "backup", "verify", str(path))
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (code, "", 1), ran
    target = tmp_path / "new"
    ran = command(capsys, "backup", "restore", str(path), "--data-dir", str(target))
    assert (ran.code, ran.out) == (code, "")
    assert not target.exists()
    assert names(tmp_path) == before


def test_a_log_that_was_altered_before_it_was_kept_is_noticed(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its digests fit, its chain does not: the position is named."""
    cli.tamper("UPDATE events SET at = at + 1 WHERE pos = 4")
    path = tmp_path / "altered.zip"
    assert cli("backup", "create", "-o", str(path)).code == 0
    ran = command(capsys, "backup", "verify", str(path))
    assert ran.code == 4
    assert "position 4" in ran.err
    target = tmp_path / "new"
    assert command(capsys, "backup", "restore", str(path), "--data-dir", str(target)).code == 4
    assert not target.exists()


def test_what_is_no_backup_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No such file: 3."""
    assert command(capsys, "backup", "verify", str(tmp_path / "none.zip")).code == 3


# Restoring ---------------------------------------------------------------------------------------


def test_a_directory_is_made_as_it_was(cli: Cli, backup: Path, tmp_path: Path) -> None:
    """The same events, the same files; for its owner alone."""
    target = tmp_path / "new"
    checked = restore(backup, target)
    assert names(target) == {*KEPT, LOG_FILE}
    assert {name: (target / name).read_text() for name in KEPT} == KEPT
    assert events_of(target / LOG_FILE) == events_of(cli.data_dir / LOG_FILE)
    assert checked.manifest.last == len(happened())
    assert {stat.S_IMODE((target / name).stat().st_mode) for name in KEPT} == {0o600}
    assert stat.S_IMODE(target.stat().st_mode) == 0o700


def test_an_empty_directory_is_filled(backup: Path, tmp_path: Path) -> None:
    """As a volume of a container is: it stays the one it was."""
    target = tmp_path / "new"
    target.mkdir(mode=0o755)
    before = target.stat().st_ino
    restore(backup, target)
    assert target.stat().st_ino == before
    assert not (target / MAKING).exists()


def test_nothing_is_restored_over_anything(cli: Cli, backup: Path) -> None:
    """Exit code 2, and what was there is as it was; into the place of a file neither."""
    before = {name: (cli.data_dir / name).read_bytes() for name in names(cli.data_dir)}
    assert "not empty" in cli.fails(2, "backup", "restore", str(backup))
    assert {name: (cli.data_dir / name).read_bytes() for name in names(cli.data_dir)} == before
    file = Cli(cli.data_dir / "settings.toml", cli._capsys)
    assert file("backup", "restore", str(backup)).code == 3


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningBridge]:
    with RunningBridge(tmp_path / "data", "--demo") as bridge:
        yield bridge


def test_a_bridge_goes_on_elsewhere(running: RunningBridge, tmp_path: Path) -> None:
    """Kept while somebody watched: the same device, the same channels, the same past."""
    first = running.get("/api/channels")[0]
    with watching(running, first["guide_number"]):
        [session] = until("somebody watches", lambda: running.sessions("active"))
        made = running.command("backup", "create", "-o", str(tmp_path / "b.zip"), "--json")
        assert made.returncode == 0, made.stderr
    device = running.get("/discover.json")["DeviceID"]
    assert running.command("backup", "verify", str(tmp_path / "b.zip")).returncode == 0
    restored = tmp_path / "elsewhere"
    restore(tmp_path / "b.zip", restored)
    with closing(SqliteReader(restored / LOG_FILE)) as reader:
        assert reader.head().hash.hex() == json.loads(made.stdout)["log"]["hash"]
    with RunningBridge(restored, "--demo") as other:
        assert other.get("/discover.json")["DeviceID"] == device
        assert other.get("/api/channels")[0]["id"] == first["id"]
        ended = other.get(f"/api/sessions/{session['id']}")
        assert (ended["state"], ended["detail"]) == ("ended", "bridge_restarted")
        audited = other.command("audit", "--live")
        assert audited.returncode == 0, audited.stdout


def test_a_pruned_log_is_kept_with_what_was_sealed(cli: Cli, tmp_path: Path) -> None:
    """Its first position is later than 1; the chain begins there."""
    data = tmp_path / "pruned"
    write(data, house(8).appends)
    pruned = Cli(data, cli._capsys)
    assert pruned("events", "prune", "--before", "#300").code == 0
    told = pruned("backup", "create", "-o", str(tmp_path / "p.zip"), "--json").json()
    assert told["log"]["first"] > 1
    restore(tmp_path / "p.zip", tmp_path / "again")
    assert events_of(tmp_path / "again" / LOG_FILE) == events_of(data / LOG_FILE)
