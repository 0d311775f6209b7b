"""What is said of one thing that was looked at: good, look here, or that it could not be checked.

A verdict is a word, a shape and a colour. Pure; knows no bridge, and no thing in particular.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Verdict(StrEnum):
    """As it is said."""

    GOOD = "good"
    LOOK = "look here"
    UNKNOWN = "could not check"
    """Never taken for good."""


SHAPES: Final = {Verdict.GOOD: "●", Verdict.LOOK: "▲", Verdict.UNKNOWN: "?"}
TONES: Final = {Verdict.GOOD: "active", Verdict.LOOK: "recovering", Verdict.UNKNOWN: "unknown"}
"""The state whose colour each has in the style sheet; `unknown` has none of its own."""

_YEAR_MIN: Final = 365 * 24 * 60


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    words: str
    """What was found, with its figures and their units."""
    mends: str = ""
    """Who can mend it, or what to do; empty where there is nothing to mend."""

    def document(self) -> dict[str, Any]:
        """As JSON, and as the pages show it."""
        return {
            "name": self.name,
            "verdict": str(self.verdict),
            "shape": SHAPES[self.verdict],
            "tone": TONES[self.verdict],
            "words": self.words,
            "mends": self.mends,
        }


def judged(name: str, fine: bool, words: str, mends: str = "") -> Line:
    """Good where it is fine; else who can mend it is said too."""
    return Line(name, Verdict.GOOD, words) if fine else Line(name, Verdict.LOOK, words, mends)


def relative(at: int, now: int) -> str:
    """A moment as seen from another, both in Unix milliseconds: `3 min ago`, `in 12 days`."""
    minutes = abs(at - now) // 60_000
    if minutes < 1:
        return "just now" if at <= now else "in a moment"
    if minutes < 120:
        told = f"{minutes} min"
    elif minutes < 48 * 60:
        told = f"{minutes // 60} h"
    elif minutes < 2 * _YEAR_MIN:
        told = f"{minutes // (24 * 60)} days"
    else:
        told = f"{minutes // _YEAR_MIN} years"
    return f"{told} ago" if at < now else f"in {told}"
