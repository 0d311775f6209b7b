"""How a page is made: its template, what every page says of the bridge, and its headers.

Knows the pages behind the door; those at the entrance say less, and are made apart.
"""

from typing import Any, Final

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from plexbridge.bridge import Bridge
from plexbridge.version import __version__
from plexbridge.web import lane_drawing, wording
from plexbridge.web.access.paths import root_from
from plexbridge.web.access.roles import IDENTITY
from plexbridge.web.event_words import event_words

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
"""Nothing inline, no other origin. `blob:` is the address that a browser gives to what a script
feeds a video with: a preview's."""
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Templates:
    """The templates, what they may call, and what each is told."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._environment = Environment(
            loader=PackageLoader("plexbridge.web", "templates"),
            autoescape=select_autoescape(default=True),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(wording.FILTERS)
        self._environment.globals.update(
            shapes=wording.SHAPES,
            failures=wording.FAILURES,
            next_step=wording.next_step,
            drawn=lane_drawing.drawn,
            event_words=event_words,
        )

    def page(self, request: Request, template: str, **content: Any) -> Response:
        """A page. `root` leads from its address to the first page's."""
        bridge = self._bridge
        page = self._environment.get_template(template).render(
            root=root_from(request.scope),
            means=request.scope[IDENTITY].means,
            version=__version__,
            friendly_name=bridge.settings.friendly_name,
            base_url=bridge.tuner.base_url(request.scope),
            channel_count=len(bridge.lineup),
            lineup_problem=bridge.lineup_problem,
            **content,
        )
        return HTMLResponse(page, headers=HEADERS)
