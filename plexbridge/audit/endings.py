"""Every session ends exactly once, and none outlives the bridge that served it."""

from collections.abc import Iterator
from typing import Any

from events.envelope import Recorded
from events.machine import ENDED
from events.world import World
from plexbridge.audit.findings import Finding
from plexbridge.audit.steps import SESSION_PREFIX


class OneEnd:
    """Counts terminal events per session."""

    name = "endings"
    promise = "every session has exactly one terminal event, or is still open"
    passes_over: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._ended: dict[str, str] = {}
        """Streams, and where that happened, in words."""
        self._ended_earlier: dict[str, str] = {}

    @property
    def examined(self) -> int:
        """Sessions seen."""
        return len(self._open) + len(self._ended)

    def begin(self, world: World, pos: int) -> None:
        """Take over which sessions are open, and which are remembered to have ended."""
        self._open = {f"{SESSION_PREFIX}{name}": f"before #{pos + 1}" for name in world.sessions}
        self._ended_earlier = {f"{SESSION_PREFIX}{name}": f"by #{pos}" for name in world.ended}

    def event(self, row: Recorded, data: dict[str, Any]) -> Iterator[Finding]:
        """Follow a session's end, and the starts of the bridge."""
        if row.type == "started":
            yield from self._left_open(row)
        if not row.stream.startswith(SESSION_PREFIX):
            return
        ended = self._ended.get(row.stream) or self._ended_earlier.get(row.stream)
        if row.dst != ENDED:
            if ended is None:
                self._open.setdefault(row.stream, f"#{row.pos}")
            return
        if ended is not None:
            text = f"{row.stream}: a second terminal event ({row.type}), it ended {ended}"
            yield Finding(check=self.name, pos=row.pos, text=text)
            return
        self._open.pop(row.stream, None)
        self._ended[row.stream] = f"at #{row.pos}"

    def end(self) -> tuple[()]:
        """Sessions that are open now are no fault."""
        return ()

    def _left_open(self, row: Recorded) -> Iterator[Finding]:
        for stream, since in self._open.items():
            text = f"{stream}: open since {since}, and the bridge started without ending it"
            yield Finding(check=self.name, pos=row.pos, text=text)
            self._ended[stream] = f"at #{row.pos}"  # said once
        self._open.clear()
