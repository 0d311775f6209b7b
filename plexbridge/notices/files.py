"""`notifications/` in the data directory: the targets, and beside them how far was told.

The directory is its owner's alone, for the targets are secrets. Blocks: for threads.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from plexbridge.notices.targets import Target, target_of
from plexbridge.private_file import read_bounded, write_private

TARGETS_FILE: Final = "targets.json"
TOLD_FILE: Final = "told.json"
"""Position, what is being waited for, and the last result of each target: no secret in it."""

BYTES_MAX: Final = 8 * 1024 * 1024
"""A thousand open sessions with the longest names."""

_DIRECTORY_MODE: Final = 0o700


class TargetsUnusable(Exception):
    """The targets cannot be read or kept; one line that says what to do."""


class NoticeFiles:
    """Knows the paths; reads and replaces."""

    def __init__(self, directory: Path) -> None:
        self._targets = directory / TARGETS_FILE
        self._told = directory / TOLD_FILE

    def load_targets(self) -> tuple[tuple[Target, ...], str]:
        """The targets, and the address of the pages when the last one was added.

        Raises:
            TargetsUnusable: they are there, and cannot be read.
        """
        try:
            text = read_bounded(self._targets, BYTES_MAX)
            if text is None:
                return (), ""
            kept: dict[str, Any] = orjson.loads(text)
            return tuple(map(target_of, kept["targets"])), str(kept["link_base"])
        except OSError as error:
            raise TargetsUnusable(f"{self._targets} cannot be read: {error.strerror}") from error
        except (AttributeError, KeyError, TypeError, ValueError):
            # Without the cause: its text may hold what was read.
            raise TargetsUnusable(
                f"{self._targets} is damaged: move it away, restart, and add the targets anew"
            ) from None

    def keep_targets(self, targets: Iterable[Target], link_base: str) -> None:
        """Replace the targets.

        Raises:
            TargetsUnusable: nothing was replaced.
        """
        kept = {"targets": [one.document() for one in targets], "link_base": link_base}
        try:
            self._write(self._targets, kept)
        except OSError as error:
            raise TargetsUnusable(f"{self._targets} cannot be written: {error.strerror}") from error

    def load_told(self) -> dict[str, Any] | None:
        """How far was told; None where that is not known."""
        try:
            text = read_bounded(self._told, BYTES_MAX)
            kept = None if text is None else orjson.loads(text)
        except (OSError, ValueError):
            return None  # nothing old is told, which is the right thing then, too
        return kept if isinstance(kept, dict) else None

    def keep_told(self, told: dict[str, Any]) -> None:
        """Replace it.

        Raises:
            OSError: it was not replaced.
        """
        self._write(self._told, told)

    def forget_told(self) -> None:
        """With the last target."""
        self._told.unlink(missing_ok=True)

    def _write(self, path: Path, document: dict[str, Any]) -> None:
        path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        path.parent.chmod(_DIRECTORY_MODE)
        write_private(path, orjson.dumps(document).decode())
