"""From the log back to its commands: decided again they give the log, byte for byte."""

import pytest

from events.appends import appends
from events.codec import encode
from events.decide import decide
from events.world import World
from plexbridge.audit.inputs import Inputs, same
from tests.core.stamped_history import chained, stamped_household

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_events_of_each_decision_are_told_apart(seed: int) -> None:
    """Though the log keeps no border between them, and many happen in one microsecond."""
    household = stamped_household(seed, 250)
    rows = chained(household.events)
    found = [[read.row.id for read in append] for append in appends(rows, World().policy)]
    assert found == [[event.id for event in append] for append in household.appends]


@pytest.mark.parametrize("seed", SEEDS)
def test_commands_decided_again_give_what_was_recorded(seed: int) -> None:
    """Stream, type, step, time and payload of every event, under the recorded policy."""
    rows = chained(stamped_household(seed, 250).events)
    again = []
    inputs = Inputs(rows)
    for one in inputs:
        drafts = decide(one.command, inputs.world).drafts
        assert same(drafts, one.append), (one.command, drafts, [r.row for r in one.append])
        again += [(d.stream, d.type, d.src, d.dst, d.at, encode(d.payload)) for d in drafts]
    assert again == [(r.stream, r.type, r.src, r.dst, r.at, r.data) for r in rows]
