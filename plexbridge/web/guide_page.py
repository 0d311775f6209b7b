"""The page of the programme guide: channels down, time across; and which guide channel each has."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.web import wording
from plexbridge.web.access.roles import IDENTITY, Role
from plexbridge.web.guide_api import (
    CHANNELS_DEFAULT,
    STEP_MS,
    WINDOW_DEFAULT_MS,
    GuideApi,
    window_asked,
)
from plexbridge.web.guide_grid import cells, columns_of, heads, now_and_next
from plexbridge.web.rendering import Templates

DAY_MS: Final = 86_400_000
DAYS: Final = range(-1, 8)
"""Buttons, from yesterday on: as far as most guides go."""

SHOWN: Final = {
    "": "By number",
    "unmapped_first": "Without a guide first",
    "unmapped": "Only without a guide",
    "guessed": "Only guessed",
}

_WORDS: Final = ("q", "group", "show")


class GuidePage:
    """The endpoint."""

    def __init__(self, bridge: Bridge, templates: Templates, api: GuideApi) -> None:
        self._bridge = bridge
        self._templates = templates
        self._api = api

    async def page(self, request: Request) -> Response:
        """`/guide[?from=&after=&q=&group=&show=]`: three hours of fifty channels."""
        given = {name: text for name, text in request.query_params.items() if name != "until"}
        now = self._api.now_ms()
        asked = window_asked(given, now, CHANNELS_DEFAULT)
        found = await self._api.listing(asked)
        document = self._api.document(found, asked)
        begin, until = document["from"], document["until"]
        words = {name: text for name in _WORDS if (text := given.get(name, "").strip())}
        after = {"after": asked.after} if asked.after is not None else {}
        return self._templates.page(
            request,
            "guide.html",
            shown=document,
            rows=[self._row(one, begin, until, now) for one in document["channels"]],
            first=found.first,
            heads=heads(begin, until),
            columns=columns_of(begin, until),
            now_at=100 * (now - begin) / (until - begin) if begin <= now < until else None,
            moment=now if begin <= now < until else begin,
            is_now=begin <= now < until,
            query=asked.query,
            show=asked.show,
            shows=SHOWN,
            may_map=request.scope[IDENTITY].role.may(Role.ADMIN),
            earlier=urlencode({**words, **after, "from": max(0, begin - WINDOW_DEFAULT_MS)}),
            later=urlencode({**words, **after, "from": until}),
            to_now=urlencode({**words, **after}),
            days=_days(now, begin, {**words, **after}),
            chosen_from=given.get("from", ""),
            next_page=_page_query(words, given, document["next_after"]),
            first_page=_page_query(words, given, "") if asked.after is not None else None,
        )

    @staticmethod
    def _row(channel: dict[str, Any], begin: int, until: int, now: int) -> dict[str, Any]:
        moment = now if begin <= now < until else begin
        on, following = now_and_next(channel["programmes"], channel["following"], moment)
        return {
            **channel,
            "initials": wording.initials(channel["name"]),
            "cells": cells(channel["programmes"], begin, until, now),
            "on": on,
            "after": following,
        }


def _days(now: int, begin: int, words: dict[str, Any]) -> list[dict[str, Any]]:
    """The same time of other days: in whichever zone it is read."""
    today = now // STEP_MS * STEP_MS
    return [
        {
            "at": at,
            "query": urlencode({**words, "from": at}) if offset else urlencode(words),
            "chosen": abs(at - begin) < DAY_MS // 2,
        }
        for offset in DAYS
        for at in (today + offset * DAY_MS,)
    ]


def _page_query(words: dict[str, str], given: dict[str, str], after: str | None) -> str | None:
    """The address of another page of channels; `after` empty: the first; None: there is none."""
    if after is None:
        return None
    since = {"from": given["from"]} if given.get("from") else {}
    return urlencode({**words, **since, **({"after": after} if after else {})})
