"""Exit codes (DESIGN 8.1), and which fault of the world leads to which."""

from typing import Final

from events.codec import NewerLog
from plexbridge.backup.manifest import BackupBroken, NotABackup
from plexbridge.backup.reading import NotEmpty
from plexbridge.control.seals import Pruned
from plexbridge.data_dir import DataDirUnusable
from plexbridge.installation import SecretsUnusable
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.log.anchors import NotAnchors
from plexbridge.log.errors import CannotOpen, LogLocked, StorageFailed
from plexbridge.log.exporting import LogBroken
from plexbridge.log.port import LogUnavailable
from plexbridge.log.sealing import SealBroken
from plexbridge.settings import SettingsInvalid
from plexbridge.web.access.keys import KeysUnusable

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
    ((NotEmpty, NotUnderstood, Pruned, SettingsInvalid), USAGE),
    (
        (
            CannotOpen,
            CannotWrite,
            DataDirUnusable,
            KeysUnusable,
            LogLocked,
            LogUnavailable,
            NewerLog,
            NotABackup,
            NotAnchors,
            SecretsUnusable,
            StorageFailed,
            StoreUnusable,
            Unreachable,
        ),
        CANNOT_OPEN,
    ),
    ((BackupBroken, LogBroken, SealBroken, Unfoldable), BROKEN),
)
WORLD: Final = tuple(kind for kinds, _ in FAULTS for kind in kinds)
"""Every fault that is told in a line; anything else is our bug and shows its traceback."""


def code_of(fault: Exception) -> int:
    """The exit code a fault of the world leads to."""
    return next(code for kinds, code in FAULTS if isinstance(fault, kinds))
