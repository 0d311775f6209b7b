"""The moment that a request asks for, and what was shown then."""

from typing import Any

from plexbridge.control.projector import Projector
from plexbridge.control.seals import Pruned
from plexbridge.web.answers import ApiError


async def shown_then(projector: Projector, asked: dict[str, int]) -> dict[str, Any]:
    """The dashboard of a moment, as `asking.moment` read it; 404 for one that was pruned."""
    try:
        return await projector.dashboard_at(**asked)
    except Pruned as pruned:
        raise gone(pruned) from pruned


def gone(pruned: Pruned) -> ApiError:
    """What is answered for a moment before the first that the log still tells."""
    return ApiError(404, "pruned", str(pruned), first=pruned.first)
