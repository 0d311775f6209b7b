"""What a player asks of a channel's mark in the lineup: favourite, none, or hidden. Pure.

A channel has one of the three, as on a real device: who is hidden is no favourite.

Source: HDHomeRun's `lineup.post?favorite=`, a sign and a guide number. A `+` that was not escaped
arrives as a blank, and counts as one.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Mark(StrEnum):
    """How a channel is to stand in the lineup."""

    FAVOURITE = "favourite"
    PLAIN = "plain"
    HIDDEN = "hidden"


class MarkAsked(NamedTuple):
    """A mark, and the guide number that is to have it."""

    mark: Mark
    guide_number: str


_BY_SIGN: Final = {
    "+": Mark.FAVOURITE,
    " ": Mark.FAVOURITE,
    "-": Mark.PLAIN,
    "x": Mark.HIDDEN,
}


SETS: Final[Mapping[Mark, Mapping[str, bool]]] = {
    Mark.FAVOURITE: {"enabled": True, "favourite": True},
    Mark.PLAIN: {"enabled": True, "favourite": False},
    Mark.HIDDEN: {"enabled": False, "favourite": False},
}
"""What each mark is among the fields of an edit."""


def read_mark(favorite: str) -> MarkAsked | None:
    """What the parameter asks; None where it is neither sign nor number."""
    mark = _BY_SIGN.get(favorite[:1])
    return None if mark is None or not favorite[1:] else MarkAsked(mark, favorite[1:])
