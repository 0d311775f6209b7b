"""What each route takes and answers, by its path and method. Pure data.

Which routes there are, and whom each answers, stays with the route table: what is said here of a
route that the table does not have is said of nothing. What the door refuses is not repeated.
"""

from typing import Any, Final

from events.limits import REASON_CHARS
from plexbridge.lineup.finding import QUERY_CHARS
from plexbridge.web.access.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from plexbridge.web.api import EVENTS_MAX, LIMIT_DEFAULT, LIMIT_MAX
from plexbridge.web.channels_page import ONLY
from plexbridge.web.history_page import FILTER_CHARS, ROWS_MAX
from plexbridge.web.openapi_guide import GUIDE, UNDONE
from plexbridge.web.openapi_notifications import NOTIFICATIONS
from plexbridge.web.openapi_operation import HTML, JSON, NDJSON, Key, Operation, json_of, text_of
from plexbridge.web.openapi_players import OPENED, PLAYED
from plexbridge.web.openapi_schemas import (
    ANYTHING,
    END_REASON,
    FLAG,
    FLAG_TEXT,
    GUIDE_NUMBER,
    MOMENT,
    POSITION,
    REASON_WORD,
    SESSION_ID,
    STATE,
    TIME,
    TIME_MS,
    TYPED_TIME,
    document,
    listed,
    named,
    or_null,
    text,
    whole,
)
from plexbridge.web.openapi_settings import SETTING_UP
from plexbridge.web.openapi_sources import SOURCE_OPTIONS
from plexbridge.web.streams import ROOMS
from plexbridge.web.time_page import SPAN_MAX_MS


def _page(summary: str, *refuses: int, **given: Any) -> Operation:
    return Operation(summary=summary, answers=text_of(HTML), refuses=refuses, **given)


_LIMIT: Final = whole(highest=LIMIT_MAX, default=LIMIT_DEFAULT)
_AT: Final = {"at": MOMENT}
_SESSION: Final = {"id": SESSION_ID}
_FOUND: Final = {
    "q": text(description=f"words, {QUERY_CHARS} characters of them"),
    "group": text(),
    "enabled": FLAG_TEXT,
    "favourite": FLAG_TEXT,
    "edited": FLAG_TEXT,
}
_FILTER: Final = text(maxLength=FILTER_CHARS)
_HISTORY: Final = {
    "q": _FILTER,
    "channel": _FILTER,
    "client": _FILTER,
    "reason": _FILTER,
    "since": TYPED_TIME,
    "until": TYPED_TIME,
    "after": text(pattern="^[0-9]{1,18}-[0-9A-Z]{26}$", description="what `next_after` said"),
}
_PASSWORD: Final = text(minLength=PASSWORD_CHARS_MIN, maxLength=PASSWORD_CHARS_MAX)
_LOGGED_IN: Final = json_of(document({"logged_in": FLAG}))
_EDITED: Final = document(
    {
        "preview": FLAG,
        "changes": whole(),
        "enabled": whole(),
        "consequences": listed(text()),
        "hint": or_null(text()),
        "channels": listed(ANYTHING),
    }
)
_DECIDED: Final = document(
    {
        "reason": REASON_WORD,
        "maintained": FLAG,
        "intentional": FLAG,
        "keep_alive": FLAG,
        "src": text(),
        "dst": text(),
        "position": POSITION,
    }
)


PAGES: Final[dict[Key, Operation]] = {
    ("/", "GET"): Operation(
        summary="Who watches now",
        query=_AT,
        answers={200: {HTML: text()}, 303: {}},
    ),
    ("/channels", "GET"): _page(
        "The lineup, to look through and to edit",
        400,
        query={**_FOUND, "only": text(enum=[*ONLY]), "after": GUIDE_NUMBER},
    ),
    ("/sessions/{id}", "GET"): _page("One session's story", 400, 404, query=_AT, path=_SESSION),
    ("/history", "GET"): _page("What was watched", 400, query=_HISTORY),
    ("/time", "GET"): _page(
        "Any moment of the past", 400, query={**_AT, "span": whole(highest=SPAN_MAX_MS)}
    ),
    ("/events", "GET"): _page(
        "The log, the newest events first",
        400,
        404,
        query={
            **_AT,
            **dict.fromkeys(("type", "stream", "text"), _FILTER),
            "before": POSITION,
            "after": POSITION,
        },
    ),
    ("/sources", "GET"): _page(
        "What each source and guide gives, and how it stands", 400, 404, query=_AT
    ),
    ("/status", "GET"): _page("Every thing looked at: good, or worth a look", 400, 404, query=_AT),
}

