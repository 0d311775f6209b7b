"""Recording an event without a running bridge, as the door of one does."""

from collections.abc import Awaitable, Callable, Mapping
from secrets import randbits
from typing import Final

from events.envelope import NewEvent
from plexbridge.clock import SteadyClock
from plexbridge.ids import Ids
from plexbridge.log.port import Durable
from plexbridge.log.sqlite import SqliteLog

SCHEMA: Final = 1

Noting = Callable[[str, str, Mapping[str, object]], Awaitable[Durable]]


def noting(log: SqliteLog) -> Noting:
    """Appends an event of a stream, type and payload; `log` is open for writing by nobody else."""
    clock = SteadyClock()
    ids = Ids(clock, randbits)

    async def note(stream: str, type_: str, payload: Mapping[str, object]) -> Durable:
        id_ = ids.event()
        event = NewEvent(
            stream=stream,
            ver=log.reader.version(stream) + 1,
            type=type_,
            schema=SCHEMA,
            src=None,
            dst=None,
            machine=None,
            at=clock.now(),
            id=id_,
            corr=id_,
            cause=None,
            actor="admin",
            node=log.node,
            fence=0,
            payload=payload,
        )
        return await log.append([event])

    return note
