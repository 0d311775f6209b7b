"""Any moment of the past: the axis of the log with what is marked on it, and who watched then."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.audit.event_json import event_json
from plexbridge.bridge import Bridge
from plexbridge.control.seals import Pruned
from plexbridge.control.timeline import Extent, Timeline
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.asking import milliseconds, moment, number
from plexbridge.web.rendering import Templates
from plexbridge.web.wording import FAILURES

SPANS: Final = (
    (0, "all"),
    (7 * 86_400_000, "7 days"),
    (86_400_000, "24 hours"),
    (3_600_000, "1 hour"),
    (300_000, "5 minutes"),
)
"""How much of the log the axis shows, in milliseconds."""

SPAN_MAX_MS: Final = 100 * 365 * 86_400_000
"""No log is older."""


class TimePage:
    """The endpoints."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates
        self._timeline = Timeline(
            bridge.log.reader, bridge.projector.settle, failures=frozenset(FAILURES)
        )

    async def page(self, request: Request) -> Response:
        """`/time[?at=&span=]`: `at` as `/api/dashboard` takes it, the newest moment without one;
        `span` is how much of the log the axis shows, in milliseconds, 0 for all of it."""
        bridge = self._bridge
        at = request.query_params.get("at", "").strip()
        span = number(request.query_params.get("span"), 0, SPAN_MAX_MS)
        held = await self._timeline.extent()
        asked = moment(at) if at else {"position": bridge.projector.position}
        shown = await self._shown(asked)
        when = min(max(asked.get("at", shown["at"] * 1_000) // 1_000, held.first), held.last)
        since, until = _window(held, when, span)
        around = await self._timeline.neighbours(shown["position"])
        happened = around.happened and event_json(around.happened)
        return self._templates.page(
            request,
            "time.html",
            held=held,
            when=when,
            at=at or str(shown["position"]),
            shown={**shown, "told_at": when},
            happened=happened,
            before=_query(around.before, span),
            after=_query(around.after, span),
            axis=await self._timeline.marks(since, until),
            since=since,
            until=until,
            span=span,
            spans=[
                {
                    "words": words,
                    "query": urlencode({"at": at or shown["position"], "span": ms}),
                    "chosen": ms == span,
                }
                for ms, words in SPANS
            ],
        )

    async def _shown(self, asked: dict[str, int]) -> dict[str, Any]:
        """The dashboard of a moment; of the earliest that there is, where that was pruned."""
        projector = self._bridge.projector
        try:
            return await projector.dashboard_at(**asked)
        except Pruned as pruned:
            return await projector.dashboard_at(position=pruned.first - 1)

    async def document(self, request: Request) -> Response:
        """`GET /api/time[?since=&until=]`: what the log holds, and what is marked in a span."""
        held = await self._timeline.extent()
        given = request.query_params
        since = milliseconds(given["since"]) if "since" in given else held.first
        until = milliseconds(given["until"]) if "until" in given else held.last + 1
        if until <= since:
            raise ApiError(400, "empty_span", "`until` is not behind `since`")
        axis = await self._timeline.marks(since, until)
        return json_answer({**held._asdict(), "axis": axis})


def _window(held: Extent, when: int, span: int) -> tuple[int, int]:
    """The part of the log that the axis shows: around the moment, and inside what is held."""
    first, last = held.first, held.last + 1
    if not span or span >= last - first:
        return first, last
    since = min(max(first, when - span // 2), last - span)
    return since, since + span


def _query(position: int | None, span: int) -> str | None:
    """The address of a moment beside this one."""
    if position is None:
        return None
    more: dict[str, Any] = {"span": span} if span else {}
    return urlencode({"at": position, **more})
