"""Every session ends exactly once, and none outlives the bridge that served it."""

from collections.abc import Iterator
from typing import Any

from events.envelope import Recorded
from events.machine import ENDED
from plexbridge.audit.findings import Finding
from plexbridge.audit.steps import SESSION_PREFIX


class OneEnd:
    """Counts terminal events per session."""

    name = "endings"
    promise = "every session has exactly one terminal event, or is still open"

    def __init__(self) -> None:
        self._open: dict[str, int] = {}
        self._ended: dict[str, int] = {}

    @property
    def examined(self) -> int:
        """Sessions seen."""
        return len(self._open) + len(self._ended)

    def event(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        """Follow a session's end, and the starts of the bridge."""
        if row.type == "started":
            yield from self._left_open(row)
        if not row.stream.startswith(SESSION_PREFIX):
            return
        ended_at = self._ended.get(row.stream)
        if row.dst != ENDED:
            if ended_at is None:
                self._open.setdefault(row.stream, row.pos)
            return
        if ended_at is not None:
            text = f"{row.stream}: a second terminal event ({row.type}), it ended at #{ended_at}"
            yield Finding(check=self.name, pos=row.pos, text=text)
            return
        self._open.pop(row.stream, None)
        self._ended[row.stream] = row.pos

    def end(self) -> tuple[()]:
        """Sessions that are open now are no fault."""
        return ()

    def _left_open(self, row: Recorded) -> Iterator[Finding]:
        for stream, since in self._open.items():
            text = f"{stream}: open since #{since}, and the bridge started without ending it"
            yield Finding(check=self.name, pos=row.pos, text=text)
            self._ended[stream] = row.pos  # said once
        self._open.clear()
