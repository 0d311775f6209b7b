"""The page of sources: what each account and guide gives, how it stands, and reading it anew.

Shows the documents of the API, with what the log tells of the last trouble; never a login.
"""

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.lineup.guide.in_force import GuideStatus
from plexbridge.web.access.roles import IDENTITY, Role
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.moments import moment_then
from plexbridge.web.past_states import Moment, guides_then, sources_then
from plexbridge.web.rendering import Templates
from plexbridge.web.source_states import FEWER, guide_line, source_line
from plexbridge.web.sources_api import SourcesApi
from plexbridge.web.verdicts import relative
from projections.words import explain

MS_PER_S: Final = 1_000

Row = dict[str, Any]


class SourcesPage:
    """The endpoints."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates
        self._api = SourcesApi(bridge)

    async def page(self, request: Request) -> Response:
        """`/sources[?at=]`: now, or at a moment of the past, where nothing can be done."""
        if "at" in request.query_params:
            return await self._past(request)
        now = self._bridge.clock.now() // 1_000
        troubles = {
            row["id"]: row["last_lost"] for row in self._bridge.projector.dashboard()["sources"]
        }
        return self._templates.page(
            request,
            "sources.html",
            told_at=now,
            sources=[
                source_row(one, troubles.get(one["id"]), now) for one in self._api.documents()
            ],
            guides=[_guide_row(one, now) for one in guide_documents(self._bridge)],
            wanted=len(self._bridge.lineup),
            may_refresh=request.scope[IDENTITY].role.may(Role.ADMIN),
            past=None,
        )

    async def _past(self, request: Request) -> Response:
        then = await self._then(request)
        query = self._bridge.log.reader.query
        sources, guides = await asyncio.to_thread(
            query, lambda it: (sources_then(it, then), guides_then(it, then))
        )
        troubles = {row["id"]: row["last_lost"] for row in then.shown["sources"]}
        return self._templates.page(
            request,
            "sources.html",
            told_at=then.when,
            sources=[source_row(one, troubles[one["id"]], then.when) for one in sources],
            guides=[_guide_row(one, then.when) for one in guides],
            wanted=None,
            may_refresh=False,
            past=then,
        )

    async def _then(self, request: Request) -> Moment:
        bridge = self._bridge
        now = bridge.clock.now() // 1_000
        return await moment_then(bridge.projector, request.query_params["at"], now)

    async def guides(self, request: Request) -> Response:
        """`GET /api/guides[?at=]`: the most trusted first; at a moment of the past by id."""
        if "at" not in request.query_params:
            return json_answer(guide_documents(self._bridge))
        then = await self._then(request)
        query = self._bridge.log.reader.query
        found = await asyncio.to_thread(query, lambda it: guides_then(it, then))
        return json_answer(found, 200, **{"X-Position": str(then.position)})

    async def refresh_guides(self, request: Request) -> Response:
        """`POST /api/guides/refresh`: has every guide read soon, one after the other; 202 at once,
        for a big one takes minutes."""
        guides = self._bridge.guides
        if guides is None or not guides.status():
            raise ApiError(409, "no_guide", "there is no guide to read")
        guides.refresh()
        return json_answer({"asked": len(guides.status())}, 202)


def guide_documents(bridge: Bridge) -> list[Row]:
    """How it stands with each guide; times in Unix milliseconds."""
    guides = () if bridge.guides is None else bridge.guides.status()
    return [_guide(number, one) for number, one in enumerate(guides, 1)]


def source_row(source: Row, lost: Row | None, now: int) -> Row:
    """A source's document as the page shows it; `lost`: its last trouble in a stream."""
    words = None if lost is None else explain(lost["reason"], lost["detail"])
    used, allowed = source["connections"], source["allowed"]
    return {
        **source,
        "line": source_line(source, now).document(),
        "used_percent": min(100, round(100 * used / allowed)) if allowed else None,
        "refreshed": _moment(source["refreshed_at"], now),
        "next": (
            None
            if source["next_refresh_ms"] is None
            else _moment(now + source["next_refresh_ms"], now)
        ),
        "expires": _moment(source["expires_at"], now),
        "lost": words and {"text": words.text, "mends": words.mends},
        "lost_at": None if lost is None else _moment(lost["at"], now),
        "may_be_fewer": FEWER in (source["problem"] or ""),
    }


def _guide_row(guide: Row, now: int) -> Row:
    return {
        **guide,
        "line": guide_line(guide, now).document(),
        "read": _moment(guide["read_at"], now),
        "ends": _moment(guide["ends_at"], now),
    }


def _guide(number: int, status: GuideStatus) -> Row:
    figures = status.figures
    return {
        "id": status.key,
        "name": f"Guide {number}",
        "kind": "xmltv",
        "place": status.place,
        "programmes": None if figures is None else figures.kept,
        "matched": None if figures is None else figures.matched,
        "odd": None if figures is None else figures.odd,
        "bytes": None if figures is None else figures.bytes,
        "read_at": None if status.read_at is None else status.read_at * MS_PER_S,
        "ends_at": None if figures is None else figures.latest * MS_PER_S,
        "problem": status.problem,
    }


def _moment(at: int | None, now: int) -> Row | None:
    return None if at is None else {"at": at, "words": relative(at, now)}
