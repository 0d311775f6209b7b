"""`doctor --bundle`: what a maintainer asks first, in one file, without addresses and logins."""

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from plexbridge.audit.redaction import Redaction
from plexbridge.commands.bundling import EVENTS_MAX, LINES_MAX, LINES_MEMBER
from plexbridge.commands.described import lines_told
from plexbridge.data_dir import LOG_FILE
from tests.service.command_line import Cli, on_a_sound_log
from tests.service.test_cli_exports import is_sound, reading
from tests.service.written_logs import events_of, house, sound_house, write

LOGIN = "http://someone:hush-hush@provider.example/get.php?username=someone&password=hush-hush"


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    on_a_sound_log(tmp_path / "sound", capsys, monkeypatch)
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setenv("TUNER_COUNT", "7")
    monkeypatch.setenv("FRIENDLY_NAME", "The Millers")
    monkeypatch.setenv("PLEXBRIDGE_ADMIN_KEY", "a-key-that-nobody-else-has")
    write(tmp_path / "data", sound_house().appends)
    return Cli(tmp_path / "data", capsys)


@pytest.fixture
def bundle(cli: Cli) -> Path:
    """The file, with some log lines."""
    path, lines = cli.data_dir.with_name("bundle.zip"), cli.data_dir.with_name("lines")
    lines.write_text(f"opening {LOGIN}\nclient=192.168.1.20 at fd12::8 and [::1]:3000 09:15:01\n")
    ran = cli("doctor", "--bundle", str(path), "--log", str(lines))
    assert ran.code == 0, ran
    assert "redacted; " in ran.err
    return path


def members(path: Path) -> dict[str, str]:
    """Everything in it, as text."""
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_it_holds_what_a_maintainer_asks_first(bundle: Path) -> None:
    """What the doctor says, versions, settings with their origin, events, lines."""
    held = members(bundle)
    assert {one["subject"] for one in json.loads(held["doctor.json"])} > {"event log", "SQLite"}
    assert {"plexbridge", "machine", "python"} <= json.loads(held["versions.json"]).keys()
    settings = {one["name"]: one for one in json.loads(held["settings.json"])}
    assert (settings["TUNER_COUNT"]["value"], settings["TUNER_COUNT"]["origin"]) == (
        "7",
        "environment",
    )
    assert settings["SESSION_KEEP_ALIVE"]["origin"] == "default"
    manifest = json.loads(held["manifest.json"])
    assert manifest["plexbridge"] == "doctor"
    assert manifest["log_lines"] == 2
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600


def test_it_names_nobody(cli: Cli, bundle: Path) -> None:
    """No address, identifier, key, login, or name of the house in any part of it."""
    clients = [
        row.payload["client"]
        for row in events_of(cli.data_dir / LOG_FILE)
        if "client" in row.payload
    ]
    secrets = {f'"{one[name]}' for one in clients for name in ("key", "address") if one[name]}
    secrets |= {"Millers", "a-key-that", "hush-hush", "someone", "192.168.1.20", "fd12::8"}
    secrets.add(str(Path.home()))
    for name, text in members(bundle).items():
        assert not [secret for secret in secrets if secret in text], name


def test_every_verb_opens_it(cli: Cli, bundle: Path) -> None:
    """From the file alone."""
    for words in (("events", "tail"), ("sessions", "ls"), ("audit",), ("replay", "--all")):
        ran = reading(bundle, cli)(*words)
        assert ran.code == 0, ran
        assert ran.out
    assert is_sound(reading(bundle, cli))


def test_of_a_long_log_the_newest_events_are_taken(cli: Cli, tmp_path: Path) -> None:
    """And how things stood before them."""
    path = write(tmp_path / "long", house(seed=2, steps=2_500).appends)
    assert events_of(path)[-1].pos > EVENTS_MAX
    bundle = tmp_path / "long.zip"
    assert Cli(tmp_path / "long", cli._capsys)("doctor", "--bundle", str(bundle)).code == 0
    lines = [json.loads(text) for text in members(bundle)["events.ndjson"].splitlines()]
    assert lines[0]["first"] > 1
    assert lines[0]["sealed"] is True
    assert lines[-2]["pos"] == events_of(path)[-1].pos
    assert EVENTS_MAX - 20 <= lines[-1]["events"] <= EVENTS_MAX
    assert is_sound(reading(bundle, cli))


def manifest_of(cli: Cli, path: Path) -> dict[str, Any]:
    """Of a bundle that is written now."""
    cli("doctor", "--bundle", str(path))
    manifest: dict[str, Any] = json.loads(members(path)["manifest.json"])
    return manifest


def test_a_log_that_cannot_be_read_is_no_reason_to_have_no_bundle(cli: Cli, tmp_path: Path) -> None:
    """Why is said in it: altered, not there, no log at all, or empty."""
    cli.tamper("UPDATE events SET at = at + 1 WHERE pos = 4")
    assert "position 4" in manifest_of(cli, tmp_path / "1.zip")["why_no_events"]
    (cli.data_dir / LOG_FILE).write_text("not a database at all, but longer than a header")
    assert LOG_FILE in manifest_of(cli, tmp_path / "2.zip")["why_no_events"]
    empty = Cli(tmp_path / "empty", cli._capsys)
    assert "no such file" in manifest_of(empty, tmp_path / "3.zip")["why_no_events"]
    write(tmp_path / "new", [])
    new = Cli(tmp_path / "new", cli._capsys)
    assert manifest_of(new, tmp_path / "4.zip")["why_no_events"] == "nothing is recorded yet"


def test_log_lines_are_asked_for(cli: Cli, tmp_path: Path) -> None:
    """The bridge keeps none, which is said; a file that is not there is a fault."""
    assert "keeps no log lines" in manifest_of(cli, tmp_path / "1.zip")["why_no_lines"]
    assert "--bundle" in cli.fails(2, "doctor", "--log", "x")
    missing = str(tmp_path / "none")
    path = tmp_path / "2.zip"
    assert missing in cli.fails(3, "doctor", "--bundle", str(path), "--log", missing)
    assert not path.exists()
    assert "nowhere" in cli.fails(3, "doctor", "--bundle", "/nowhere/b.zip")


def test_of_many_lines_the_last_are_taken(cli: Cli, tmp_path: Path) -> None:
    """And of a long one its beginning."""
    lines = tmp_path / "lines"
    lines.write_text("".join(f"line {n}\n" for n in range(3_000)) + "x" * 100_000)
    path = tmp_path / "b.zip"
    assert cli("doctor", "--bundle", str(path), "--log", str(lines)).code == 0
    told = members(path)[LINES_MEMBER].splitlines()
    assert len(told) == LINES_MAX
    assert told[-2] == "line 2999"
    assert len(told[-1]) == 2_000


def test_an_address_is_the_same_name_in_every_line() -> None:
    """Times and versions are none; loopback tells nobody."""
    redaction = Redaction(b"secret")
    told = list(
        lines_told(
            ["from 192.168.1.20:4411", "192.168.1.20 and fe80::1", "12:30:05 v1.2.3 ::1 127.0.0.1"],
            redaction,
        )
    )
    name = redaction.name("192.168.1.20")
    assert told[0] == f"from {name}:4411"
    assert told[1] == f"{name} and {redaction.name('fe80::1')}"
    assert told[2] == "12:30:05 v1.2.3 ::1 127.0.0.1"
