"""What an audit finds, in a form that a person and a program can both use.

"Could not be checked" is a kind of its own: it never counts as fine.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How bad it is."""

    BROKEN = "broken"
    """The log is not what was written: nothing it says can be relied on from there."""
    PROBLEM = "problem"
    """The log is sound, and shows that a promise was not kept."""
    UNCHECKED = "unchecked"
    """This version cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing, at one position."""

    check: str
    """Name of the check that found it."""
    kind: Kind = Kind.PROBLEM
    pos: int | None
    """Where in the log; None: it has no single place."""
    text: str

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"check": self.check, "kind": self.kind, "pos": self.pos, "text": self.text}
