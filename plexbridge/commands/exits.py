"""Exit codes (DESIGN 8.1), and which fault of the world leads to which."""

from typing import Final

from events.codec import NewerLog
from plexbridge.data_dir import DataDirUnusable
from plexbridge.log.errors import CannotOpen, LogLocked, StorageFailed
from plexbridge.log.port import LogUnavailable
from plexbridge.settings import SettingsInvalid

FINE: Final = 0
FOUND: Final = 1
USAGE: Final = 2
CANNOT_OPEN: Final = 3
BROKEN: Final = 4
INTERRUPTED: Final = 130


class NotUnderstood(Exception):
    """An argument that means nothing here; one line that says what would."""


class Unreachable(Exception):
    """The running bridge does not answer; one line that says where it was looked for."""


class Unfoldable(Exception):
    """Recorded events do not follow from each other, so nothing can be folded from them."""

    def __init__(self, pos: int, fault: Exception) -> None:
        super().__init__(
            f"the log cannot be folded at position {pos} ({fault!r}); `plexbridge audit` says more"
        )


class CannotWrite(Exception):
    """A file that was asked for cannot be written; one line with the system's reason."""


FAULTS: Final[tuple[tuple[tuple[type[Exception], ...], int], ...]] = (
    ((NotUnderstood, SettingsInvalid), USAGE),
    (
        (
            CannotOpen,
            CannotWrite,
            DataDirUnusable,
            LogLocked,
            LogUnavailable,
            NewerLog,
            StorageFailed,
            Unreachable,
        ),
        CANNOT_OPEN,
    ),
    ((Unfoldable,), BROKEN),
)
WORLD: Final = tuple(kind for kinds, _ in FAULTS for kind in kinds)
"""Every fault that is told in a line; anything else is our bug and shows its traceback."""


def code_of(fault: Exception) -> int:
    """The exit code a fault of the world leads to."""
    return next(code for kinds, code in FAULTS if isinstance(fault, kinds))