SESSIONS: Final[dict[Key, Operation]] = {
    ("/api/dashboard", "GET"): Operation(
        summary="Tuners, sessions and sources, now or at a moment",
        query=_AT,
        answers=json_of(named("Dashboard")),
        refuses=(400, 404),
    ),
    ("/api/sessions", "GET"): Operation(
        summary="Sessions, open and ended, the newest first",
        query={
            "state": STATE,
            "channel": text(description="its id or its guide number"),
            "client": text(description="its address"),
            "since": TIME,
            "limit": _LIMIT,
            "after": text(description="go on below this session's id"),
        },
        answers=json_of(listed(named("Session"))),
        refuses=(400,),
    ),
    ("/api/sessions", "DELETE"): Operation(
        summary="End the sessions of a client, of a channel, or all: one of the three",
        query={
            "client": text(description="an address"),
            "channel": text(description="an id"),
            "all": text(enum=["true"]),
            "reason": END_REASON,
        },
        answers=json_of(
            document({"ended": listed(or_null(named("Session"))), "position": or_null(POSITION)})
        ),
        refuses=(400,),
    ),
    ("/api/sessions/{id}", "GET"): Operation(
        summary="One session", path=_SESSION, answers=json_of(named("Session")), refuses=(404,)
    ),
    ("/api/sessions/{id}", "DELETE"): Operation(
        summary="End a session, under every policy",
        path=_SESSION,
        query={"reason": END_REASON},
        answers=json_of(document({"ended": or_null(named("Session")), "position": POSITION})),
        refuses=(400, 404, 409, 503),
    ),
    ("/api/sessions/{id}/events", "GET"): Operation(
        summary="The events of a session",
        path=_SESSION,
        answers=json_of(listed(named("Event"))),
        refuses=(404,),
    ),
    ("/api/sessions/{id}/events.ndjson", "GET"): Operation(
        summary="The events of a session and of its relay meanwhile, as a file",
        path=_SESSION,
        query=_AT,
        answers=text_of(NDJSON),
        refuses=(400, 404),
    ),
    ("/api/sessions/{id}/story", "GET"): Operation(
        summary="Why a session ended, with the evidence",
        path=_SESSION,
        query=_AT,
        answers=json_of(document({"id": SESSION_ID, "state": text(), "position": POSITION})),
        refuses=(400, 404),
    ),
    ("/api/sessions/{id}/disconnect", "POST"): Operation(
        summary="Report why a session's connection ended; the policy decides what follows",
        path=_SESSION,
        body=document({"reason": REASON_WORD}, description=f"{REASON_CHARS} characters at most"),
        answers=json_of(_DECIDED),
        refuses=(400, 404, 409, 413, 503),
    ),
    ("/api/history", "GET"): Operation(
        summary="Sessions that ended in a span of time, with totals and a chart",
        query={**_HISTORY, "limit": whole(highest=ROWS_MAX, default=100)},
        answers=json_of(
            document(
                {
                    "since": TIME_MS,
                    "until": TIME_MS,
                    "sessions": listed(ANYTHING),
                    "next_after": or_null(text()),
                    "totals": ANYTHING,
                    "chart": ANYTHING,
                }
            )
        ),
        refuses=(400,),
    ),
    ("/api/time", "GET"): Operation(
        summary="What the log holds, and what is marked in a span of time",
        query={"since": TIME, "until": TIME},
        answers=json_of(
            document({"first": TIME_MS, "last": TIME_MS, "position": POSITION, "axis": ANYTHING})
        ),
        refuses=(400,),
    ),
}

LINEUP: Final[dict[Key, Operation]] = {
    ("/api/channels", "GET"): Operation(
        summary="The lineup in force, with the disabled channels",
        query={**_FOUND, "limit": _LIMIT, "after": GUIDE_NUMBER},
        answers=json_of(listed(named("Channel"))),
        refuses=(400,),
    ),
    ("/api/channels/groups", "GET"): Operation(
        summary="How many channels each group has, and how many are enabled",
        answers=json_of(document({"groups": listed(ANYTHING), "enabled": whole()})),
    ),
    ("/api/channels/bulk", "POST"): Operation(
        summary="Edit many channels, or only say what that would change (`preview`)",
        body=named("BulkEdit"),
        answers=json_of(_EDITED),
        refuses=(400, 404, 409, 413, 503),
    ),
    ("/api/channels/{id}", "GET"): Operation(
        summary="One channel, and what it is edited from",
        answers=json_of(named("Channel")),
        refuses=(404,),
    ),
    ("/api/channels/{id}", "PUT"): Operation(
        summary="Edit a channel",
        body=named("ChannelEdit"),
        answers=json_of(named("Channel")),
        refuses=(400, 404, 409, 413, 503),
    ),
    ("/api/sources", "GET"): Operation(
        summary="How each source stands, or stood at a moment",
        query=_AT,
        answers=json_of(listed(named("Source"))),
        refuses=(400, 404),
    ),
    ("/api/sources/{id}/refresh", "POST"): Operation(
        summary="Read a source now, and answer when that is done; 502: nothing changed",
        query={"accept": text(enum=["fewer"])},
        answers=json_of(named("Source")),
        refuses=(400, 404, 502),
    ),
    ("/api/guides", "GET"): Operation(
        summary="How each guide stands, the most trusted first, or stood at a moment",
        query=_AT,
        answers=json_of(
            listed(document({"id": text(), "kind": text(), "problem": or_null(text())}))
        ),
        refuses=(400, 404),
    ),
    ("/api/guides/refresh", "POST"): Operation(
        summary="Have every guide read soon",
        answers={202: {JSON: document({"asked": whole()})}},
        refuses=(409,),
    ),
}

