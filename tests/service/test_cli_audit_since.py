"""`audit --since`: a part of a log, what was taken on trust, and what is found behind it."""

from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from events.envelope import Recorded
from plexbridge.audit.checks import check, promises
from plexbridge.audit.exports import folded_to
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import sqlite3
from plexbridge.log.reader import SqliteReader
from tests.service.command_line import Cli, on_a_sound_log
from tests.service.written_logs import events_of, sound_house, write

STORED = (150, 400)
"""Positions whose states are stored beside that of the head."""
ASKED = 500
CHANGED = "UPDATE events SET at = at + 1 WHERE pos = {}"


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    on_a_sound_log(tmp_path / "sound", capsys, monkeypatch)
    path = write(tmp_path / "data", sound_house().appends)
    made = Cli(tmp_path / "data", capsys)
    assert made("projections", "rebuild").code == 0
    raw = sqlite3.connect(path)
    with closing(SqliteReader(path)) as reader:
        for pos in STORED:
            for (name, version), state in folded_to(reader, pos).dump().items():
                values = (name, version, pos, 0, state, sha256(state).digest())
                raw.execute("INSERT INTO projections VALUES(?,?,?,?,?,?)", values)
    raw.commit()
    raw.close()
    return made


def test_it_says_what_it_took_on_trust(cli: Cli) -> None:
    """The nearest stored state before the moment, and every event up to it; the rest is counted."""
    head = events_of(cli.data_dir / LOG_FILE)[-1].pos
    ran = cli("audit", "--since", f"#{ASKED}")
    assert (ran.code, ran.err) == (0, ""), ran
    first = ran.out.splitlines()[0]
    assert "checked from #401 on" in first
    assert "not checked: events #1 to #400" in first
    told = cli("audit", "--since", f"#{ASKED}", "--json").json()
    assert told["since"] == {"asked": ASKED, "trusted_up_to": 400}
    assert told["checks"][0]["examined"] == head - 400
    assert cli("audit", "--json").json()["since"] is None


def test_without_a_state_before_it_everything_is_checked(cli: Cli) -> None:
    """And that is said too."""
    ran = cli("audit", "--since", "#100")
    assert ran.code == 0
    assert ran.out.startswith("checked from #1 on: no state was stored between there and #100")
    cli.tamper(CHANGED.format(20))
    assert cli("audit", "--since", "#100").code == 4


def test_an_event_that_was_altered_behind_it_is_found(cli: Cli) -> None:
    """Exit code 4 with its position; one before it is not looked at."""
    cli.tamper(CHANGED.format(20))
    assert cli("audit").code == 4
    assert cli("audit", "--since", f"#{ASKED}").code == 0
    cli.tamper(CHANGED.format(410))
    ran = cli("audit", "--since", f"#{ASKED}")
    assert ran.code == 4
    assert "✗ chain: #410 hash" in ran.out
    cli.tamper("DELETE FROM events WHERE pos BETWEEN 390 AND 400")
    assert "#400 position: there is no event" in cli("audit", "--since", f"#{ASKED}").out


def test_a_state_that_is_damaged_is_not_begun_with(cli: Cli) -> None:
    """The one before it does as well."""
    cli.tamper("UPDATE projections SET state = CAST('{}' AS BLOB) WHERE pos = 400")
    assert "checked from #151 on" in cli("audit", "--since", f"#{ASKED}").out


@pytest.mark.parametrize("pos", STORED)
def test_stored_states_and_rows_behind_it_are_compared(cli: Cli, pos: int) -> None:
    """A later state, and the row of a session that was open at the beginning or began later."""
    since = ("audit", "--since", f"#{pos + 1}")
    assert cli(*since).code == 0
    rows = events_of(cli.data_dir / LOG_FILE)
    late = next(row for row in rows if row.pos > pos and row.stream.startswith("session-"))
    early = next(row for row in rows if row.dst == "ended")
    bytes_of = "UPDATE sessions SET document = replace(document, '\"bytes\":', '\"bites\":') "
    cli.tamper(f"{bytes_of} WHERE id = '{early.stream.removeprefix('session-')}'")
    assert cli("audit").code == 1
    assert cli(*since).code == 0, "that one ended before, and is trusted"
    cli.tamper(f"{bytes_of} WHERE id = '{late.stream.removeprefix('session-')}'")
    assert "1 session rows DIFFER" in cli(*since).out


