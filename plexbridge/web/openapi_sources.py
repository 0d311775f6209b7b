"""What the routes of a source's options take and answer. Pure data, a part of
`openapi_operations`."""

from typing import Final

from plexbridge.lineup.source import BOUNDS
from plexbridge.web.openapi_operation import HTML, Key, Operation, json_of, text_of
from plexbridge.web.openapi_schemas import Schema, document, listed, or_null, text, whole

_AGENT: Final = or_null(text(description="`set` for those who may not change it"))
_NAMES: Final = listed(text(description="a header's name; its value is never told"))
_NUMBERS: Final[dict[str, Schema]] = {
    name: or_null({"type": "integer", "minimum": least, "maximum": most})
    for name, (least, most) in BOUNDS.items()
}
_OPTIONS: Final = document(
    {
        "id": text(),
        "place": text(),
        "counts_as": text(description="the source whose connections it takes"),
        "set": document({"user_agent": _AGENT, "headers": _NAMES, **_NUMBERS}),
        "in_force": document(
            {"user_agent": _AGENT, "headers": _NAMES, **dict.fromkeys(BOUNDS, whole())}
        ),
    }
)
_PATCH: Final[Schema] = {
    "type": "object",
    "description": "The options to change; null: as its address or the settings say",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {
        "user_agent": or_null(text()),
        "headers": {
            "type": "object",
            "description": "by name; null takes one away, those not named stay",
            "additionalProperties": or_null(text()),
        },
        **_NUMBERS,
    },
}

SOURCE_OPTIONS: Final[dict[Key, Operation]] = {
    ("/sources/{id}", "GET"): Operation(
        summary="The page of a source's options", answers=text_of(HTML), refuses=(404,)
    ),
    ("/api/sources/{id}/options", "GET"): Operation(
        summary="What is set of a source, and what is in force",
        answers=json_of(_OPTIONS),
        refuses=(404,),
    ),
    ("/api/sources/{id}/options", "PUT"): Operation(
        summary="Set some of a source's options",
        body=_PATCH,
        answers=json_of(_OPTIONS),
        refuses=(400, 404, 413, 503),
    ),
}
