"""What the routes of settings and setup take and answer. Pure data, a part of
`openapi_operations`."""

from typing import Final

from plexbridge.settings_model import SETTINGS, Origin
from plexbridge.web.openapi_operation import HTML, Key, Operation, json_of, text_of
from plexbridge.web.openapi_schemas import (
    ANYTHING,
    FLAG,
    POSITION,
    TIME_MS,
    Schema,
    document,
    listed,
    or_null,
    text,
    whole,
)

_NAME: Final = text(enum=[*SETTINGS])
_VALUE: Final[Schema] = {
    "anyOf": [
        text(),
        {"type": "integer"},
        FLAG,
        listed(text()),
        {"type": "null", "description": "what holds without the file"},
    ]
}
_SETTING: Final = document(
    {
        "name": _NAME,
        "value": text(description="in force; never a login"),
        "origin": text(enum=[*Origin]),
        "default": text(),
        "in_file": or_null(text()),
        "next": or_null(text(description="as of the next start, where it will be another value")),
        "accepts": text(),
        "choices": listed(text()),
        "meaning": text(),
        "secret": FLAG,
        "at_once": FLAG,
        "editable": FLAG,
        "why_not": or_null(text()),
    }
)
_CHANGE: Final = document({"name": _NAME, "before": text(), "after": text(), "at_once": FLAG})
_STEP: Final = document(
    {
        "key": text(),
        "title": text(),
        "done": FLAG,
        "words": text(),
        "next": or_null(text()),
        "at": or_null(TIME_MS),
        "client": or_null(document({"address": text(), "name": text(), "user_agent": text()})),
    }
)

SETTING_UP: Final[dict[Key, Operation]] = {
    ("/settings", "GET"): Operation(summary="Every setting", answers=text_of(HTML)),
    ("/welcome", "GET"): Operation(summary="The setup, step by step", answers=text_of(HTML)),
    ("/api/settings", "GET"): Operation(
        summary="Every setting: its value, and where that comes from",
        answers=json_of(
            document(
                {
                    "settings": listed(_SETTING),
                    "file": text(),
                    "problem": or_null(text(description="why a start would refuse the file")),
                    "sessions": whole(),
                }
            )
        ),
    ),
    ("/api/settings", "PUT"): Operation(
        summary="Change settings in `settings.toml`, or only say what that would do (`preview`)",
        body={
            "type": "object",
            "required": ["settings"],
            "additionalProperties": False,
            "properties": {
                "settings": {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": _NAME,
                    "additionalProperties": _VALUE,
                },
                "preview": FLAG,
            },
        },
        answers=json_of(
            document(
                {
                    "preview": FLAG,
                    "changes": listed(_CHANGE),
                    "consequences": listed(text()),
                    "position": or_null(POSITION),
                }
            )
        ),
        refuses=(400, 409, 413, 503),
    ),
    ("/api/setup", "GET"): Operation(
        summary="What of the setup really happened, and who asked for what",
        answers=json_of(
            document(
                {
                    "since": TIME_MS,
                    "done": whole(),
                    "steps": listed(_STEP),
                    "addresses": ANYTHING,
                    "asked": listed(ANYTHING),
                }
            )
        ),
    ),
}
