"""The log itself, the newest events first: found by type, stream and text, each with its cause."""

import asyncio
import re
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from events.envelope import Recorded
from plexbridge.audit.event_json import event_json
from plexbridge.audit.evidence import positions_of
from plexbridge.bridge import Bridge
from plexbridge.log import rows as log_rows
from plexbridge.log.driver import Connection
from plexbridge.web.asking import POSITION_MAX, moment, number
from plexbridge.web.moments import shown_then
from plexbridge.web.rendering import Templates

ROWS_MAX: Final = 200
"""Events on one page; the script that keeps it live holds more, and that is bounded too."""

LOOKED_AT_MAX: Final = 100_000
"""Events looked through for one page of those that match: a tenth of a second; the page says how
far it came, and goes on from there."""

FILTER_CHARS: Final = 200
FILTERS: Final = ("type", "stream", "text")

_SHOWN_DATA: Final = "json_remove(CAST(data AS TEXT), '$.client.key')"
"""What is looked through is what is shown: not what identifies a player."""


class EventsPage:
    """The endpoint; its JSON is `/api/events`."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates

    async def page(self, request: Request) -> Response:
        """`/events[?type=&stream=&text=&before=&after=&at=]`: a type, the beginning of a stream's
        name, any text of an event; those before a position, after one, up to a moment."""
        bridge, asked = self._bridge, request.query_params
        given = {
            name: text for name in FILTERS if (text := asked.get(name, "").strip()[:FILTER_CHARS])
        }
        head = bridge.projector.horizon
        before = number(asked.get("before"), head + 1, POSITION_MAX)
        after = number(asked.get("after"), 0, POSITION_MAX)
        if "at" in asked:
            then = await shown_then(bridge.projector, moment(asked["at"]))
            before = min(before, then["position"] + 1)
        before = min(before, head + 1)
        floor = max(after, before - 1 - LOOKED_AT_MAX)
        rows, causes = await asyncio.to_thread(
            bridge.log.reader.query, lambda it: _found(it, given, floor, before)
        )
        more = len(rows) > ROWS_MAX
        rows = rows[:ROWS_MAX]
        last = rows[-1].pos if more else floor + 1
        return self._templates.page(
            request,
            "events.html",
            events=[_told(row, causes) for row in rows],
            given=given,
            head=head,
            before=before,
            after=after,
            live="before" not in asked and "at" not in asked,
            more=more,
            looked_to=floor if not more and floor > after else None,
            older=urlencode({**given, "before": last}) if more or floor > after else None,
            newest=urlencode(given),
        )


def _found(
    connection: Connection, given: dict[str, str], floor: int, before: int
) -> tuple[list[Recorded], dict[bytes, int]]:
    """One more than a page holds, the newest first; and where their causes stand."""
    parts, values = ["pos > ?", "pos < ?"], list[str | int]((floor, before))
    if "type" in given:
        parts.append("type = ?")
        values.append(given["type"])
    if "stream" in given:
        parts.append("substr(stream, 1, ?) = ?")
        values += [len(given["stream"]), given["stream"]]
    if "text" in given:
        parts.append(f"(type || ' ' || stream || ' ' || {_SHOWN_DATA}) LIKE ? ESCAPE '~'")
        values.append(f"%{re.sub('[~%_]', lambda wild: f'~{wild[0]}', given['text'])}%")
    found = connection.execute(
        f"SELECT {log_rows.COLUMNS} FROM events WHERE {' AND '.join(parts)} "
        "ORDER BY pos DESC LIMIT ?",
        (*values, ROWS_MAX + 1),
    )
    rows = [Recorded._make(row) for row in found]
    return rows, positions_of(connection, [row.cause for row in rows if row.cause is not None])


def _told(row: Recorded, causes: dict[bytes, int]) -> dict[str, Any]:
    cause = None if row.cause is None else causes.get(row.cause)
    return {**event_json(row), "cause_pos": cause}
