"""The code of the one-time link: whoever reads the process's output may set the password.

Pure, with time and randomness handed in. Kept as a digest and in memory alone, so a restart ends
it.
"""

import secrets
from collections.abc import Callable
from typing import Final

from plexbridge.web.access.tokens import RandomBytes, digest_of, new_token

VALID_S: Final = 15 * 60
"""Long enough to find the link in a container's output."""


class SetupCode:
    """At most one code at a time."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds."""
        self._monotonic = monotonic
        self._digest: str | None = None
        self._ends_at = 0.0

    def make(self, random_bytes: RandomBytes) -> str:
        """A new code, `VALID_S` seconds good; an earlier one is no longer."""
        code = new_token(random_bytes)
        self._digest = digest_of(code)
        self._ends_at = self._monotonic() + VALID_S
        return code

    def fits(self, code: str) -> bool:
        """Whether it is the code, in time and not used."""
        if self._digest is None or self._monotonic() >= self._ends_at:
            return False
        return secrets.compare_digest(digest_of(code), self._digest)

    def end(self) -> None:
        """It was used, or is no longer wanted."""
        self._digest = None
