"""What the bridge's JSON looks like, as schemas of OpenAPI 3.1 (JSON Schema 2020-12). Pure data.

Bounds and words are those of the modules that enforce them, never written a second time. Objects
may gain members: a program has to pass over those it does not know.
"""

from typing import Any, Final

from events.limits import REASON_CHARS
from events.reasons import INTENTIONAL
from plexbridge.lineup.edits_bulk import IDS_MAX, NUMBER_MAX
from plexbridge.lineup.edits_reading import LOGO_CHARS_MAX, UPSTREAMS_MAX
from plexbridge.lineup.finding import QUERY_CHARS
from plexbridge.lineup.m3u import NAME_CHARS_MAX
from plexbridge.web.api import STATES_SHOWN
from plexbridge.web.asking import POSITION_MAX, TIME_MS_MAX

Schema = dict[str, Any]


def text(**more: Any) -> Schema:
    """A text."""
    return {"type": "string", **more}


def whole(lowest: int = 0, highest: int | None = None, **more: Any) -> Schema:
    """A whole number between bounds that are part of it."""
    bound = {} if highest is None else {"maximum": highest}
    return {"type": "integer", "minimum": lowest, **bound, **more}


def or_null(schema: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def listed(items: Schema, **more: Any) -> Schema:
    """A list."""
    return {"type": "array", "items": items, **more}


def named(schemas: str) -> Schema:
    """One of the document's schemas, by its name."""
    return {"$ref": f"#/components/schemas/{schemas}"}


def document(required: dict[str, Schema], **more: Any) -> Schema:
    """An object that always has these members, and may have others."""
    return {"type": "object", "properties": required, "required": [*required], **more}


FLAG: Final[Schema] = {"type": "boolean"}
ANYTHING: Final[Schema] = {"type": "object"}
TIME_MS: Final = whole(description="Unix time in milliseconds")
POSITION: Final = whole(highest=POSITION_MAX, description="a position of the log")
SESSION_ID: Final = text(pattern="^[0-9A-Z]{26}$")
STATE: Final = text(enum=[*STATES_SHOWN])
REASON_WORD: Final = text(pattern=f"^[a-z0-9_]{{1,{REASON_CHARS}}}$")
END_REASON: Final = text(enum=sorted(INTENTIONAL), default="manual")
GUIDE_NUMBER: Final = text(pattern=r"^[0-9]{1,6}(\.[0-9]{1,4})?$", examples=["5", "5.1"])
FLAG_TEXT: Final = text(enum=["true", "false"])
MOMENT: Final[Schema] = {
    "anyOf": [
        whole(highest=TIME_MS_MAX, description=f"a position below {POSITION_MAX}, or a time in ms"),
        text(pattern="^#[0-9]{1,11}$", description="a position of the log"),
        text(format="date-time", description="a time with an offset"),
    ]
}
TIME: Final[Schema] = {
    "anyOf": [whole(highest=TIME_MS_MAX, description="Unix ms"), text(format="date-time")]
}
TYPED_TIME: Final[Schema] = {
    "anyOf": [*TIME["anyOf"], text(pattern="^[0-9]{1,5}[mhd]$", description="before now")]
}

_CHANNEL_NAMED: Final = document({"id": text(), "guide_number": text(), "name": text()})
_EDIT: Final[Schema] = {
    "enabled": or_null(FLAG),
    "guide_number": or_null(GUIDE_NUMBER),
    "name": or_null(text(minLength=1, maxLength=NAME_CHARS_MAX)),
    "group": or_null(text(maxLength=NAME_CHARS_MAX)),
    "logo": or_null(text(maxLength=LOGO_CHARS_MAX)),
    "favourite": or_null(FLAG),
    "tvg_id": or_null(text(maxLength=NAME_CHARS_MAX)),
    "upstreams": or_null(
        listed(text(pattern="^[0-9a-f]{16}$"), minItems=1, maxItems=UPSTREAMS_MAX, uniqueItems=True)
    ),
}
_START: Final = whole(1, NUMBER_MAX)
_NUMBERING: Final[Schema] = {
    "oneOf": [
        {"const": "listed"},
        document({"from": _START}, additionalProperties=False),
        document(
            {"groups": {"type": "object", "additionalProperties": _START, "minProperties": 1}},
            additionalProperties=False,
        ),
    ]
}
_SELECT: Final[Schema] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {
        "all": {"const": True},
        "q": text(maxLength=QUERY_CHARS),
        "group": text(),
        "ids": listed(text(), minItems=1, maxItems=IDS_MAX),
        "enabled": FLAG,
        "favourite": FLAG,
        "edited": FLAG,
    },
}
_SET: Final[Schema] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "description": "`guide_number`, `name`, `logo`, `tvg_id` and `upstreams`: null alone",
    "properties": {**_EDIT, "number": _NUMBERING},
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Error": document(
        {"error": text(pattern="^[a-z0-9_]+$"), "detail": text()},
        description="`error` is for programs and stays; `detail` says what to do",
    ),
    "Event": document(
        {
            "pos": whole(1),
            "stream": text(),
            "ver": whole(1),
            "type": text(),
            "src": or_null(text()),
            "dst": or_null(text()),
            "at": TIME_MS,
            "id": text(),
            "cause": or_null(text()),
            "reason": or_null(text()),
            "detail": or_null(text()),
            "data": ANYTHING,
        },
        description="An event as it is recorded",
    ),
    "Session": document(
        {
            "id": SESSION_ID,
            "state": STATE,
            "since": TIME_MS,
            "reason": or_null(text()),
            "detail": or_null(text()),
            "channel": _CHANNEL_NAMED,
            "client": document({"address": text(), "user_agent": text(), "name": text()}),
            "tuner": or_null(whole()),
            "source": or_null(text()),
            "started_at": TIME_MS,
            "ended_at": or_null(TIME_MS),
            "first_byte_ms": or_null(whole()),
            "bytes": whole(),
            "bitrate": or_null(whole()),
            "errors": whole(),
            "next_deadline": or_null(ANYTHING),
        }
    ),
    "Dashboard": document(
        {
            "position": POSITION,
            "at": TIME_MS,
            "tuners": listed(ANYTHING),
            "sessions": listed(named("Session")),
            "sources": listed(ANYTHING),
            "cleanup": ANYTHING,
            "totals": ANYTHING,
            "just_ended": listed(named("Session")),
        }
    ),
    "Live": document(
        {
            "position": POSITION,
            "hash": text(pattern="^[0-9a-f]{64}$"),
            "sessions": listed(document({"id": SESSION_ID, "state": STATE, "channel": text()})),
            "connections": listed(document({"session": SESSION_ID, "number": whole()})),
            "leases": listed(
                document({"channel": text(), "lease": whole(1), "tuner": whole(), "source": text()})
            ),
            "relays": listed(document({"channel": text(), "lease": whole(1), "source": text()})),
            "upstreams_closing": whole(),
            "children": whole(),
            "transcodes": whole(),
        },
        description="What is open in the process, everything decided by then being in the log",
    ),
    "Channel": document(
        {
            "id": text(),
            "guide_number": text(),
            "name": text(),
            "group": text(),
            "enabled": FLAG,
            "favourite": FLAG,
            "tvg_id": text(),
            "sources": listed(text()),
            "edits": listed(text(enum=[*_EDIT])),
        }
    ),
    "ChannelEdit": {
        "type": "object",
        "description": "The fields to change; null: as it is listed",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": _EDIT,
    },
    "BulkEdit": {
        "description": "Either the same for all that are selected, or each its own",
        "oneOf": [
            {
                "type": "object",
                "required": ["select", "set"],
                "additionalProperties": False,
                "properties": {"select": _SELECT, "set": _SET, "preview": FLAG},
            },
            {
                "type": "object",
                "required": ["each"],
                "additionalProperties": False,
                "properties": {
                    "each": {
                        "type": "object",
                        "minProperties": 1,
                        "maxProperties": IDS_MAX,
                        "additionalProperties": named("ChannelEdit"),
                    },
                    "preview": FLAG,
                },
            },
        ],
    },
    "Source": document(
        {
            "id": text(),
            "kind": text(),
            "place": text(),
            "counts_as": or_null(
                text(description="the first source of the same account: it counts as that one")
            ),
            "entries": or_null(whole()),
            "connections": whole(),
            "allowed": whole(),
            "refreshed_at": or_null(TIME_MS),
            "next_refresh_ms": or_null({"type": "integer"}),
            "problem": or_null(text()),
            "status": or_null(text()),
            "expires_at": or_null(TIME_MS),
        }
    ),
}
