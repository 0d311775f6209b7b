"""The session machine: every pair of state and trigger, and the release it was frozen in."""

import json
from itertools import product
from pathlib import Path

import pytest

from events.machine import (
    EDGES,
    MACHINE,
    MACHINE_ID,
    RELEASED,
    STATES,
    TRIGGERS,
    Guard,
    IllegalStep,
    diagram,
    legal,
    step,
)

RELEASES = Path(__file__).parent / "released_machines.json"

NOTHING = Guard()
KEPT = Guard(maintained=True)
SAME = Guard(same_client=True)

TABLE = [
    ("new", "connect", NOTHING, "connecting"),
    ("recovering", "connect", SAME, "connecting"),
    ("connecting", "activity", NOTHING, "active"),
    ("recovering", "activity", NOTHING, "active"),
    ("active", "activity", NOTHING, "active"),
    ("active", "error", KEPT, "recovering"),
    ("recovering", "error", KEPT, "recovering"),
    ("connecting", "error", KEPT, "ended"),
    ("connecting", "error", NOTHING, "ended"),
    ("active", "error", NOTHING, "ended"),
    ("recovering", "error", NOTHING, "ended"),
    ("active", "disconnect", KEPT, "recovering"),
    ("recovering", "disconnect", KEPT, "recovering"),
    ("connecting", "disconnect", KEPT, "ended"),
    ("connecting", "disconnect", NOTHING, "ended"),
    ("active", "disconnect", NOTHING, "ended"),
    ("recovering", "disconnect", NOTHING, "ended"),
    ("connecting", "reclaim", KEPT, "ended"),
    ("active", "reclaim", KEPT, "ended"),
    ("recovering", "reclaim", KEPT, "ended"),
    ("connecting", "reclaim", NOTHING, "ended"),
    ("active", "reclaim", NOTHING, "ended"),
    ("recovering", "reclaim", NOTHING, "ended"),
]
"""DESIGN section 3, row by row."""

PAIRS = {(state, trigger) for state, trigger, _, _ in TABLE}


@pytest.mark.parametrize(("state", "trigger", "guard", "successor"), TABLE)
def test_each_row_of_the_table_leads_where_it_says(
    state: str, trigger: str, guard: Guard, successor: str
) -> None:
    """The table of the design and the declared machine are the same."""
    assert step(state, trigger, guard) == successor


@pytest.mark.parametrize("pair", sorted(set(product(STATES, TRIGGERS)) - PAIRS), ids=" ".join)
@pytest.mark.parametrize("guard", [NOTHING, KEPT, SAME])
def test_every_other_pair_is_illegal(pair: tuple[str, str], guard: Guard) -> None:
    """What the table does not list does not happen."""
    with pytest.raises(IllegalStep) as refused:
        step(*pair, guard)
    assert str(refused.value) == f"a session in state {pair[0]} does not take {pair[1]}"


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_nothing_leads_out_of_ended(trigger: str) -> None:
    """There is exactly one terminal event, because the end has no way out."""
    assert ("ended", trigger) not in EDGES


def test_only_the_same_client_resumes() -> None:
    """Somebody else's `connect` does not move a session in trouble."""
    with pytest.raises(IllegalStep):
        step("recovering", "connect", NOTHING)


def test_the_fold_table_is_the_declaration() -> None:
    """`EDGES` says what the rows say, no more and no less."""
    rows = {
        (state, trigger): {to for s, t, _, to in TABLE if (s, t) == (state, trigger)}
        for state, trigger in PAIRS
    }
    assert {pair: set(successors) for pair, successors in EDGES.items()} == rows


def test_no_state_was_given_to_the_library() -> None:
    """The declaration holds no models: a million sessions cost it nothing."""
    step("new", "connect", NOTHING)
    assert MACHINE.models == []


def test_the_released_machine_is_frozen() -> None:
    """A change of the machine is deliberate: it gets an id of its own beside the released ones.

    To change it on purpose, add the new id with its edges to `released_machines.json` and the old
    edges to `RELEASED`; never edit an entry.
    """
    frozen = json.loads(RELEASES.read_text())
    known = {
        machine: sorted([state, trigger, sorted(to)] for (state, trigger), to in edges.items())
        for machine, edges in RELEASED.items()
    }
    assert known == frozen
    assert MACHINE_ID in frozen


def test_a_recorded_step_is_checked_against_the_machine_that_decided_it() -> None:
    """Replay asks the released edges; of an unknown machine it says that it cannot tell."""
    assert legal(MACHINE_ID, "active", "disconnect", "recovering") is True
    assert legal(MACHINE_ID, "connecting", "error", "recovering") is False
    assert legal(MACHINE_ID, "ended", "reclaim", "ended") is False
    assert legal("unheard of", "active", "disconnect", "ended") is None


def test_the_diagram_shows_every_edge() -> None:
    """The README's picture is drawn from the declaration."""
    drawn = diagram()
    assert "stateDiagram" in drawn
    for (state, trigger), successors in EDGES.items():
        for successor in successors:
            lines = [x for x in drawn.splitlines() if x.strip().startswith(f"{state} --> ")]
            assert any(successor in line and trigger in line for line in lines)
