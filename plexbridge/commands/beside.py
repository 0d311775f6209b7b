"""The audit's part beside a running bridge: what it holds open against its log.

Knows whether a bridge runs on a directory, and how its answer is compared. A stopped bridge holds
nothing, which is fine; one that runs and does not answer was not checked, which is not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import Final

from events.ids import Position
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.sockets import (
    CHECK,
    PROMISE,
    Difference,
    Live,
    NotLive,
    differences,
    findings,
    lasting,
)
from plexbridge.commands.exits import Unreachable
from plexbridge.commands.options import settings_for
from plexbridge.commands.positions import decided_at
from plexbridge.commands.running import ask
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.errors import CannotOpen
from plexbridge.log.lock import writer_of
from plexbridge.log.reader import SqliteReader
from plexbridge.settings import SettingsInvalid

SECOND_LOOK_S: Final = 1.0
"""Between two looks, as between those of the sweep: longer than carrying anything out takes."""

PATH: Final = "/api/audit/live"

Pause = Callable[[float], None]
"""Waits so many seconds."""


def pause(seconds: float) -> None:
    """Wait. A command has no loop, and one made for this would be left half made by Ctrl-C."""
    Event().wait(seconds)


class NoBridge(Exception):
    """None runs on the directory, or it is a file; in words."""


@dataclass(slots=True)
class Beside:
    """A bridge that runs on the directory whose log is audited."""

    directory: Path
    port: int | None
    reader: SqliteReader
    wait: Pause
    unseen: str = ""
    """Why it cannot be seen whether one runs."""
    name: str = CHECK
    promise: str = PROMISE
    examined: int = 0

    def findings(self) -> Iterator[Finding]:
        """What two looks saw, or why there could be none. Blocks.

        Raises:
            Unfoldable: the log does not hold together.
        """
        if self.unseen:
            yield Finding(check=CHECK, kind=Kind.UNCHECKED, pos=None, text=self.unseen)
            return
        try:
            live, found = self._look()
            if found:
                self.wait(SECOND_LOOK_S)
                live, again = self._look()
                found = lasting(found, again)
        except (Unreachable, NotLive, SettingsInvalid) as fault:
            yield Finding(check=CHECK, kind=Kind.UNCHECKED, pos=None, text=str(fault))
            return
        self.examined = live.examined
        yield from findings(found, live.position)

    def _look(self) -> tuple[Live, list[Difference]]:
        answer = ask(settings_for(self.directory, port=self.port), "GET", PATH)
        if not answer.ours:
            raise Unreachable("a bridge runs on this directory, and something else has its port")
        if answer.status != HTTPStatus.OK:
            document = answer.document()
            told = document.get("detail") or HTTPStatus(answer.status).phrase
            raise Unreachable(f"the running bridge answers {answer.status}: {told}")
        live = Live.of(answer.document())
        rows = self.reader.read(live.position - 1, 1)
        if not rows or rows[0].pos != live.position or rows[0].hash != live.hash:
            raise Unreachable("the bridge that answers keeps another log than this one")
        world = decided_at(self.reader, Position(live.position))
        return live, list(differences(live, world))


def beside(directory: Path, reader: SqliteReader, port: int | None, wait: Pause = pause) -> Beside:
    """The bridge that runs on a directory.

    Raises:
        NoBridge: there is none.
    """
    unseen = ""
    try:
        if not directory.is_dir() or writer_of(directory / LOG_FILE) is None:
            raise NoBridge("no bridge runs here, so nothing is open")
    except CannotOpen as fault:
        unseen = f"whether a bridge runs cannot be seen: {fault}"
    return Beside(directory, port, reader, wait, unseen)
