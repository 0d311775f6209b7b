"""`incident`: one file that shows a bad moment as it was, and nobody's addresses."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from plexbridge.data_dir import LOG_FILE
from tests.service.command_line import Cli, on_a_sound_log
from tests.service.test_cli_exports import is_sound, reading
from tests.service.written_logs import events_of, house, write

AROUND = 400


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    on_a_sound_log(tmp_path / "sound", capsys, monkeypatch)
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setenv("BASE_URL", "http://the-house.example")
    monkeypatch.setenv("PLEXBRIDGE_ADMIN_KEY", "a-key-that-nobody-else-has")
    write(tmp_path / "data", house().appends)
    return Cli(tmp_path / "data", capsys)


@pytest.fixture
def bundle(cli: Cli) -> Path:
    """The file of an incident in the middle."""
    path = cli.data_dir.with_name("incident.zip")
    ran = cli("incident", "--around", f"#{AROUND}", "--minutes", "3", "-o", str(path), "--json")
    assert (ran.code, ran.err) == (0, ""), ran
    return path


def members(path: Path) -> dict[str, Any]:
    """The documents in it."""
    with zipfile.ZipFile(path) as packed:
        return {
            name: json.loads(packed.read(name))
            for name in packed.namelist()
            if name.endswith(".json")
        }


def test_it_holds_the_minutes_around_the_moment(cli: Cli, bundle: Path) -> None:
    """And no more: three before and three after."""
    rows = events_of(cli.data_dir / LOG_FILE)
    at = rows[AROUND - 1].at
    manifest = members(bundle)["manifest.json"]
    within = [row.pos for row in rows if abs(row.at - at) <= 180_000_000]
    assert abs(manifest["first"] - within[0]) <= 1
    assert manifest["last"] >= within[-1]
    assert manifest["around"] >= AROUND
    assert manifest["log_head"]["hash"] == rows[-1].hash.hex()
    assert manifest["first"] > 1


def test_it_holds_what_a_maintainer_asks_for(bundle: Path) -> None:
    """Policy, versions, what was shown, what is kept, what the doctor says."""
    held = members(bundle)
    assert held["policy.json"]["tuners"] >= 1
    assert {"plexbridge", "machine", "python", "sqlite", "system"} == set(held["versions.json"])
    assert held["projections.json"]["dashboard"]["position"] == held["manifest.json"]["around"]
    assert {one["subject"] for one in held["doctor.json"]} > {"event log", "SQLite"}


@pytest.mark.parametrize(
    "words",
    [("at", f"#{AROUND}"), ("sessions", "ls"), ("events", "tail"), ("replay", "--all"), ("audit",)],
    ids=" ".join,
)
def test_every_verb_opens_it(cli: Cli, bundle: Path, words: tuple[str, ...]) -> None:
    """From the file alone, wherever it was sent."""
    ran = reading(bundle, cli)(*words)
    assert ran.code in (0, 1)
    assert ran.out
    assert is_sound(reading(bundle, cli))


def test_the_moment_is_shown_as_it_was(cli: Cli, bundle: Path) -> None:
    """The same dashboard, but for who the players are."""
    whole = cli("at", f"#{AROUND}", "--json").json()
    part = reading(bundle, cli)("at", f"#{AROUND}", "--json").json()
    assert part == members(bundle)["projections.json"]["dashboard"]
    for document in (whole, part):
        for session in [*document["sessions"], *document["just_ended"]]:
            session["client"].pop("address")
        for tuner in document["tuners"]:
            tuner.pop("client_address")
    assert part == whole


def test_it_names_nobody(cli: Cli, bundle: Path) -> None:
    """No address, identifier, key or name of the house in any part of it."""
    clients = [
        row.payload["client"]
        for row in events_of(cli.data_dir / LOG_FILE)
        if "client" in row.payload
    ]
    secrets = {f'"{one[name]}' for one in clients for name in ("key", "address") if one[name]}
    secrets |= {"the-house", "a-key-that-nobody", str(Path.home())}
    with zipfile.ZipFile(bundle) as packed:
        for name in packed.namelist():
            text = packed.read(name).decode()
            assert not [secret for secret in secrets if secret in text], name


def test_it_may_become_a_test(cli: Cli, bundle: Path) -> None:
    """The same events as lines; an incident of an incident too."""
    path = cli.data_dir.with_name("history.ndjson")
    told = reading(bundle, cli)(
        "incident", "--around", f"#{AROUND}", "--as-test", "-o", str(path), "--json"
    ).json()
    header, _, *lines, closing = [json.loads(text) for text in path.read_text().splitlines()]
    assert header["redacted"] is True
    assert (told["first"], told["last"]) == (lines[0]["pos"], lines[-1]["pos"])
    assert closing["digest"] == told["digest"]
    assert is_sound(reading(path, cli))


def test_an_altered_bundle_is_refused(cli: Cli, bundle: Path) -> None:
    """Exit code 4: the zip's own sums, or ours."""
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:2_000] + bytes([whole[2_000] ^ 4]) + whole[2_001:])
    reading(bundle, cli).fails(4, "audit")


def test_a_moment_that_the_log_does_not_hold_is_told(cli: Cli) -> None:
    """Exit code 2."""
    assert "#99999" in cli.fails(2, "incident", "--around", "#99999")
    assert "no moment" in cli.fails(2, "incident", "--around", "noon-ish")
