"""Roles, and who a request turned out to come from. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

IDENTITY: Final = "plexbridge.identity"
"""Key in the scope of a request that was let in to the management surface: its `Identity`."""


class Role(StrEnum):
    """What someone may do on the management surface."""

    VIEWER = "viewer"
    """Reads."""
    ADMIN = "admin"
    """Reads and acts."""

    def may(self, needed: "Role") -> bool:
        """Whether this role covers what `needed` may do."""
        return self is Role.ADMIN or needed is Role.VIEWER


class Means(StrEnum):
    """How somebody showed who they are."""

    SESSION = "session"
    """A password, some time ago; since then a cookie."""
    KEY = "key"
    """An API key."""
    LOCAL = "local"
    """The key in the data directory, which only this machine's owner of it can read."""
    MACHINE = "machine"
    """Being on this machine, as long as no password is set."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who may come in."""

    role: Role
    means: Means
    digest: str = ""
    """SHA-256 of what was shown, in hexadecimal; empty where nothing was."""
    name: str = ""
    """An API key's name."""
