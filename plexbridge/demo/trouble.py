"""What goes wrong at the pretend provider, and when: by the clock on the wall, so that whoever
watches can wait for it. Pure.
"""

from typing import Final

STALL_EVERY_S: Final = 60
STALL_AT_S: Final = 50
STALL_S: Final = 4.5
"""Longer than a bridge takes for an upstream to be lost (3 s), and shorter than a player who comes
in the middle of it waits for its first byte (5 s)."""

DOWN_EVERY_S: Final = 120
DOWN_AT_S: Final = 90
DOWN_S: Final = 30
"""Long enough that only another upstream helps."""


def silent_for_s(at_s: float) -> float:
    """How long nothing comes yet, at this moment, of an upstream that stalls now and then."""
    return _left(at_s % STALL_EVERY_S, STALL_AT_S, STALL_S)


def down_for_s(at_s: float) -> float:
    """How long there is nothing to be had yet of an upstream that fails now and then."""
    return _left(at_s % DOWN_EVERY_S, DOWN_AT_S, DOWN_S)


def _left(at_s: float, begin_s: float, length_s: float) -> float:
    return begin_s + length_s - at_s if begin_s <= at_s < begin_s + length_s else 0.0
