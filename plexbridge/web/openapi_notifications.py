"""What the routes of notifications take and answer. Pure data."""

from typing import Final

from plexbridge.notices.kinds import NAME_CHARS_MAX, TEST, Kind
from plexbridge.notices.targets import ADDRESS_CHARS_MAX, Way
from plexbridge.web.openapi_operation import HTML, JSON, Key, Operation, json_of, text_of
from plexbridge.web.openapi_schemas import (
    FLAG,
    TIME_MS,
    Schema,
    document,
    listed,
    or_null,
    text,
    whole,
)

_KINDS: Final = [str(kind) for kind in Kind]
_CHOICE: Final[Schema] = {"type": "array", "items": text(enum=_KINDS)}
_WAY: Final = text(enum=[str(way) for way in Way])
_LAST: Final = document(
    {
        "at": TIME_MS,
        "kind": text(enum=[*_KINDS, TEST]),
        "ok": FLAG,
        "words": text(),
        "attempts": whole(),
    }
)
_TARGET: Final = document(
    {
        "id": text(),
        "way": _WAY,
        "name": text(),
        "address": text(description="as far as it may be seen"),
        "kinds": _CHOICE,
        "added_at": TIME_MS,
        "waiting": whole(),
        "last": or_null(_LAST),
    }
)
_WANTED: Final[Schema] = {
    "type": "object",
    "required": ["way", "address"],
    "properties": {
        "way": _WAY,
        "address": text(
            minLength=1,
            maxLength=ADDRESS_CHARS_MAX,
            description="of a webhook: `http://…` or `https://…`; of Apprise: its URL. A secret",
        ),
        "name": text(maxLength=NAME_CHARS_MAX),
        "kinds": {**_CHOICE, "description": "what it is told of; all, where nothing is said"},
    },
}

NOTIFICATIONS: Final[dict[Key, Operation]] = {
    ("/notifications", "GET"): Operation(
        summary="Who is told of what, and trying it", answers=text_of(HTML)
    ),
    ("/api/notifications", "GET"): Operation(
        summary="Who is told, of what, and with what result",
        answers=json_of(
            document(
                {
                    "targets": listed(_TARGET),
                    "kinds": listed(document({"kind": text(enum=_KINDS), "meaning": text()})),
                    "window_s": whole(),
                    "problem": or_null(text()),
                }
            )
        ),
    ),
    ("/api/notifications", "POST"): Operation(
        summary="Tell one more",
        body=_WANTED,
        answers={201: {JSON: _TARGET}},
        refuses=(400, 409, 413, 503),
    ),
    ("/api/notifications/{id}", "PUT"): Operation(
        summary="Choose what it is told of",
        body=document({"kinds": _CHOICE}),
        answers=json_of(_TARGET),
        refuses=(400, 404, 413, 503),
    ),
    ("/api/notifications/{id}", "DELETE"): Operation(
        summary="Tell it nothing more, and forget its address",
        answers=json_of(document({"removed": text()})),
        refuses=(404, 503),
    ),
    ("/api/notifications/{id}/test", "POST"): Operation(
        summary="Send it something now, once; what came of it",
        answers=json_of(document({"ok": FLAG, "words": text()})),
        refuses=(404,),
    ),
}
