"""The story of one session: why it ended, what it did over time, and the events that say so."""

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from plexbridge.audit.account import account, anonymous
from plexbridge.audit.event_json import event_json
from plexbridge.audit.evidence import Evidence, gather
from plexbridge.bridge import Bridge
from plexbridge.control.seals import Pruned
from plexbridge.version import __version__
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.api import session_asked
from plexbridge.web.asking import moment
from plexbridge.web.moments import gone, shown_then
from plexbridge.web.rendering import Templates


class StoryPage:
    """The endpoints. Each takes `?at=`: then the log is read as far as it went at that moment."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates

    async def page(self, request: Request) -> Response:
        """`/sessions/{id}[?at=]`."""
        evidence, now, at = await self._evidence(request)
        document = await asyncio.to_thread(account, evidence, now=now)
        return self._templates.page(
            request,
            "story.html",
            story=document,
            at=at,
            issue=anonymous(document, __version__),
        )

    async def document(self, request: Request) -> Response:
        """`GET /api/sessions/{id}/story[?at=]`: what the page shows."""
        evidence, now, _ = await self._evidence(request)
        return json_answer(await asyncio.to_thread(account, evidence, now=now))

    async def download(self, request: Request) -> Response:
        """`GET /api/sessions/{id}/events.ndjson[?at=]`: every event of the session and of its
        relay meanwhile, as a file."""
        evidence, _, _ = await self._evidence(request)
        name = request.path_params["id"]
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="session-{name}.ndjson"',
        }
        return StreamingResponse(
            _lines(evidence), media_type="application/x-ndjson", headers=headers
        )

    async def _evidence(self, request: Request) -> tuple[Evidence, int, str | None]:
        """With the moment's time in microseconds, and how it was asked for."""
        bridge, session = self._bridge, session_asked(request)
        at = request.query_params.get("at")
        now, position = bridge.clock.now(), bridge.projector.horizon
        if at is not None:
            then: dict[str, Any] = await shown_then(bridge.projector, moment(at))
            position = then["position"]
            now = min(now, moment(at).get("at", then["at"] * 1_000))
        try:
            evidence = await asyncio.to_thread(gather, bridge.log.reader, session, up_to=position)
        except Pruned as pruned:
            raise gone(pruned) from pruned
        if evidence is None:
            raise ApiError(404, "unknown_session", "no session has this id, or it had not begun")
        return evidence, now, at


def _lines(evidence: Evidence) -> Iterator[bytes]:
    for row in sorted([*evidence.session, *evidence.channel], key=lambda row: row.pos):
        yield orjson.dumps(event_json(row)) + b"\n"
