"""Guide numbers: which texts are one, their order, and handing out free ones.

A guide number is text (`"5.1"`). It holds digits and at most one dot, never `_`: Jellyfin makes
`hdhr_` + number of it and splits there. Plex finds a single channel where two share a number.
"""

import re
from typing import Final

Rank = tuple[int, int]
"""A guide number as it sorts: 5, 5.1, 5.2, 5.10, 6."""

WHOLE_STEP: Final = 10_001
"""Between the codes of two whole numbers: one for the number itself, and four digits."""

_VALID = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,4}))?", re.ASCII)
_WHOLE = -1


def guide_number(text: str) -> str | None:
    """`text` as a guide number without leading zeros; None when it is none.

    `0` is none: lists write it for "no number".
    """
    match = _VALID.fullmatch(text)
    if match is None:
        return None
    major, minor = match.groups()
    if int(major) == 0:
        return None
    return str(int(major)) if minor is None else f"{int(major)}.{int(minor)}"


def rank(number: str) -> Rank:
    """What a guide number sorts by."""
    major, dot, minor = number.partition(".")
    return int(major), int(minor) if dot else _WHOLE


def code(number: str) -> int:
    """A guide number as one whole number above 0 that sorts alike.

    Raises:
        ValueError: it is none.
    """
    major, minor = rank(number)
    return major * WHOLE_STEP + minor + 1


def text_of(coded: int) -> str:
    """The guide number that has this code."""
    major, minor = divmod(coded, WHOLE_STEP)
    return f"{major}.{minor - 1}" if minor else str(major)


class FreeNumbers:
    """Hands out whole numbers that nobody has, counting up."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next = 1

    def take(self, number: str) -> bool:
        """Claim a number; False when it is taken."""
        if number in self._taken:
            return False
        self._taken.add(number)
        return True

    def next(self) -> str:
        """Claim the lowest free whole number above those handed out before."""
        while not self.take(str(self._next)):
            self._next += 1
        return str(self._next)
