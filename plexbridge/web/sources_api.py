"""The API of sources: how each stands, and reading one now. Never shows a login."""

import asyncio
from collections import Counter
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from events.ids import SourceId
from plexbridge.bridge import Bridge
from plexbridge.lineup.in_force import LineupInForce, SourceStatus, UnknownSource
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.moments import moment_then
from plexbridge.web.past_states import sources_then

MS_PER_S: Final = 1_000


class SourcesApi:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def all(self, request: Request) -> Response:
        """`GET /api/sources[?at=]`: in the order in which they are preferred. At a moment of the
        past: those that had done anything, by id; what no event said is null."""
        bridge = self._bridge
        if "at" not in request.query_params:
            return json_answer(self.documents())
        now = bridge.clock.now() // 1_000
        then = await moment_then(bridge.projector, request.query_params["at"], now)
        found = await asyncio.to_thread(bridge.log.reader.query, lambda it: sources_then(it, then))
        return json_answer(found, 200, **{"X-Position": str(then.position)})

    def documents(self) -> list[dict[str, Any]]:
        """What is answered, for the pages."""
        in_use = self._in_use()
        return [self._document(one, in_use) for one in self._sources.status()]

    async def refresh(self, request: Request) -> Response:
        """`POST /api/sources/{id}/refresh[?accept=fewer]`: reads it now, and answers when that is
        done: how it stands, or 502 with the reason why nothing changed."""
        accept = request.query_params.get("accept")
        if accept not in (None, "fewer"):
            raise ApiError(400, "bad_accept", "accept is fewer, or not given")
        source = SourceId(request.path_params["id"])
        try:
            status = await self._sources.refresh(source, accept_fewer=accept == "fewer")
        except UnknownSource as unknown:
            raise ApiError(404, "unknown_source", f"no source has the id {source}") from unknown
        document = self._document(status, self._in_use())
        if status.problem is not None:
            raise ApiError(502, "refresh_failed", status.problem, source=document)
        return json_answer(document)

    @property
    def _sources(self) -> LineupInForce:
        sources = self._bridge.sources
        assert sources is not None, "a bridge that answers has started"
        return sources

    def _in_use(self) -> dict[str, int]:
        """Connections of each source, as the dashboard shows them; as they were decided on while
        that is being built."""
        if self._bridge.projector.being_built is not None:
            return Counter(lease.source for lease in self._bridge.door.world.leases.values())
        rows = self._bridge.projector.dashboard()["sources"]
        return {row["id"]: row["connections"] for row in rows}

    def _document(self, status: SourceStatus, in_use: dict[str, int]) -> dict[str, Any]:
        source, facts = status.source, status.facts
        account = facts.account if facts is not None else None
        return {
            "id": source.id,
            "kind": source.kind,
            "place": source.place,
            "counts_as": status.counts_as,
            "entries": None if facts is None else facts.entries,
            "odd_lines": None if facts is None else facts.odd_lines,
            "connections": in_use.get(source.id, 0),
            "allowed": self._bridge.allowed(source.id),
            "refreshed_at": None if facts is None else facts.read_at * MS_PER_S,
            "next_refresh_ms": (
                None if status.due_in_s is None else round(status.due_in_s * MS_PER_S)
            ),
            "problem": status.problem,
            "status": None if account is None else account.status,
            "expires_at": (
                None
                if account is None or account.expires_at is None
                else account.expires_at * MS_PER_S
            ),
        }
