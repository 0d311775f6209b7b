"""How one route is described: what it takes and answers. Pure."""

from dataclasses import dataclass
from typing import Final

from plexbridge.web.openapi_schemas import Schema, text

JSON: Final = "application/json"
HTML: Final = "text/html"
PLAIN: Final = "text/plain"
NDJSON: Final = "application/x-ndjson"
VIDEO: Final = "video/mpeg"

Key = tuple[str, str]
"""A path as the table has it, and a method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route, asked by one method."""

    summary: str
    query: dict[str, Schema] | None = None
    path: dict[str, Schema] | None = None
    """What stands in the path; texts where nothing is said."""
    body: Schema | None = None
    """JSON that has to be sent."""
    answers: dict[int, dict[str, Schema]]
    """Good answers: schemas by media type, by status. No media type: an empty body."""
    refuses: tuple[int, ...] = ()
    """Statuses that are answered with an error, beside those of the door."""
    bare: tuple[int, ...] = ()
    """Statuses that players are refused with: no body, and `X-HDHomeRun-Error` where it helps."""
    endless: bool = False
    """The answer lasts until one side leaves."""


def json_of(schema: Schema) -> dict[int, dict[str, Schema]]:
    """200, with such a document."""
    return {200: {JSON: schema}}


def text_of(media_type: str) -> dict[int, dict[str, Schema]]:
    """200, with a text."""
    return {200: {media_type: text()}}
