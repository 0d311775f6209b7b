"""The moment that a request asks for, and what was shown then."""

from typing import Any

from plexbridge.control.projector import Projector
from plexbridge.control.seals import Pruned
from plexbridge.web.answers import ApiError
from plexbridge.web.asking import moment
from plexbridge.web.past_states import Moment


async def shown_then(projector: Projector, asked: dict[str, int]) -> dict[str, Any]:
    """The dashboard of a moment, as `asking.moment` read it; 404 for one that was pruned."""
    try:
        return await projector.dashboard_at(**asked)
    except Pruned as pruned:
        raise gone(pruned) from pruned


async def moment_then(projector: Projector, text: str, now: int) -> Moment:
    """The moment that `at` names (a position or a time), and what was shown then; `now` in Unix
    milliseconds. A position's moment is that of its event; none is later than now."""
    asked = moment(text.strip())
    shown = await shown_then(projector, asked)
    return Moment(shown, min(now, asked.get("at", shown["at"] * 1_000) // 1_000))


def gone(pruned: Pruned) -> ApiError:
    """What is answered for a moment before the first that the log still tells."""
    return ApiError(404, "pruned", str(pruned), first=pruned.first)
