"""A recorded event as the API, the feed and the exports show it."""

from typing import Any
from uuid import UUID

from events.envelope import Recorded

_NOT_SHOWN = "key"
"""What makes two requests one viewer may be an identifier that a player keeps to itself."""


def event_json(event: Recorded) -> dict[str, Any]:
    """JSON-able; ids as text, `at` in Unix milliseconds."""
    data = dict(event.payload)
    if isinstance(data.get("client"), dict):
        data["client"] = {
            name: value for name, value in data["client"].items() if name != _NOT_SHOWN
        }
    return {
        "pos": event.pos,
        "stream": event.stream,
        "ver": event.ver,
        "type": event.type,
        "src": event.src,
        "dst": event.dst,
        "at": event.at // 1_000,
        "id": str(UUID(bytes=event.id)),
        "corr": None if event.corr is None else str(UUID(bytes=event.corr)),
        "cause": None if event.cause is None else str(UUID(bytes=event.cause)),
        "actor": event.actor,
        "reason": data.get("reason"),
        "detail": data.get("detail"),
        "data": data,
    }