STATUS: Final[dict[Key, Operation]] = {
    ("/api/status", "GET"): Operation(
        summary="Health in lines, each with its verdict, and in figures, now or at a moment",
        query=_AT,
        refuses=(400, 404),
        answers=json_of(document({"lines": listed(ANYTHING), "figures": ANYTHING})),
    ),
    ("/api/summary", "GET"): Operation(
        summary="Numbers and short words, for other programs' dashboards",
        answers=json_of(
            document(
                {
                    "tuners_in_use": whole(),
                    "tuners_total": whole(),
                    "sessions": whole(),
                    "channels": whole(),
                    "problem": text(),
                    "version": text(),
                }
            )
        ),
    ),
}

LOG: Final[dict[Key, Operation]] = {
    ("/api/events", "GET"): Operation(
        summary="Recorded events, one a line",
        query={
            "after": POSITION,
            "limit": whole(highest=EVENTS_MAX, default=LIMIT_DEFAULT),
            "stream": text(),
            "type": text(),
        },
        answers=text_of(NDJSON),
        refuses=(400,),
    ),
    ("/api/live", "GET"): Operation(
        summary="Events as they are recorded; `Last-Event-ID` goes on, or is told of a `gap`",
        query={"after": POSITION},
        answers=text_of("text/event-stream"),
        endless=True,
    ),
    ("/api/log/head", "GET"): Operation(
        summary="The log's end, to be kept elsewhere as an anchor",
        answers=json_of(document({"position": POSITION, "hash": text(pattern="^[0-9a-f]{64}$")})),
    ),
    ("/api/audit/live", "GET"): Operation(
        summary="Connections, relays, leases and child processes at one position of the log",
        answers=json_of(named("Live")),
        refuses=(503,),
    ),
    ("/api/openapi.json", "GET"): Operation(
        summary="This document",
        answers=json_of(document({"openapi": text(), "info": ANYTHING, "paths": ANYTHING})),
    ),
    ("/ws", "WS"): Operation(
        summary=f"The same as /api/live, over a WebSocket; rooms: {', '.join(sorted(ROOMS))}",
        query={"rooms": text(default="streaming"), "after": POSITION},
        answers={101: {}},
        endless=True,
    ),
}

ACCESS: Final[dict[Key, Operation]] = {
    ("/access", "GET"): Operation(
        summary="Whether this browser is logged in",
        answers=json_of(
            document({"logged_in": FLAG, "role": or_null(text()), "password_set": FLAG})
        ),
    ),
    ("/login", "GET"): _page("The password is asked for", query={"next": text()}),
    ("/login", "POST"): Operation(
        summary="Log in",
        body=document({"password": text()}),
        answers=_LOGGED_IN,
        refuses=(400, 401, 409, 413, 429),
    ),
    ("/logout", "POST"): Operation(summary="This browser's session ends", answers=_LOGGED_IN),
    ("/setup", "GET"): _page("What the one-time link opens", query={"code": text()}),
    ("/setup", "POST"): Operation(
        summary="Set the first password; uses the link up",
        body=document({"code": text(), "password": _PASSWORD}),
        answers=_LOGGED_IN,
        refuses=(400, 409, 413, 422, 507),
    ),
    ("/api/access/password", "POST"): Operation(
        summary="Change the password: every other session ends",
        body=document({"current": text(), "password": _PASSWORD}),
        answers=_LOGGED_IN,
        refuses=(400, 409, 413, 422, 429, 507),
    ),
    ("/api/access/link", "POST"): Operation(
        summary="A one-time link, for commands on the bridge's machine",
        answers=json_of(document({"path": text(), "valid_s": whole()})),
        refuses=(409,),
    ),
}

OPERATIONS: Final[dict[Key, Operation]] = {
    **PAGES,
    **SESSIONS,
    **LINEUP,
    **GUIDE,
    **UNDONE,
    **STATUS,
    **LOG,
    **ACCESS,
    **SETTING_UP,
    **SOURCE_OPTIONS,
    **NOTIFICATIONS,
    **OPENED,
    **PLAYED,
}
