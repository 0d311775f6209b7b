"""From a fold to the seal of a cut, and back: where folding begins in a log that was pruned."""

from events.codec import NewerLog
from plexbridge.log import rows, sealing
from plexbridge.log.driver import Connection
from plexbridge.log.sealing import Seal, SealedState
from projections.folding import Folding
from projections.lifting import CURRENT, lifted


class Pruned(Exception):
    """A moment before the first one that the log can still tell."""

    def __init__(self, first: int) -> None:
        super().__init__(
            f"events before #{first} were pruned; an archive of them, if one was made, can be "
            "opened with --data-dir FILE"
        )
        self.first = first


def seal_of(folding: Folding) -> Seal:
    """The states after the last event folded."""
    states = (SealedState(name, ver, state) for (name, ver), state in folding.dump().items())
    return Seal(folding.position, folding.shown.at, tuple(states))


def folding_of(seal: Seal) -> Folding:
    """The fold that goes on behind a cut. Sessions that were open there count as changed, so that
    whoever keeps rows of sessions keeps theirs.

    Raises:
        NewerLog: another release sealed it, in a way that is not known here.
    """
    states = lifted({(one.name, one.version): one.state for one in seal.states})
    folding = Folding.load(states)
    if folding is None:
        found = {one.name: one.version for one in seal.states}
        name = next(name for name in CURRENT if found.get(name) != CURRENT[name])
        what = f"the state {name!r} sealed at position {seal.pos}"
        raise NewerLog(what, found=found.get(name, 0), known=CURRENT[name])
    live = folding.shown.live
    live.touched = dict(live.state["sessions"])
    return folding


def beginning(connection: Connection) -> Folding:
    """Where folding this log begins: the empty state, or what was sealed at its cut.

    Raises:
        SealBroken: the seal was altered.
        NewerLog: see `folding_of`.
    """
    seal = sealing.read(connection)
    return Folding() if seal is None else folding_of(seal)


def first_moment(connection: Connection) -> int:
    """The earliest position whose moment can be folded: 0 unless the log was pruned."""
    return max(rows.base(connection).pos, sealing.position(connection))
