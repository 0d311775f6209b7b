"""API keys: made, listed and revoked on the command line, seen by the running bridge."""

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from plexbridge.clock import ManualClock
from plexbridge.web.access.keys import (
    KEYS_FILE,
    LOOK_EVERY_S,
    ApiKey,
    KeyRing,
    Keys,
    KeysUnusable,
    change_keys,
    read_keys,
)
from plexbridge.web.access.roles import Means, Role
from plexbridge.web.access.tokens import digest_of
from tests.end_to_end.running import RunningBridge, until
from tests.service.access_rig import HOME, PASSWORD, ask, house
from tests.service.command_line import Cli, on_a_sound_log


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Commands on a data directory that has a log."""
    return on_a_sound_log(tmp_path / "data", capsys, monkeypatch)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[RunningBridge]:
    """A bridge with a password, in a process of its own."""
    environment = {"PLEXBRIDGE_ADMIN_PASSWORD": PASSWORD}
    with RunningBridge(tmp_path / "data", "--demo", **environment) as bridge:
        yield bridge


def opens(bridge: RunningBridge, key: str) -> bool:
    """Whether the API answers who shows the key."""
    asked = Request(f"{bridge.base}/api/log/head", headers={"X-Api-Key": key})
    try:
        with urlopen(asked, timeout=5) as answer:
            return int(answer.status) == 200
    except HTTPError as refused:
        refused.close()
        return False


def test_a_key_is_shown_once_and_kept_as_a_digest(cli: Cli) -> None:
    """In a file that only its owner reads; the list has names and roles."""
    made = cli("key", "create", "--name", "homepage", "--role", "viewer")
    key = made.out.strip()
    assert (made.code, key[:4], len(key)) == (0, "pbk_", 47)
    assert "shown this once" in made.err
    assert "homepage" in made.err
    other = cli("key", "create", "--name", "script", "--role", "admin", "--json").json()
    path = cli.data_dir / KEYS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key not in path.read_text()
    assert other["key"] not in path.read_text()
    listed = cli("key", "ls").out
    assert key not in listed
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [
        ["homepage", "viewer"],
        ["script", "admin"],
    ]
    assert cli("key", "revoke", "homepage").out == "homepage revoked\n"
    assert cli("key", "ls", "--json").json()["name"] == "script"


def test_what_is_wrong_is_said_in_a_line(cli: Cli) -> None:
    """And changes nothing."""
    assert cli("key", "ls").out == "no keys\n"
    cli("key", "create", "--name", "one", "--role", "viewer")
    create = ("key", "create", "--role", "viewer", "--name")
    assert "there is a key 'one' already" in cli.fails(2, *create, "one")
    for name in ("", " x", "x" * 65, "a\nb"):
        assert "--name is 1 to 64 printable characters" in cli.fails(2, *create, name)
    assert "no key is called 'two'" in cli.fails(2, "key", "revoke", "two")
    assert cli("key", "create", "--name", "x", "--role", "owner").code == 2
    assert [key.name for key in read_keys(cli.data_dir)] == ["one"]
    (cli.data_dir / KEYS_FILE).write_text('{"keys": [{"name": "one"}]}')
    for words in (("key", "ls"), ("key", "revoke", "one"), (*create, "two")):
        assert "keys.json is damaged: move it away" in cli.fails(3, *words)


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    """Each command reads, adds and writes alone."""

    def add(number: int) -> None:
        made = ApiKey(str(number), Role.VIEWER, digest_of(str(number)), 0)
        change_keys(tmp_path, lambda kept: (*kept, made))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert {key.name for key in read_keys(tmp_path)} == {str(n) for n in range(40)}


async def test_the_running_bridge_sees_changes_within_a_second(tmp_path: Path) -> None:
    """A key made is good, a key revoked is not; a damaged file opens nothing."""
    clock = ManualClock()
    ring = KeyRing(tmp_path, clock.monotonic)
    key = ApiKey("a", Role.VIEWER, digest_of("a"), 0)

    def keep(keys: Keys) -> None:
        change_keys(tmp_path, lambda kept: keys)

    keep((key,))
    assert await ring.find(key.digest) is None
    clock.advance(LOOK_EVERY_S)
    found = await ring.find(key.digest)
    assert found is not None
    assert (found.role, found.means, found.name) == (Role.VIEWER, Means.KEY, "a")
    keep(())
    clock.advance(LOOK_EVERY_S)
    assert await ring.find(key.digest) is None
    keep((key,))
    clock.advance(LOOK_EVERY_S)
    assert await ring.find(key.digest) is not None
    (tmp_path / KEYS_FILE).write_text("nonsense")
    clock.advance(LOOK_EVERY_S)
    assert await ring.find(key.digest) is None
    with pytest.raises(KeysUnusable):
        KeyRing(tmp_path, clock.monotonic)


async def test_a_valid_key_is_never_held_up(tmp_path: Path) -> None:
    """Whatever the tries of logging in from the same address."""
    change_keys(tmp_path, lambda kept: (ApiKey("a", Role.VIEWER, digest_of("a"), 0),))
    async with house(tmp_path, PLEXBRIDGE_ADMIN_PASSWORD=PASSWORD) as made:
        for _ in range(10):
            body = {"password": "wrong"}
            await ask(made.app, "/login", peer=HOME, method="POST", send=body)
        for _ in range(100):
            answer = await ask(made.app, "/api/log/head", {"x-api-key": "a"}, peer=HOME)
            assert answer.status == 200


def test_commands_of_this_machine_pass_the_door(locked: RunningBridge) -> None:
    """By the key in the data directory; a person gets a link to set a password. Not where the
    password is the environment's."""
    port = ("--port", locked.base.rpartition(":")[2])
    stopped = locked.command("sessions", "stop", "--all", *port)
    assert (stopped.returncode, stopped.stdout) == (0, "no session was open\n")
    link = locked.command("key", "link", *port)
    assert link.returncode == 3
    assert "PLEXBRIDGE_ADMIN_PASSWORD" in link.stderr
    assert stat.S_IMODE((locked.data_dir / "local.key").stat().st_mode) == 0o600


def test_a_key_opens_the_running_bridge_until_it_is_revoked(tmp_path: Path) -> None:
    """Made and revoked beside it; the link that a command prints leads to the page."""
    with RunningBridge(tmp_path / "data", "--demo") as bridge:
        port = ("--port", bridge.base.rpartition(":")[2])
        link = bridge.command("key", "link", *port)
        assert link.returncode == 0, link.stderr
        assert link.stdout.startswith(f"{bridge.base}/setup?code=")
        made = bridge.command("key", "create", "--name", "a", "--role", "admin").stdout.strip()
        until("the key is good", lambda: opens(bridge, made))
        assert bridge.command("key", "revoke", "a").returncode == 0
        until("the key is revoked", lambda: not opens(bridge, made))
        assert bridge.answers("/api/log/head"), "no password: this machine needs no key"
