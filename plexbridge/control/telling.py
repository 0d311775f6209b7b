"""The log lines people watch for, told from what is durable (DESIGN 8.5, the seed's words)."""

from typing import cast

import structlog

from events.envelope import Recorded
from events.machine import DISCONNECT, ENDED, ERROR, RECLAIM
from events.payloads import EndData
from plexbridge.log.port import Durable

_ENDING = frozenset({ERROR, DISCONNECT, RECLAIM})

_ENDED_KEPT = 10_000
"""Ended sessions whose second terminal event would be noticed at once; `audit` looks at all."""


class Telling:
    """A listener of the log."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("plexbridge.sessions")
        self._ended: dict[str, None] = {}

    def became_durable(self, rows: Durable) -> None:
        """Say what happened to sessions."""
        for row in rows:
            if row.type in _ENDING:
                self._cleanup(row)
            elif row.type == "tuner_leased":
                self._log.info(
                    "Tuner leased", tuner=row.payload["tuner"], channel=row.stream, position=row.pos
                )
            elif row.type == "source_changed":
                self._log.warning(
                    "Relay goes on with another source",
                    channel=row.stream,
                    source=row.payload["source"],
                    before=row.payload["before"],
                    position=row.pos,
                )
            elif row.type == "tuner_released":
                self._log.info(
                    "Tuner released",
                    tuner=row.payload["tuner"],
                    channel=row.stream,
                    why=row.payload["why"],
                    position=row.pos,
                )

    def _cleanup(self, row: Recorded) -> None:
        data = cast(EndData, row.payload)
        session = row.stream.removeprefix("session-")
        self._log.info(
            "Session cleanup decision",
            session=session,
            reason=data["reason"],
            detail=data["detail"],
            isIntentionalDisconnect=data["intentional"],
            shouldMaintainSession=data["maintained"],
            SESSION_KEEP_ALIVE=data["keep_alive"],
            position=row.pos,
        )
        if row.dst != ENDED:
            return
        if session in self._ended:
            self._log.error(
                "Multiple cleanup locks for same session - investigate",
                session=session,
                position=row.pos,
            )
        self._ended[session] = None
        if len(self._ended) > _ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
