"""What a bridge holds open against what its log says: each difference, in both directions."""

from dataclasses import replace
from typing import Any

import pytest

from events.policy import Policy
from events.world import World, fold
from plexbridge.audit.sockets import Live, NotLive, differences, findings, lasting
from tests.core.given import reported
from tests.core.test_audit import WATCHED, history

ROWS = history(*WATCHED[:5])


def world() -> World:
    """One session on channel 1."""
    return fold(ROWS)


def live(**changed: Any) -> Live:
    """What a bridge in that state tells."""
    (session,), (lease,) = world().sessions.values(), world().leases.values()
    assert session.connection is not None
    told = Live(
        position=len(ROWS),
        hash=ROWS[-1].hash,
        sessions={session.id: session.state},
        connections={session.id: session.connection},
        leases={lease.channel: (lease.ver, lease.tuner, lease.source)},
        relays={lease.channel: (lease.ver, lease.source)},
        children=0,
        transcodes=0,
    )
    return replace(told, **changed)


def told(held: Live, recorded: World | None = None) -> list[str]:
    """Everything that differs."""
    return [one.text for one in differences(held, recorded or world())]


def test_what_the_log_says_is_no_difference() -> None:
    """A child for each relay and each transcoded preview at most."""
    assert told(live()) == []
    assert told(live(children=1)) == []
    assert told(live(children=2, transcodes=1)) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"connections": {}}, "session s1 on channel 1 is active, and no connection carries it"),
        ({"connections": {"s1": 77}}, "carried by connection 77, the log says 1"),
        (
            {"connections": {"s1": 1, "s9": 4}},
            "connection 4 carries session s9, which is not open",
        ),
        ({"relays": {}}, "channel 1 holds tuner 0 (lease 1), and no relay runs under it"),
        ({"relays": {"1": (3, "p")}}, "channel 1 holds tuner 0 (lease 1), and no relay"),
        ({"relays": {"1": (1, "q")}}, "channel 1 reads from source q, its lease is of p"),
        (
            {"relays": {"1": (1, "p"), "2": (5, "p")}},
            "a relay of channel 2 runs under lease 5, which is not in force",
        ),
        ({"children": 2}, "2 child processes run, and 1 relays and previews own one"),
        ({"sessions": {}}, "session s1 is not there in the bridge's memory, active in the log"),
        ({"leases": {"1": (1, 3, "p")}}, "is (1, 3, 'p') in the bridge's memory, (1, 0, 'p')"),
    ],
)
def test_each_difference_is_told(changed: dict[str, Any], words: str) -> None:
    """With what is there, and what should be."""
    [text] = told(live(**changed))
    assert words in text


def test_a_stopped_bridge_in_front_of_an_open_session_differs_in_everything() -> None:
    """And the other way round."""
    nothing = live(sessions={}, connections={}, leases={}, relays={})
    assert len(told(nothing)) == 4
    assert len(told(live(), World())) == 4


def test_a_session_in_its_grace_needs_no_connection() -> None:
    """It may have its old one for a moment, which is a difference until it is gone."""
    kept = fold(
        history(*WATCHED[:5], reported("s1", "somehow", second=15), policy=Policy(keep_alive=True))
    )
    (session,) = kept.sessions.values()
    assert session.state == "recovering"
    memory = {session.id: session.state}
    assert told(live(sessions=memory, connections={}), kept) == []
    assert "the log says none" in told(live(sessions=memory), kept)[0]


def test_only_what_two_looks_see_is_found() -> None:
    """The same thing again: another connection of the same session is another thing."""
    first = list(differences(live(connections={"s1": 7}, children=5), world()))
    again = list(differences(live(connections={"s1": 8}, children=5), world()))
    [left] = lasting(first, again)
    assert "5 child processes" in left.text
    assert lasting([], again) == []
    [finding] = findings([left], 9)
    assert (finding.check, finding.pos, finding.text) == ("sockets", 9, left.text)


def test_an_answer_of_something_else_is_not_taken() -> None:
    """Another program's JSON, or a version that tells less."""
    for document in ({}, {"position": 3, "hash": "zz"}, {"position": 3, "hash": "00"}):
        with pytest.raises(NotLive):
            Live.of(document)
