"""`events export|import|head` and reading from files: nothing is lost, nothing altered passes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import sqlite3
from tests.service.command_line import ENDED, OPEN, Cli, on_a_sound_log
from tests.service.written_logs import events_of, house, is_whole, shown_at, write


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return on_a_sound_log(tmp_path / "data", capsys, monkeypatch)


@pytest.fixture
def busy(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Commands on a household of some hundred events."""
    write(tmp_path / "busy", house().appends)
    return Cli(tmp_path / "busy", capsys)


def reading(path: Path, cli: Cli) -> Cli:
    """Commands on a file, or on another directory."""
    return Cli(path, cli._capsys)


def exported(cli: Cli, name: str = "events.ndjson", *words: str) -> Path:
    """An export beside the data directory."""
    path = cli.data_dir.with_name(name)
    ran = cli("events", "export", "-o", str(path), *words)
    assert (ran.code, ran.err) == (0, ""), ran
    return path


def is_sound(cli: Cli) -> bool:
    """Whether an audit finds nothing. Cleaning up is left aside: where players act at random,
    sockets are closed whenever."""
    checks = {one["name"]: one for one in cli("audit", "--json").json()["checks"]}
    del checks["cleanup"]
    return not any(one["found"] or one["unchecked"] for one in checks.values())


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.zst"])
def test_an_import_into_an_empty_directory_gives_the_same_hashes(busy: Cli, name: str) -> None:
    """Every field of every row, and so whatever is folded from them."""
    file = exported(busy, name)
    other = reading(busy.data_dir.with_name("other"), busy)
    assert other("events", "import", str(file)).code == 0
    rows = events_of(busy.data_dir / LOG_FILE)
    assert events_of(other.data_dir / LOG_FILE) == rows
    assert len(rows) > 500
    assert is_sound(other)
    assert other("events", "head").out == busy("events", "head").out


def test_an_export_on_stdout_is_the_same_file(busy: Cli) -> None:
    """Nothing else is printed on a pipe."""
    file = exported(busy)
    ran = busy("events", "export")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == file.read_text()


def test_an_export_says_what_it_holds(cli: Cli) -> None:
    """Header, rows as they are, digest; and a summary for people or programs."""
    file = cli.data_dir.with_name("x.ndjson")
    summary = cli("events", "export", "-o", str(file), "--json").json()
    header, *rows, closing = [json.loads(text) for text in file.read_text().splitlines()]
    head = events_of(cli.data_dir / LOG_FILE)[-1]
    assert (header["plexbridge"], header["schema"], header["node"]) == ("events", 1, head.node)
    assert (header["first"], header["last"]) == (1, head.pos) == (1, len(rows))
    assert header["head"] == {"pos": head.pos, "hash": head.hash.hex()}
    assert closing["digest"] == summary["digest"]
    assert closing["events"] == summary["events"] == head.pos
    assert rows[3]["data"]["client"]["key"]
    assert rows[3]["at"] == rows[3]["at_us"] // 1_000


@pytest.mark.parametrize("first", [2, 3, 57, 300])
def test_a_part_of_a_log_can_be_folded(busy: Cli, first: int) -> None:
    """What came before is sealed in the file: every moment of the part is shown as in the whole."""
    last = first + 200
    file = exported(busy, "part.ndjson", "--from", f"#{first}", "--to", f"#{last}")
    other = reading(busy.data_dir.with_name("other"), busy)
    assert other("events", "import", str(file)).code == 0
    positions = range(first - 1, last + 1, 9)
    whole, part = (shown_at(one.data_dir / LOG_FILE, positions) for one in (busy, other))
    assert part == whole
    assert is_sound(other)
    told = other.fails(2, "at", f"#{first - 2}") if first > 2 else "pruned"
    assert f"#{first}" in told or "pruned" in told


def test_a_redacted_export_names_nobody(busy: Cli) -> None:
    """No address and no identifier of a player is in it, and it folds to the same otherwise."""
    file = exported(busy, "r.ndjson", "--redacted", "--from", "#200")
    text = file.read_text()
    clients = [
        row.payload["client"]
        for row in events_of(busy.data_dir / LOG_FILE)
        if "client" in row.payload
    ]
    secrets = {one[name] for one in clients for name in ("key", "address")} - {""}
    assert len(secrets) > 3
    assert not [secret for secret in secrets if f'"{secret}' in text]
    other = reading(busy.data_dir.with_name("other"), busy)
    assert other("events", "import", str(file)).code == 0
    [whole], [part] = (shown_at(one.data_dir / LOG_FILE, [600]) for one in (busy, other))
    assert _without_addresses(part) == _without_addresses(whole)
    assert is_sound(other)