def test_a_moment_the_log_does_not_reach_is_told(cli: Cli) -> None:
    """A position behind the end is a mistake; a time behind it checks what there is."""
    assert "#99999" in cli.fails(2, "audit", "--since", "#99999")
    assert cli("audit", "--since", "now").code == 0


def test_an_anchor_from_before_it_vouches_for_nothing_here(cli: Cli, tmp_path: Path) -> None:
    """Asked for and not to be had is not fine: exit code 3. One from behind it is compared."""
    rows = events_of(cli.data_dir / LOG_FILE)
    anchors = tmp_path / "anchors"
    words = ("audit", "--since", f"#{ASKED}", "--anchor", str(anchors))
    anchors.write_text(f"20 {rows[19].hash.hex()}\n")
    ran = cli(*words)
    assert ran.code == 3
    assert "leave --since out" in ran.out
    anchors.write_text(f"20 {rows[19].hash.hex()}\n450 {rows[449].hash.hex()}\n")
    assert cli(*words).code == 0
    anchors.write_text(f"450 {rows[19].hash.hex()}\n")
    assert cli(*words).code == 4


def found_behind(reader: SqliteReader, pos: int, rows: list[Recorded]) -> str:
    """Everything that the checks say of these events behind a position."""
    promised = promises()
    promised.begin(folded_to(reader, pos).decided, pos)
    return " ".join(one.text for one in check(promised, rows))


def test_a_part_is_judged_as_in_the_whole(cli: Cli) -> None:
    """From any position on: a sound part shows nothing, and a lease that was in force there can
    return once, and not twice."""
    path = cli.data_dir / LOG_FILE
    rows = events_of(path)
    returned_twice = 0
    with closing(SqliteReader(path)) as reader:
        for pos in range(1, len(rows), 23):
            behind = rows[pos:]
            assert found_behind(reader, pos, behind) == ""
            for lease in folded_to(reader, pos).decided.leases.values():
                stream = f"channel-{lease.channel}"
                ends = [r for r in behind if (r.stream, r.type) == (stream, "tuner_released")]
                if ends:
                    twice = [*behind[: ends[0].pos - pos], *behind[ends[0].pos - pos - 1 :]]
                    told = "a tuner returned that it does not hold"
                    assert told in found_behind(reader, pos, twice)
                    returned_twice += 1
    assert returned_twice > 10


def test_a_second_end_of_a_session_that_ended_earlier_is_found(cli: Cli) -> None:
    """By the remembered end, and by the step that no longer exists."""
    path = cli.data_dir / LOG_FILE
    rows = events_of(path)
    ended = next(row for row in rows if row.dst == "ended")
    again = ended._replace(pos=rows[400].pos, ver=ended.ver + 1)
    with closing(SqliteReader(path)) as reader:
        found = found_behind(reader, 400, [again])
    assert f"a second terminal event ({ended.type}), it ended by #400" in found
    assert "it was not open at #400" in found


def test_a_log_that_was_pruned_is_checked_from_its_cut(cli: Cli) -> None:
    """What is sealed there is begun with; another version cannot, and it is said why."""
    assert cli("events", "prune", "--before", "#300").code == 0
    assert cli("projections", "rebuild").code == 0
    first = events_of(cli.data_dir / LOG_FILE)[0].pos
    ran = cli("audit", "--since", f"#{first + 50}")
    assert ran.code == 0
    assert ran.out.startswith(f"checked from #{first} on: no state was stored")
    assert cli("audit", "--since", "#10").out.startswith(
        f"checked from #{first} on, where this log begins"
    )
    told = cli.fails(3, "replay", "--against", ".")
    assert f"events before #{first} were pruned" in told
