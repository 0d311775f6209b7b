"""Where an audit of a part begins: at the nearest state stored before the moment asked for.

Everything up to there is taken on trust, the stored state included; everything behind it is checked
as in a whole audit, with that state in place of the events that led to it.
"""

from dataclasses import dataclass
from typing import Any

from plexbridge.control.loading import level_near
from plexbridge.control.seals import first_moment
from plexbridge.log.reader import SqliteReader
from projections.folding import Folding


@dataclass(frozen=True, slots=True)
class Since:
    """A beginning."""

    asked: int
    """The first position that is wanted."""
    folding: Folding
    """How things stood before it; to be folded on once, by whoever rebuilds the projections."""
    trusted: int
    """The last position taken on trust; that of the log's own beginning where nothing is."""

    @classmethod
    def of(cls, asked: int, folding: Folding) -> "Since":
        """A beginning at a state that is at hand."""
        return cls(asked, folding, folding.position)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"asked": self.asked, "trusted_up_to": self.trusted}


def since(reader: SqliteReader, asked: int) -> Since:
    """The nearest beginning before a position. Blocks.

    Raises:
        SealBroken, NewerLog: what a prune sealed cannot be read.
        StorageFailed: the log cannot be read.
    """
    floor, head = reader.query(first_moment), reader.head().pos
    before = max(floor, min(asked - 1, head))
    return Since.of(asked, level_near(reader, before))
