"""What was watched: the sessions that ended in a span of time, found by what one asks."""

import re
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.control.history import Asked, History
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.asking import number, typed_time
from plexbridge.web.rendering import Templates
from plexbridge.web.wording import FAILURES

ROWS_MAX: Final = 200
"""Sessions on one page: as many as a phone draws without a pause; the next ones are asked for."""

FILTER_CHARS: Final = 200
"""Of each thing that is asked for; nothing it is compared with is longer."""

SINCE_DEFAULT: Final = "7d"
SPANS: Final = (("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("0", "all"))
"""What is offered beside dates."""

FILTERS: Final = ("q", "channel", "client", "reason", "since", "until")

_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9A-Z]{26})")


class HistoryPage:
    """The endpoints."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates
        self._history = History(
            bridge.log.reader, bridge.projector.settle, failures=frozenset(FAILURES)
        )

    async def page(self, request: Request) -> Response:
        """`/history` with its filters in the address: `q, channel, client, reason, since, until`,
        and `after` for the rows that follow."""
        asked, found = await self._found(request, ROWS_MAX)
        given = {
            name: text for name in FILTERS if (text := request.query_params.get(name, "").strip())
        }
        spans = [
            {
                "words": words,
                "query": urlencode({**_without(given, "since", "until"), "since": since}),
                "chosen": given.get("since", SINCE_DEFAULT) == since and "until" not in given,
            }
            for since, words in SPANS
        ]
        after = found["next_after"]
        return self._templates.page(
            request,
            "history.html",
            found=found,
            given=given,
            since=asked.since,
            until=asked.until,
            spans=spans,
            reasons=sorted(self._bridge.projector.dashboard()["totals"]["ended"]),
            next_page=after and urlencode({**given, "after": after}),
            first_page=urlencode(given) if "after" in request.query_params else None,
            queries={name: urlencode(_without(given, name)) for name in ("channel", "client")},
            chart=orjson.dumps(found["chart"]).decode(),
        )

    async def document(self, request: Request) -> Response:
        """`GET /api/history`: what the page shows; `limit` as well."""
        limit = number(request.query_params.get("limit"), 100, ROWS_MAX)
        asked, found = await self._found(request, limit)
        return json_answer({"since": asked.since, "until": asked.until, **found})

    async def _found(self, request: Request, limit: int) -> tuple[Asked, dict[str, Any]]:
        now = self._bridge.clock.now() // 1_000
        given = {
            name: request.query_params.get(name, "").strip()[:FILTER_CHARS] for name in FILTERS
        }
        since = typed_time(given["since"] or SINCE_DEFAULT, now)
        # What ended in this very millisecond belongs to it.
        until = typed_time(given["until"], now) if given["until"] else now + 1
        if until <= since:
            raise ApiError(400, "empty_span", "`until` is not behind `since`")
        asked = Asked(
            since=since,
            until=until,
            channel=given["channel"] or None,
            client=given["client"] or None,
            reason=given["reason"] or None,
            text=given["q"],
        )
        return await self._history.find(
            asked, limit=limit, after=_cursor(request.query_params.get("after"))
        )


def _without(given: dict[str, str], *names: str) -> dict[str, str]:
    return {name: text for name, text in given.items() if name not in names}


def _cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise ApiError(400, "not_a_place", "`after` is what `next_after` said")
    return int(found[1]), found[2]
