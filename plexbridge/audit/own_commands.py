"""The commands behind what is recorded of the bridge itself: that it started, was set otherwise,
recovered what a crash left, or noted a fact. Pure; a part of `inputs`.
"""

from collections.abc import Iterator
from typing import Final

from events.appends import Append
from events.commands import ChangeSettings, Command, Note, Recover, Started
from events.policy import Policy
from events.world import World

_OWN_FACTS: Final = frozenset({"version", "machine"})


def started(append: Append, world: World) -> Iterator[Command]:
    """A log of long ago has no policy beside its start: then the one in force before."""
    read = append[0]
    facts = {name: text for name, text in read.payload.items() if name not in _OWN_FACTS}
    yield Started(
        at=read.at,
        version=read.payload.get("version", ""),
        machine=read.payload.get("machine", ""),
        policy=_set_beside(append) or world.policy,
        facts=tuple(facts.items()),
    )


def settings_changed(append: Append, world: World) -> Iterator[Command]:
    """The policy beside it is the one in force from there on."""
    read = append[0]
    yield ChangeSettings(
        at=read.at,
        names=tuple(read.payload["names"]),
        by=read.payload["by"],
        policy=_set_beside(append),
    )


def recovered(append: Append, world: World) -> Iterator[Command]:
    """What it found is what the state before it holds."""
    yield Recover(at=append[0].at)


def noted(append: Append, world: World) -> Iterator[Command]:
    """As it stands."""
    [read] = append
    yield Note(at=read.at, stream=read.stream, type=read.type, payload=tuple(read.payload.items()))


def _set_beside(append: Append) -> Policy | None:
    return Policy.from_payload(dict(append[1].payload)) if len(append) > 1 else None
