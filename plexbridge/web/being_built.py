"""What is answered while the dashboard is being built: that, and how far it is.

Never a number of it: half of a fold is no truth. A browser is shown a page that asks again by
itself, a program is told when to.
"""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.control.building import BeingBuilt
from plexbridge.web.answers import json_answer
from plexbridge.web.rendering import Templates
from plexbridge.web.table import SAFE_METHODS

AGAIN_AFTER_S: Final = 2
"""Until a page asks again: a million events are built in some ten seconds."""


class Waiting:
    """Answers in the place of an endpoint that needs what is not there yet."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    async def answer(self, request: Request, fault: Exception) -> Response:
        """503 with how far it is."""
        assert isinstance(fault, BeingBuilt), "registered for these"
        if request.method in SAFE_METHODS and "text/html" in request.headers.get("accept", ""):
            page = self._templates.page(request, "being_built.html", built=fault)
            page.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            page.headers["Refresh"] = str(AGAIN_AFTER_S)
            return page
        document = {
            "error": "being_built" if fault.stopped is None else "not_built",
            "detail": str(fault),
            "name": fault.name,
            "version": fault.version,
            "position": fault.position,
            "of": fault.of,
        }
        return json_answer(document, 503, **{"Retry-After": str(AGAIN_AFTER_S)})
