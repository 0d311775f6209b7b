"""The page of channels: the lineup to look through, to edit, to copy from and to play."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.lineup.channels import Channel
from plexbridge.lineup.edits import AS_LISTED, Edits
from plexbridge.lineup.edits_told import plex_hint
from plexbridge.lineup.finding import Filter, find, groups
from plexbridge.lineup.guide.document import no_icon
from plexbridge.tuner.device import stream_url
from plexbridge.web import wording
from plexbridge.web.access.roles import IDENTITY, Role
from plexbridge.web.answers import ApiError
from plexbridge.web.api import guide_number_asked
from plexbridge.web.channel_list import filter_asked, selection
from plexbridge.web.rendering import Templates

CHANNELS_SHOWN: Final = 200
"""Channels on one page: as many as a phone draws without a pause; the next ones are asked for."""

GROUPS_SHOWN: Final = 500
"""Groups to choose from; a list with more of them is searched by words."""

ONLY: Final[dict[str, tuple[str, Filter]]] = {
    "enabled": ("Enabled", Filter(enabled=True)),
    "disabled": ("Disabled", Filter(enabled=False)),
    "favourites": ("Favourites", Filter(favourite=True)),
    "edited": ("Edited", Filter(edited=True)),
}
"""What the page can be narrowed to, its words, and what they mean."""


class ChannelsPage:
    """The endpoint."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates

    async def page(self, request: Request) -> Response:
        """`/channels[?q=&group=&only=&after=]`."""
        given, edits = request.query_params, self._bridge.edits
        only = given.get("only", "")
        wanted = _narrowed(filter_asked(given), only)
        found = await asyncio.to_thread(
            find,
            edits.lineup,
            wanted,
            edits.edits,
            after=guide_number_asked(given.get("after")),
            limit=CHANNELS_SHOWN,
        )
        every_group = await asyncio.to_thread(groups, edits.lineup)
        words = {name: text for name in ("q", "group") if (text := given.get(name, ""))}
        words |= {"only": only} if only else {}
        enabled, listed = len(edits.lineup), len(edits.lineup.everything)
        return self._templates.page(
            request,
            "channels.html",
            query=wanted.query,
            group=wanted.group or "",
            groups=[] if len(every_group) > GROUPS_SHOWN else sorted(filter(None, every_group)),
            only=only,
            narrowings={name: told for name, (told, _) in ONLY.items()},
            narrowed=bool(words),
            select=selection(wanted),
            may_edit=request.scope[IDENTITY].role.may(Role.ADMIN),
            rows=channel_rows(
                found.channels,
                self._bridge.tuner.base_url(request.scope),
                edits.edits,
                self._bridge.tuner.logo_of,
            ),
            matches=found.matches,
            enabled=enabled,
            listed=listed,
            hint=plex_hint(enabled),
            last=edits.last,
            next_page=found.next_after and urlencode({**words, "after": found.next_after}),
            first_page=urlencode(words) if given.get("after") else None,
        )


def _narrowed(wanted: Filter, only: str) -> Filter:
    if wanted.group == "":  # as a form sends it where none was chosen
        wanted = replace(wanted, group=None)
    if not only:
        return wanted
    if only not in ONLY:
        raise ApiError(400, "unknown_narrowing", f"only is one of {', '.join(ONLY)}")
    _, narrower = ONLY[only]
    return replace(
        narrower,
        query=wanted.query,
        group=wanted.group,
        enabled=wanted.enabled if narrower.enabled is None else narrower.enabled,
        favourite=wanted.favourite if narrower.favourite is None else narrower.favourite,
        edited=wanted.edited if narrower.edited is None else narrower.edited,
    )


def channel_rows(
    channels: Iterable[Channel],
    base_url: str,
    edits: Edits,
    logo: Callable[[Channel], str] = no_icon,
) -> list[dict[str, Any]]:
    """Channels as a page lists them. `logo`: the path of a channel's, or nothing."""
    return [
        {
            "id": channel.id,
            "number": channel.guide_number,
            "name": channel.guide_name,
            "group": channel.group,
            "enabled": channel.enabled,
            "favourite": channel.favourite,
            "tvg_id": channel.tvg_id,
            "edited": edits.get(channel.id, AS_LISTED).edited,
            "initials": wording.initials(channel.guide_name),
            "logo": logo(channel).removeprefix("/"),
            "url": stream_url(base_url, channel),
        }
        for channel in channels
    ]
