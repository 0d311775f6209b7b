"""The pages at the entrance: they stand alone, without the bar of the pages behind it."""

from collections.abc import Callable
from typing import Any, Final

from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from plexbridge.version import __version__
from plexbridge.web.access.paths import root_from

POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'none'"
)
"""Nothing inline, no other origin; what the forms ask is asked by their script."""


class EntrancePages:
    """Templates, and what all of them say."""

    def __init__(self, friendly_name: Callable[[], str]) -> None:
        self._friendly_name = friendly_name
        self._templates = Environment(
            loader=PackageLoader("plexbridge.web", "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, scope: Scope, template: str, *, status: int = 200, **content: Any) -> Response:
        """A page as it is sent."""
        text = self._templates.get_template(template).render(
            root=root_from(scope),
            friendly_name=self._friendly_name(),
            version=__version__,
            **content,
        )
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return HTMLResponse(text, status, headers=headers)
