"""Whatever is done to the file behind the log's back, the audit names it with its position."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from events.envelope import Recorded
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import sqlite3
from plexbridge.log.reader import SqliteReader
from plexbridge.log.verify import verify_chain
from tests.service.command_line import Cli, on_a_sound_log
from tests.service.written_logs import events_of, is_whole

HEAD = 15
COLUMNS = ", ".join(Recorded._fields)

LOOSE = (
    # What keeps rows apart is in the table's own definition: an intruder makes another table.
    "ALTER TABLE events RENAME TO strict_events",
    f"CREATE TABLE events AS SELECT {COLUMNS} FROM strict_events",
    "DROP TABLE strict_events",
)


def flips(value: int | str | bytes) -> Iterator[int | str | bytes]:
    """The same value with one bit turned over, at each of its bytes."""
    if isinstance(value, int):
        yield from (value ^ 1 << place for place in range(0, 56, 8))
        return
    whole = value.encode() if isinstance(value, str) else value
    for place in range(len(whole)):
        other = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        yield other.decode() if isinstance(value, str) else other


TABLE: dict[str, tuple[tuple[str, ...], int]] = {
    "a story given to an event": (("UPDATE events SET corr = id WHERE pos = 6",), 6),
    "the first row dropped": (("DELETE FROM events WHERE pos = 1",), 2),
    "a row dropped": (("DELETE FROM events WHERE pos = 6",), 7),
    "rows dropped": (("DELETE FROM events WHERE pos IN (6, 7, 8)",), 9),
    "a row dropped and the rest moved up": (
        (
            *LOOSE,
            "DELETE FROM events WHERE pos = 6",
            "UPDATE events SET pos = pos - 1 WHERE pos > 6",
        ),
        6,
    ),
    "two rows swapped": (
        (*LOOSE, "UPDATE events SET pos = CASE pos WHEN 6 THEN 7 ELSE 6 END WHERE pos IN (6, 7)"),
        6,
    ),
    "two far rows swapped": (
        (*LOOSE, "UPDATE events SET pos = CASE pos WHEN 6 THEN 9 ELSE 6 END WHERE pos IN (6, 9)"),
        6,
    ),
    "a row doubled in its place": (
        (*LOOSE, f"INSERT INTO events SELECT {COLUMNS} FROM events WHERE pos = 6"),
        6,
    ),
    "a row doubled and the rest moved down": (
        (
            *LOOSE,
            "UPDATE events SET pos = pos + 1 WHERE pos > 6",
            f"INSERT INTO events SELECT 7, {COLUMNS[5:]} FROM events WHERE pos = 6",
        ),
        7,
    ),
    "a row doubled at the end": (
        (*LOOSE, f"INSERT INTO events SELECT {HEAD + 1}, {COLUMNS[5:]} FROM events WHERE pos = 6"),
        HEAD + 1,
    ),
    "a prune that never was": (
        ("DELETE FROM events WHERE pos <= 3", "UPDATE log_meta SET first_pos = 4, base_pos = 3"),
        4,
    ),
}


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    made = on_a_sound_log(tmp_path / "data", capsys, monkeypatch)
    assert made("projections", "rebuild").code == 0
    assert events_of(made.data_dir / LOG_FILE)[-1].pos == HEAD
    return made


@pytest.mark.parametrize("column", Recorded._fields)
def test_every_flipped_byte_of_a_row_is_named(cli: Cli, column: str) -> None:
    """Whichever bit of whichever column."""
    cli.tamper(*LOOSE)
    path = cli.data_dir / LOG_FILE
    row = next(one for one in events_of(path) if one.type == "activity")
    value = getattr(row, column)
    raw = sqlite3.connect(path, isolation_level=None)
    count = 0
    for other in flips(value) if value is not None else ("x", b"x"):
        raw.execute(f"UPDATE events SET {column} = ? WHERE pos = ?", (other, row.pos))
        with closing(SqliteReader(path)) as reader:
            found = list(verify_chain(reader))
        count += 1
        assert found, f"{column} was {value!r} and is {other!r}"
        if column == "pos":
            assert {one.pos for one in found} & {row.pos, row.pos + 1, other}
            raw.execute("UPDATE events SET pos = ? WHERE hash = ?", (row.pos, row.hash))
        else:
            assert found[0].pos == row.pos
            raw.execute(f"UPDATE events SET {column} = ? WHERE pos = ?", (value, row.pos))
    raw.close()
    assert count >= (2 if value is None else 4)
    assert is_whole(path)


@pytest.mark.parametrize("what", TABLE)
def test_whatever_is_done_to_the_rows_is_named(cli: Cli, what: str) -> None:
    """Exit code 4, and the first place is where it was done (or the next row, of one that is
    gone)."""
    statements, position = TABLE[what]
    cli.tamper(*statements)
    ran = cli("audit", "--json")
    assert ran.code == 4
    chain = next(one for one in ran.json()["checks"] if one["name"] == "chain")
    assert chain["findings"][0]["pos"] == position
    assert chain["findings"][0]["kind"] == "broken"


DERIVED: dict[str, tuple[str, int]] = {
    "a state": (
        "UPDATE projections SET state = CAST(replace(CAST(state AS TEXT), '9500000', '9') AS BLOB) "
        "WHERE name = 'dashboard'",
        HEAD,
    ),
    "a byte of a state": (
        "UPDATE projections SET state = CAST(substr(CAST(state AS TEXT), 1, 40) || 'x' || "
        "substr(CAST(state AS TEXT), 42) AS BLOB)",
        HEAD,
    ),
    "the decided state": (
        "UPDATE projections SET state = CAST(replace(CAST(state AS TEXT), ':4,', ':5,') AS BLOB) "
        "WHERE name = 'world'",
        HEAD,
    ),
    "a state moved": ("UPDATE projections SET pos = 9 WHERE name = 'dashboard'", 9),
    "a state of the future": ("UPDATE projections SET pos = 99", 99),
    "a session's row": ("UPDATE sessions SET document = replace(document, '95', '96')", HEAD),
    "a row gone": ("DELETE FROM sessions WHERE state = 'ended'", HEAD),
    "a row made up": (
        "INSERT INTO sessions SELECT 'X' || substr(id, 2), state, channel, guide_number, client, "
        "reason, detail, started_at, ended_at, bytes, document FROM sessions LIMIT 1",
        HEAD,
    ),
}


@pytest.mark.parametrize("what", DERIVED)
def test_an_edited_projection_is_named(cli: Cli, what: str) -> None:
    """Exit code 1: the log is sound, and what was made of it is not. A rebuild mends it."""
    statement, position = DERIVED[what]
    cli.tamper(statement)
    ran = cli("audit", "--json")
    assert ran.code == 1
    found = next(one for one in ran.json()["checks"] if one["name"] == "projections")
    assert found["findings"][0]["pos"] == position
    assert cli("projections", "rebuild").code == 0
    assert cli("audit").code == 0


# Against an anchor -------------------------------------------------------------------------------


@pytest.fixture
def anchor(cli: Cli, tmp_path: Path) -> Path:
    """A head kept elsewhere."""
    path = tmp_path / "elsewhere.anchors"
    assert cli("events", "head", "--anchor", str(path)).code == 0
    return path


def test_a_sound_log_leads_to_its_anchors(cli: Cli, anchor: Path) -> None:
    """As often as they were written; also in the form of the API and of log lines."""
    cli("events", "head", "--anchor", str(anchor))
    assert len(anchor.read_text().splitlines()) == 2
    row = events_of(cli.data_dir / LOG_FILE)[8]
    with anchor.open("a") as file:
        file.write(f'Nov 04 host plexbridge[7]: {{"position": 9, "hash": "{row.hash.hex()}"}}\n')
        file.write('{"event": "Session cleanup decision", "position": 3}\nsomething else\n')
    ran = cli("audit", "--anchor", str(anchor))
    assert ran.code == 0
    assert "✓ the log leads to every hash that was kept elsewhere (3)" in ran.out


def test_a_tail_that_was_cut_off_is_named(cli: Cli, anchor: Path) -> None:
    """The chain alone holds; the anchor tells where the log should go on."""
    cli.tamper("DELETE FROM events WHERE pos > 12", "DELETE FROM projections")
    cli.tamper("DELETE FROM sessions")
    assert cli("audit").code != 4
    ran = cli("audit", "--anchor", str(anchor))
    assert ran.code == 4
    assert f"✗ anchors: #13 event {HEAD} was there, and the log ends at 12" in ran.out


def test_a_log_written_anew_is_named(cli: Cli, tmp_path: Path) -> None:
    """Another history with a chain of its own does not lead to the anchor."""
    path = tmp_path / "elsewhere.anchors"
    path.write_text(f"# kept on paper\n#9 {'ab' * 32} 2026-11-04\n")
    ran = cli("audit", "--anchor", str(path))
    assert ran.code == 4
    assert "✗ anchors: #9 another event was here" in ran.out
    assert "✓ positions and versions" in ran.out


def test_anchors_from_before_a_prune_alone_prove_nothing(cli: Cli, anchor: Path) -> None:
    """They are said not to be checked; with one of today they are."""
    path = anchor.with_name("old.anchors")
    row = events_of(cli.data_dir / LOG_FILE)[0]
    path.write_text(f"1 {row.hash.hex()}\n")
    assert cli("events", "prune", "--before", "#4").code == 0
    assert events_of(cli.data_dir / LOG_FILE)[0].pos > 2
    ran = cli("audit", "--anchor", str(path))
    assert ran.code == 3
    assert "every anchor is from before what was pruned" in ran.out
    path.write_text(path.read_text() + anchor.read_text())
    assert cli("audit", "--anchor", str(path)).code == 0


@pytest.mark.parametrize("content", [None, "", "nothing here\n"])
def test_a_file_without_anchors_is_told(cli: Cli, tmp_path: Path, content: str | None) -> None:
    """Never "fine": exit code 3."""
    path = tmp_path / "none"
    if content is not None:
        path.write_text(content)
    assert "no anchors in" in cli.fails(3, "audit", "--anchor", str(path))
