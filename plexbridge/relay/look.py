"""The one look a second at what passes through a relay: tables, and the programme's clock.

Everything else of a block is an addition and a send. Pure.
"""

from typing import NamedTuple

from plexbridge.relay.mpegts import Block
from plexbridge.relay.pace import Pace, last_pcr, seconds_between
from plexbridge.relay.tables import TableReader, Tables

LOOK_EVERY_S = 1.0
"""PAT and PMT repeat at least twice a second; whoever joins gets them no older than this."""


MEASURED_S_MAX = 30.0
"""A clock that is further on than this was set."""


class Seen(NamedTuple):
    """What one look brought."""

    tables: Tables | None
    pace: float | None
    """Programme seconds per second; None while it is not known."""
    media_bytes_s: float | None
    """Bytes per programme second since the look before; None while that is not known."""


class Look:
    """Looks at block after block until both tables and a clock reference were seen, then not
    again for a second."""

    def __init__(self) -> None:
        self.due_at = 0.0
        """Monotonic seconds; blocks that come earlier need not be shown."""
        self._reader = TableReader()
        self._pcr_pid: int | None = None
        self._pace = Pace()
        self._before: tuple[int, int] | None = None

    def at(self, block: Block, now: float, total_bytes: int) -> Seen:
        """Look at a block of whole packets; `total_bytes` came until its end, all together."""
        tables = self._reader.feed(block)
        if tables is None:
            return Seen(None, None, None)
        self._pcr_pid = tables.pcr_pid
        self._reader = TableReader()
        self.due_at = now + LOOK_EVERY_S
        pcr = None if self._pcr_pid is None else last_pcr(block, self._pcr_pid)
        if pcr is None:
            return Seen(tables, None, None)
        before, self._before = self._before, (pcr, total_bytes)
        return Seen(tables, self._pace.saw(pcr, now), _media_rate(before, self._before))

    def paused(self) -> None:
        """The upstream was not read for a while, by our own will."""
        self._pace.restart()


def _media_rate(before: tuple[int, int] | None, after: tuple[int, int]) -> float | None:
    """Bytes per programme second between two sights of the clock, however long we paused."""
    if before is None:
        return None
    programme_s = seconds_between(before[0], after[0])
    if not 0 < programme_s < MEASURED_S_MAX:
        return None
    return (after[1] - before[1]) / programme_s
