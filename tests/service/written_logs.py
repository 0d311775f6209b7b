"""Random households written to a real log file, and what is shown of them."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from events.envelope import NewEvent, Recorded
from plexbridge.audit.checks import check, promises
from plexbridge.commands.folded import dashboard_at
from plexbridge.control import stored
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.reader import SqliteReader
from plexbridge.log.sqlite import SqliteLog
from plexbridge.log.verify import verify_chain
from tests.core.stamped_history import StampedHousehold, stamped_household
from tests.core.test_audit import rows_of


def house(seed: int = 7, steps: int = 900) -> StampedHousehold:
    """A household, a few hundred events long."""
    return stamped_household(seed, steps)


def sound_house(steps: int = 900) -> StampedHousehold:
    """One in which every promise was kept: the first such, since a random house may well be late
    with its sockets."""
    for seed in range(1, 100):
        made = house(seed, steps)
        if not list(check(promises(), rows_of(chain.from_iterable(made.appends)))):
            return made
    raise AssertionError("no house keeps its promises")


def write(data_dir: Path, appends: Iterable[Sequence[NewEvent]]) -> Path:
    """Append each decision to the directory's log; the log's path."""

    async def append() -> None:
        log = SqliteLog(data_dir / LOG_FILE, durability="relaxed")
        await log.run_in_writer(stored.prepare)
        for events in appends:
            log.append(events)
        await log.close()

    data_dir.mkdir(exist_ok=True)
    asyncio.run(append())
    return data_dir / LOG_FILE


def events_of(path: Path) -> list[Recorded]:
    """Every row that is there."""
    with closing(SqliteReader(path)) as reader:
        return reader.read(0, -1)


def shown_at(path: Path, positions: Iterable[int]) -> list[Any]:
    """The dashboards of these positions."""
    with closing(SqliteReader(path)) as reader:
        return [dashboard_at(reader, position) for position in positions]  # type: ignore[arg-type]


def is_whole(path: Path) -> bool:
    """Whether the chain holds."""
    with closing(SqliteReader(path)) as reader:
        return list(verify_chain(reader)) == []
