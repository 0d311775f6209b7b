"""`/api/summary`: one flat answer for dashboards of other programs (Homepage's `customapi`, Home
Assistant's REST sensors), which read numbers and short words and no more."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.version import __version__
from plexbridge.web.answers import json_answer
from plexbridge.web.health_lines import memory_lines
from plexbridge.web.health_page import in_memory
from plexbridge.web.source_states import guide_line, source_line
from plexbridge.web.sources_api import SourcesApi
from plexbridge.web.sources_page import guide_documents
from plexbridge.web.verdicts import Verdict

PROBLEM_CHARS_MAX = 250
"""Home Assistant holds 255 characters of a state; a longer one is refused whole."""


class Summary:
    """The endpoint. Asks no disk: dashboards ask it every few seconds."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._sources = SourcesApi(bridge)

    async def summary(self, request: Request) -> Response:
        """`GET /api/summary`."""
        return json_answer(self._document())

    def _document(self) -> dict[str, Any]:
        bridge = self._bridge
        shown, now = bridge.projector.dashboard(), bridge.clock.now() // 1_000
        sources = [source_line(one, now) for one in self._sources.documents()]
        guides = [guide_line(one, now) for one in guide_documents(bridge)]
        lines = [*memory_lines(in_memory(bridge)), *sources, *guides]
        worst = next((line for line in lines if line.verdict is Verdict.LOOK), None)
        return {
            "tuners_in_use": sum(tuner["state"] == "active" for tuner in shown["tuners"]),
            "tuners_total": len(shown["tuners"]),
            "sessions": len(shown["sessions"]),
            "channels": len(bridge.lineup),
            "sources_ok": sum(line.verdict is Verdict.GOOD for line in sources),
            "sources_total": len(sources),
            "problem": "" if worst is None else _short(f"{worst.name}: {worst.words}"),
            "bitrate_out": bridge.gauges.document()["bitrate_out"],
            "version": __version__,
        }


def _short(text: str) -> str:
    return text if len(text) <= PROBLEM_CHARS_MAX else f"{text[: PROBLEM_CHARS_MAX - 1]}…"
