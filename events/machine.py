"""The session machine, declared once with `transitions`.

From this one declaration come the guard inside `decide`, the fold table (`EDGES`), the machine id
stamped into every event, the diagram of the README and the legend of the dashboard. The library
looks up and never holds our state: a probe with one slot walks an edge, sessions are records.
Replay goes through `EDGES` and never through the guard: an event is a fact.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson
from transitions import EventData, Machine, MachineError
from transitions.extensions import GraphMachine

NEW: Final = "new"
CONNECTING: Final = "connecting"
ACTIVE: Final = "active"
RECOVERING: Final = "recovering"
ENDED: Final = "ended"
STATES: Final = (NEW, CONNECTING, ACTIVE, RECOVERING, ENDED)

CONNECT: Final = "connect"
ACTIVITY: Final = "activity"
ERROR: Final = "error"
DISCONNECT: Final = "disconnect"
RECLAIM: Final = "reclaim"
TRIGGERS: Final = (CONNECT, ACTIVITY, ERROR, DISCONNECT, RECLAIM)


@dataclass(frozen=True, slots=True)
class Guard:
    """The two things a conditional edge may ask."""

    maintained: bool = False
    same_client: bool = False


def maintained(event: EventData) -> bool:
    """The keep-alive policy keeps a session over this end."""
    return bool(event.kwargs["guard"].maintained)


def same_client(event: EventData) -> bool:
    """The client that comes is the one the session belongs to."""
    return bool(event.kwargs["guard"].same_client)


EDGE_SPECS: Final[list[dict[str, Any]]] = [
    {"trigger": CONNECT, "source": NEW, "dest": CONNECTING},
    {"trigger": CONNECT, "source": RECOVERING, "dest": CONNECTING, "conditions": same_client},
    {"trigger": ACTIVITY, "source": [CONNECTING, ACTIVE, RECOVERING], "dest": ACTIVE},
    {"trigger": ERROR, "source": CONNECTING, "dest": ENDED},
    {
        "trigger": ERROR,
        "source": [ACTIVE, RECOVERING],
        "dest": RECOVERING,
        "conditions": maintained,
    },
    {"trigger": ERROR, "source": [ACTIVE, RECOVERING], "dest": ENDED, "unless": maintained},
    {"trigger": DISCONNECT, "source": CONNECTING, "dest": ENDED},
    {
        "trigger": DISCONNECT,
        "source": [ACTIVE, RECOVERING],
        "dest": RECOVERING,
        "conditions": maintained,
    },
    {"trigger": DISCONNECT, "source": [ACTIVE, RECOVERING], "dest": ENDED, "unless": maintained},
    {"trigger": RECLAIM, "source": [CONNECTING, ACTIVE, RECOVERING], "dest": ENDED},
]

MACHINE: Final = Machine(
    model=None,
    states=list(STATES),
    transitions=EDGE_SPECS,
    initial=NEW,
    auto_transitions=False,
    send_event=True,
)

EdgeTable = Mapping[tuple[str, str], frozenset[str]]


def _edges() -> dict[tuple[str, str], frozenset[str]]:
    table: dict[tuple[str, str], set[str]] = {}
    for trigger in TRIGGERS:
        for edge in MACHINE.get_transitions(trigger):
            assert edge.dest is not None, "no internal edges: every event has a successor state"
            table.setdefault((edge.source, trigger), set()).add(edge.dest)
    return {pair: frozenset(successors) for pair, successors in table.items()}


EDGES: Final[EdgeTable] = _edges()
"""(state, trigger) → the states it may lead to; two where a condition chooses."""


def _machine_id() -> str:
    rows = sorted(
        [
            trigger,
            edge.source,
            edge.dest,
            sorted([getattr(c.func, "__qualname__", ""), c.target] for c in edge.conditions),
        ]
        for trigger in TRIGGERS
        for edge in MACHINE.get_transitions(trigger)
    )
    return hashlib.sha256(orjson.dumps(rows)).hexdigest()[:12]


MACHINE_ID: Final = _machine_id()

RELEASED: Final[Mapping[str, EdgeTable]] = {MACHINE_ID: EDGES}
"""Every machine that ever decided an event in a released log, by id: old logs stay checkable."""


class IllegalStep(Exception):
    """A trigger that a state does not know, or whose condition said no. Nothing changed."""

    def __init__(self, state: str, trigger: str) -> None:
        super().__init__(f"a session in state {state} does not take {trigger}")
        self.state = state
        self.trigger = trigger


class _Probe:
    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


@cache  # as many keys as the table has rows; `transitions` takes 8 µs for each
def step(state: str, trigger: str, guard: Guard) -> str:
    """The state that follows; the guard of every decision.

    Raises:
        IllegalStep: the machine has no such edge, or its condition does not hold.
    """
    probe = _Probe(state)
    try:
        moved = MACHINE.events[trigger].trigger(probe, guard=guard)
    except MachineError as refusal:
        raise IllegalStep(state, trigger) from refusal
    if not moved:
        raise IllegalStep(state, trigger)
    return probe.state


def legal(machine: str, src: str, trigger: str, dst: str) -> bool | None:
    """Whether a recorded step is an edge of the machine that decided it; None: unknown machine."""
    edges = RELEASED.get(machine)
    if edges is None:
        return None
    return dst in edges.get((src, trigger), frozenset())


class _Model:
    """A throw-away model: the library cannot draw a machine that has none."""


def diagram() -> str:
    """The machine as a Mermaid state diagram."""
    drawn = GraphMachine(
        model=_Model(),
        states=list(STATES),
        transitions=EDGE_SPECS,
        initial=NEW,
        auto_transitions=False,
        graph_engine="mermaid",
        show_conditions=True,
    )
    text = drawn.get_combined_graph().draw(None)
    assert text is not None, "without a file name the text is returned"
    return text
