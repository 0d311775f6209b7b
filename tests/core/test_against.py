"""Recorded commands decided by another version, in a process of its own."""

import shutil
from pathlib import Path

import pytest

from events.policy import Policy
from plexbridge.audit.against import CannotDecideElsewhere, against
from tests.core.stamped_history import chained, stamped_household

HERE = Path(__file__).parents[2]
RULE = "return reason not in INTENTIONAL and kept"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A checkout whose rule is that of before the fix."""
    shutil.copytree(HERE / "events", tmp_path / "events")
    changed = tmp_path / "events" / "reasons.py"
    text = changed.read_text()
    assert RULE in text
    changed.write_text(text.replace(RULE, "return kept"))
    return tmp_path


def test_this_version_decides_its_own_log_as_recorded() -> None:
    """Every command, through another process."""
    household = stamped_household(3, 300)
    result = against(HERE, chained(household.events))
    assert (result.commands, result.decisions, result.fields) == (len(household.appends), 0, 0)


def test_the_first_difference_of_each_session_is_told(other: Path) -> None:
    """With what was recorded and what is decided there; here it is decided as recorded."""
    rows = chained(stamped_household(3, 800, Policy(keep_alive=True)).events)
    result = against(other, rows)
    assert result.decisions >= len(result.first) > 0
    for about, one in result.first.items():
        assert one.about == about
        assert one.kind == "decision"
        assert one.as_recorded_here
        assert one.recorded != one.decided
    ended = [one for one in result.first.values() if one.command == "Disconnect"]
    assert any("→ recovering" in one.decided[0] for one in ended)


def test_a_field_that_one_version_does_not_have_is_no_other_decision(other: Path) -> None:
    """Payloads only ever grow."""
    lifecycle = other / "events" / "lifecycle.py"
    lifecycle.write_text(
        lifecycle.read_text().replace('found = {"sessions"', 'found = {"newer": 1, "sessions"')
    )
    rows = chained(stamped_household(3, 1).events)
    result = against(other, rows)
    assert (result.decisions, result.fields) == (0, 1)


def test_a_path_without_events_and_one_that_does_not_start(tmp_path: Path, other: Path) -> None:
    """Are told in a line."""
    rows = chained(stamped_household(3, 1).events)
    with pytest.raises(CannotDecideElsewhere, match="holds no"):
        against(tmp_path / "nowhere", rows)
    (other / "events" / "machine.py").write_text("raise RuntimeError('broken here')")
    with pytest.raises(CannotDecideElsewhere, match="broken here"):
        against(other, rows)


def test_a_log_that_the_other_version_cannot_fold_is_told(other: Path) -> None:
    """With the command it stopped at."""
    world = other / "events" / "world.py"
    world.write_text(world.read_text().replace("def _leased(world", "def _leased(other"))
    rows = chained(stamped_household(3, 100).events)
    with pytest.raises(CannotDecideElsewhere, match="cannot fold command"):
        against(other, rows)