def _without_addresses(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_addresses(part)
            for name, part in value.items()
            if name not in ("address", "client_address")
        }
    return [_without_addresses(part) for part in value] if isinstance(value, list) else value


def test_a_selection_can_be_read_and_not_imported(busy: Cli) -> None:
    """Events are missing in it: no log is made of them."""
    file = exported(busy, "some.ndjson", "--type", "connect", "--stream", "session-")
    rows = [json.loads(text) for text in file.read_text().splitlines()][1:-1]
    assert {row["type"] for row in rows} == {"connect"}
    assert "--type" in reading(busy.data_dir.with_name("other"), busy).fails(
        3, "events", "import", str(file)
    )


# What does not fit --------------------------------------------------------------------------------

Damage = Callable[[list[bytes]], list[bytes]]


def _at(place: int, old: bytes, new: bytes) -> Damage:
    def damage(lines: list[bytes]) -> list[bytes]:
        assert old in lines[place]
        return [*lines[:place], lines[place].replace(old, new, 1), *lines[place + 1 :]]

    return damage


DAMAGED: dict[str, tuple[Damage, int]] = {
    "a payload": (_at(7, b'"data":{', b'"data":{"more":1,'), 7),
    "a time": (_at(7, b'"at_us":17', b'"at_us":18'), 7),
    "a hash": (_at(7, b'"hash":"', b'"hash":"00'), 7),
    "no JSON": (_at(7, b'"ver"', b"ver"), 7),
    "a missing event": (lambda lines: [*lines[:7], *lines[8:]], 8),
    "a doubled event": (lambda lines: [*lines[:8], *lines[7:]], 7),
    "swapped events": (lambda lines: [*lines[:7], lines[8], lines[7], *lines[9:]], 8),
    "a cut tail": (lambda lines: lines[:-3], 14),
    "half a line": (lambda lines: [*lines[:-3], lines[-3][:40]], 14),
    "what no hash covers": (_at(7, b'"at":17', b'"at":18'), 15),
    "another digest": (_at(-1, b"sha256:", b"sha256:0"), 15),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_file_that_does_not_fit_is_refused_with_the_position(cli: Cli, what: str) -> None:
    """Exit code 4; nothing is left in the directory."""
    damage, position = DAMAGED[what]
    file = exported(cli)
    file.write_bytes(b"".join(damage(file.read_bytes().splitlines(keepends=True))))
    target = file.with_name("target")
    told = reading(target, cli).fails(4, "events", "import", str(file))
    assert f"position {position}:" in told
    assert not [one.name for one in target.iterdir() if not one.name.endswith(".writer")]


@pytest.mark.parametrize("place", range(20, 600, 83))
def test_a_damaged_compressed_file_is_refused(cli: Cli, place: int) -> None:
    """A byte anywhere, and an end that is missing: never read as if nothing were wrong."""
    file = exported(cli, "x.zst")
    whole = file.read_bytes()
    for damaged in (whole[:-place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
        file.write_bytes(damaged)
        ran = reading(file, cli)("audit")
        assert ran.code in (3, 4)
        assert ran.out == ""


def test_a_log_that_is_not_what_was_written_is_not_exported(cli: Cli) -> None:
    """Exit code 4 with the position; no file."""
    cli.tamper("UPDATE events SET at = at + 1 WHERE pos = 6")
    file = cli.data_dir.with_name("x.ndjson")
    assert "position 6" in cli.fails(4, "events", "export", "-o", str(file))
    assert not list(file.parent.glob("x.ndjson*"))


def test_nothing_is_imported_over_a_log(cli: Cli) -> None:
    """Exit code 3; the log is as it was."""
    file = exported(cli)
    before = events_of(cli.data_dir / LOG_FILE)
    assert "empty directory" in cli.fails(3, "events", "import", str(file))
    assert events_of(cli.data_dir / LOG_FILE) == before


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"pos": 1}\n', b"PK\x03\x04nothing"])
def test_what_is_no_export_is_not_read(cli: Cli, content: bytes, tmp_path: Path) -> None:
    """Exit code 3, in one line."""
    file = tmp_path / "something"
    file.write_bytes(content)
    assert str(file) in reading(file, cli).fails(3, "audit")


def test_an_export_of_a_later_form_is_not_read(cli: Cli) -> None:
    """It says which form it has."""
    file = exported(cli)
    file.write_bytes(file.read_bytes().replace(b'"schema":1', b'"schema":2', 1))
    assert "schema is 2" in reading(file, cli).fails(3, "audit")


# Reading from a file ------------------------------------------------------------------------------

READING: tuple[tuple[str, ...], ...] = (
    ("at", "now", "--json"),
    ("sessions", "ls", "--json"),
    ("sessions", "show", ENDED, "--json"),
    ("events", "tail", "-n", "99", "--json"),
    ("events", "head"),
    ("replay", "--all", "--json"),
    ("projections", "verify", "--json"),
    ("audit", "--json"),
)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_every_reading_verb_reads_an_exported_file(cli: Cli, words: tuple[str, ...]) -> None:
    """It answers as on the directory; a database file is read as well."""
    on_directory = cli(*words)
    for file in (exported(cli, "x.ndjson.zst"), exported(cli), cli.data_dir / LOG_FILE):
        ran = reading(file, cli)(*words)
        assert (ran.code, ran.out, ran.err) == (on_directory.code, on_directory.out, "")


def test_a_session_whose_beginning_is_elsewhere_is_shown_as_far_as_it_goes(cli: Cli) -> None:
    """What it watched and who it was are sealed; the missing beginning is said."""
    file = exported(cli, "part.ndjson", "--from", "#6")
    for meant in (ENDED, ENDED[-4:]):
        shown = reading(file, cli)("sessions", "show", meant)
        assert shown.code == 0
        assert "1 Channel 1  ended" in shown.out
        assert "Begun    before #7" in shown.out
    whole = cli("sessions", "show", ENDED, "--json").json()
    part = reading(file, cli)("sessions", "show", ENDED, "--json").json()
    assert part["figures"]["duration_ms"] == whole["figures"]["duration_ms"]
    assert part["why"] == whole["why"]


def test_a_session_that_nothing_happens_to_is_there_too(cli: Cli) -> None:
    """It was open before the part began, and no event of the part is its own."""
    file = exported(cli, "part.ndjson", "--from", "#13", "--to", "#14")
    listed = reading(file, cli)("sessions", "ls", "--json").out.splitlines()
    assert [(one["id"], one["state"]) for one in map(json.loads, listed)] == [(OPEN, "connecting")]
    assert "before where this log begins" in reading(file, cli).fails(2, "sessions", "show", OPEN)


def test_a_file_is_only_read(cli: Cli) -> None:
    """What writes says so, and the file stays."""
    file = exported(cli)
    before = file.read_bytes()
    assert "only read" in reading(file, cli).fails(3, "events", "prune", "--before", "now")
    assert reading(file, cli)("projections", "rebuild").code == 3
    assert file.read_bytes() == before


def test_an_export_that_cannot_be_written_says_so(cli: Cli, tmp_path: Path) -> None:
    """In one line."""
    text = cli.fails(3, "events", "export", "--out", str(tmp_path / "none" / "events.ndjson"))
    assert "cannot write" in text


def test_a_range_ends_where_it_should(cli: Cli) -> None:
    """From one moment to another; the other way round it is none."""
    rows = events_of(cli.data_dir / LOG_FILE)
    words = ("--from", "2023-11-14T22:13:22Z", "--to", "2023-11-14T22:13:41Z")
    file = exported(cli, "some.ndjson", *words)
    lines = [json.loads(text) for text in file.read_text().splitlines()][2:-1]
    low, high = 1_700_000_002_000_000, 1_700_000_021_000_000
    assert [one["pos"] for one in lines] == [row.pos for row in rows if low <= row.at <= high]
    assert "before --from" in cli.fails(2, "events", "export", "--from", "#9", "--to", "#4")


def test_an_imported_log_is_one_that_a_bridge_can_go_on_with(busy: Cli) -> None:
    """One file, its triggers in force."""
    file = exported(busy)
    target = busy.data_dir.with_name("target")
    assert reading(target, busy)("events", "import", str(file)).code == 0
    assert {one.name for one in target.iterdir()} == {LOG_FILE, f"{LOG_FILE}.writer"}
    raw = sqlite3.connect(target / LOG_FILE)
    with pytest.raises(sqlite3.Error, match="append-only"):
        raw.execute("DELETE FROM events WHERE pos = 3")
    raw.close()
    assert is_whole(target / LOG_FILE)


def test_a_compressed_export_is_small(busy: Cli) -> None:
    """Lines repeat themselves."""
    plain, packed = exported(busy), exported(busy, "x.zst")
    assert packed.stat().st_size * 4 < plain.stat().st_size
    assert zstandard.ZstdDecompressor().stream_reader(packed.read_bytes()).read() == (
        plain.read_bytes()
    )
