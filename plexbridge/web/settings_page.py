"""The page of settings: each with its value, where that comes from, and a way to change it.

Shows the document of the API; an admin's page has the forms, a viewer's has not.
"""

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.web.access.roles import IDENTITY, Role
from plexbridge.web.rendering import Templates
from plexbridge.web.settings_api import SettingsApi
from plexbridge.web.settings_told import groups


class SettingsPage:
    """The endpoint."""

    def __init__(self, api: SettingsApi, templates: Templates) -> None:
        self._api = api
        self._templates = templates

    async def page(self, request: Request) -> Response:
        """`/settings`."""
        shown = await self._api.document()
        by_name = {row["name"]: row for row in shown["settings"]}
        return self._templates.page(
            request,
            "settings.html",
            shown=shown,
            groups=[(title, [by_name[name] for name in names]) for title, names in groups()],
            waiting=[row["name"] for row in shown["settings"] if row["next"] is not None],
            may_change=request.scope[IDENTITY].role.may(Role.ADMIN),
        )
