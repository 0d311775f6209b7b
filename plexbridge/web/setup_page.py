"""The setup, for people and as JSON: what of it really happened so far.

Gathers what was asked, listed and watched; `setup_steps` says what that comes to. It stands at
`/welcome`: `/setup` is where the first password is set.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.server.addresses import address_of_this_machine, is_loopback
from plexbridge.tuner.device import base_url_at
from plexbridge.tuner.streaming import PREVIEW
from plexbridge.web.access.roles import IDENTITY, Role
from plexbridge.web.answers import json_answer
from plexbridge.web.rendering import Templates
from plexbridge.web.setup_steps import FOUND, GUIDE, LISTED, LOOKING, Row, Seen, steps
from plexbridge.web.sources_api import SourcesApi
from plexbridge.web.sources_page import guide_documents

SESSIONS_LOOKED_AT: Final = 50
"""Of those that ended: who previews channels for an evening has not watched."""


class SetupPage:
    """The endpoints."""

    def __init__(
        self,
        bridge: Bridge,
        templates: Templates,
        *,
        own_address: Callable[[], str] = address_of_this_machine,
    ) -> None:
        """`own_address`: where other machines find this one."""
        self._bridge = bridge
        self._templates = templates
        self._sources = SourcesApi(bridge)
        self._own_address = own_address

    async def page(self, request: Request) -> Response:
        """`/welcome`."""
        return self._templates.page(
            request,
            "welcome.html",
            shown=await self._found(request),
            may_change=request.scope[IDENTITY].role.may(Role.ADMIN),
        )

    async def document(self, request: Request) -> Response:
        """`GET /api/setup`: what the page shows."""
        return json_answer(await self._found(request))

    async def _found(self, request: Request) -> dict[str, Any]:
        bridge, askings = self._bridge, self._bridge.askings
        every = (*FOUND, *LISTED, *GUIDE)
        looking = [one for one in askings.askers() if one.name in LOOKING]
        seen = Seen(
            channels=len(bridge.lineup),
            sources=self._sources.documents(),
            guides=guide_documents(bridge),
            found=askings.last(*FOUND, unless=LOOKING),
            listed=askings.last(*LISTED, unless=LOOKING),
            guide=askings.last(*GUIDE, unless=LOOKING),
            looked=next(
                (
                    (asker, asked)
                    for asker in looking
                    for path, asked in asker.routes.items()
                    if path in every
                ),
                None,
            ),
            watched=await self._watched(),
        )
        told = [step.document() for step in steps(seen)]
        return {
            "told_at": bridge.clock.now() // 1_000,
            "since": askings.since // 1_000,
            "done": sum(step["done"] for step in told),
            "steps": told,
            "addresses": self._addresses(request),
            "asked": askings.document(),
        }

    async def _watched(self) -> Row | None:
        """Who watches now, with bytes as of this moment; else who did last."""
        gauges = self._bridge.gauges.document()["sessions"]
        dashboard = self._bridge.projector.dashboard()
        for session in reversed(dashboard["sessions"]):
            if _is_a_player(session) and session["first_byte_ms"] is not None:
                now = gauges.get(session["id"])
                return {**session, "bytes": session["bytes"] if now is None else now["bytes"]}
        ended = [one for one in dashboard["just_ended"] if _is_a_player(one) and one["bytes"]]
        if not ended:
            stored = await self._bridge.projector.sessions(limit=SESSIONS_LOOKED_AT)
            ended = [one for one in stored if _is_a_player(one) and one["bytes"]]
        return next(iter(ended), None)

    def _addresses(self, request: Request) -> dict[str, Any]:
        """What to type. `elsewhere`: where other machines find it, if the page was asked for in a
        way that only this one can; `asked_at`: by which name the browser came, if by another."""
        base = self._bridge.tuner.base_url(request.scope)
        host, port = urlsplit(base).hostname or "", request.scope["server"][1]
        asked_at = f"http://{request.headers.get('host', '')}"
        elsewhere = None
        if is_loopback(host) and self._bridge.settings.base_url is None:
            elsewhere = base_url_at(self._own_address(), port)
        behind = request.scope["root_path"] or request.scope["scheme"] != "http"
        return {
            "base": base,
            "elsewhere": None if elsewhere == base else elsewhere,
            "asked_at": None if behind or elsewhere or asked_at == base else asked_at,
        }


def _is_a_player(session: Row) -> bool:
    """Neither a preview in a page nor a person looking."""
    return session["kind"] != PREVIEW and session["client"]["name"] not in LOOKING
