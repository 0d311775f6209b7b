"""What can be wrong with a guide: a fault with its remedy, and the same with the place it was at.

The code that reads bytes does not know where they came from: it raises `GuideFault`. Whoever asked
for the guide knows the place, redacted, and raises `GuideFailed`.
"""

from typing import Literal

from plexbridge.lineup.errors import LineupError

Kind = Literal[
    "unreadable",
    "not_a_guide",
    "broken",
    "refused",
    "empty",
    "store",
    "worker",
]
"""`unreadable`: nothing whole came; `broken`: cut off or no XML; `refused`: made to hurt a reader;
`empty`: nothing of the coming days in it; `store`: it could not be kept; `worker`: the process that
reads guides failed."""


class GuideFault(Exception):
    """A guide cannot be used; why, and what to do."""

    def __init__(
        self, kind: Kind, fault: str, remedy: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(fault)
        self.kind: Kind = kind
        self.fault = fault
        self.remedy = remedy
        self.retry_after_s = retry_after_s
        """What the provider asked for, where it did."""


class GuideFailed(LineupError):
    """A guide could not be had: one line, fit to be shown. What served before goes on serving."""

    what = "guide"

    def __init__(self, place: str, why: GuideFault) -> None:
        """`place`: redacted."""
        super().__init__(place, why.fault, why.remedy)
        self.kind = why.kind
        self.retry_after_s = why.retry_after_s
