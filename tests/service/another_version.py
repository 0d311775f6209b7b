"""A store that another version of the dashboard left, and ways to hold up the one that is built."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from plexbridge.log.driver import Connection, open_reader, open_writer
from projections import dashboard, lifting, live
from projections.words import Words

OLD = dashboard.VERSION - 1
OLD_WORDS = "as an older version told it"

Tables = dict[str, list[Any]]


@contextmanager
def older_version() -> Iterator[None]:
    """The program as it was: it folds to other documents, under the version before this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dashboard, "VERSION", OLD)
        patch.setitem(lifting.CURRENT, dashboard.NAME, OLD)
        patch.setattr(live, "explain", lambda *_: Words(OLD_WORDS))
        yield


def hold_up(connection: Connection) -> None:
    """From now on the switch fails in its middle, as on a full disk: the old rows are dropped, and
    the new ones do not fit."""
    connection.execute(
        "CREATE TRIGGER held_up BEFORE INSERT ON projections WHEN NEW.name = 'dashboard' "
        f"AND NEW.version = {dashboard.VERSION} BEGIN SELECT RAISE(ABORT, 'full'); END"
    )


def let_go(connection: Connection) -> None:
    """What was held up goes on."""
    connection.execute("DROP TRIGGER held_up")


def change(path: Path, *work: Callable[[Connection], None]) -> None:
    """A file that nobody has open."""
    with closing(open_writer(path)) as connection:
        for one in work:
            one(connection)


def copied(path: Path, to: Path) -> Path:
    """The log as it is on the disk at this moment, though a bridge has it open: by the same SQLite,
    for another one in this process would drop its locks."""
    with closing(open_reader(path)) as there, closing(open_writer(to)) as copy:
        there.raw.backup(copy.raw)
    return to


def shown_tables(path: Path) -> Tables:
    """Every row that belongs to what is shown: of states and sessions, by table."""
    with closing(open_reader(path)) as connection:
        return {
            "projections": connection.execute(
                "SELECT * FROM projections WHERE name = 'dashboard' ORDER BY version, pos"
            ),
            "sessions": connection.execute("SELECT * FROM sessions ORDER BY id"),
        }


def names_of(path: Path) -> set[str]:
    """Tables and indexes that are there."""
    with closing(open_reader(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
