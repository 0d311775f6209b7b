"""The settings over HTTP: `/api/settings`, read and changed.

Who may change is the route table's business. What cannot be set so changes nothing, and is refused
with the setting's name and what it accepts. Files are read and written in threads.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from events.machine import RECOVERING
from plexbridge.bridge import Bridge
from plexbridge.settings import Settings, SettingsInvalid, with_file
from plexbridge.settings_change import Plan, SettingRefused, plan
from plexbridge.settings_file import (
    SettingsFileUnusable,
    change_settings_file,
    read_settings_file,
)
from plexbridge.settings_model import SETTINGS, SETTINGS_FILE
from plexbridge.web.access.roles import IDENTITY
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.channels_api import told_as
from plexbridge.web.settings_told import Watching, consequences, rows

_log = structlog.get_logger(__name__)

BODY_BYTES_MAX: Final = 64 * 1024
"""All settings at once, with a dozen addresses of providers."""

_STATUS: Final = dict.fromkeys(("overridden", "not_in_file", "by_hand"), HTTPStatus.CONFLICT)
"""Of refusals by word; any other is about what was sent."""


class Asked(NamedTuple):
    """What a body asks."""

    wishes: dict[str, Any]
    preview: bool


class SettingsApi:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._one_at_a_time = asyncio.Lock()

    async def all(self, request: Request) -> Response:
        """`GET /api/settings`."""
        return json_answer(await self.document())

    async def document(self) -> dict[str, Any]:
        """What is answered, for the page. `problem`: why the next start would refuse the file."""
        now = self._bridge.settings
        document, problem = await asyncio.to_thread(self._found)
        later: Settings | None = None
        if problem is None:
            try:
                later = with_file(now, document)
            except SettingsInvalid as invalid:
                problem = " ".join(invalid.problems)
        named = {name: value for name, value in document.items() if name in SETTINGS}
        watching = self.watching()
        return {
            "settings": rows(now, named, later),
            "file": SETTINGS_FILE,
            "problem": problem,
            "sessions": watching.sessions,
        }

    def watching(self) -> Watching:
        """Who would notice a change."""
        world = self._bridge.door.world
        return Watching(
            sessions=len(world.sessions),
            recovering=sum(one.state == RECOVERING for one in world.sessions.values()),
            tuners=sum(bool(lease.sessions) for lease in world.leases.values()),
        )

    async def change(self, request: Request) -> Response:
        """`PUT /api/settings` with `{settings}`: a value for each name, null for what holds without
        the file; with `preview: true` only what would follow."""
        asked = await _asked(request)
        async with self._one_at_a_time:
            planned = await self._planned(asked.wishes)
            told = consequences(planned, self.watching())
            position = None
            if not asked.preview:
                position = await self._carried_out(planned, told_as(request.scope[IDENTITY]))
        return json_answer(
            {
                "preview": asked.preview,
                "changes": [
                    {
                        "name": change.name,
                        "before": change.before,
                        "after": change.after,
                        "at_once": change.at_once,
                    }
                    for change in planned.changes
                ],
                "consequences": told,
                "position": position,
            }
        )

    async def _planned(self, wishes: Mapping[str, Any]) -> Plan:
        document, problem = await asyncio.to_thread(self._found)
        if problem is not None:
            raise ApiError(HTTPStatus.CONFLICT, "file_wrong", problem)
        try:
            return plan(self._bridge.settings, document, wishes)
        except SettingRefused as refused:
            status = _STATUS.get(refused.word, HTTPStatus.BAD_REQUEST)
            raise ApiError(status, refused.word, str(refused), setting=refused.name) from refused
        except SettingsInvalid as invalid:  # something else in the file, written by hand
            detail = " ".join(invalid.problems)
            raise ApiError(HTTPStatus.CONFLICT, "file_wrong", detail) from invalid

    async def _carried_out(self, planned: Plan, by: str) -> int | None:
        """Written, in force, recorded: the position of the last event; None where there is none."""
        bridge = self._bridge
        if not bridge.door.storing:
            detail = (
                "the event log cannot store at the moment, and a change of settings is an event"
            )
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "cannot_store", detail)
        try:
            await asyncio.to_thread(change_settings_file, self._path, planned.written)
        except OSError as failed:
            detail = f"{SETTINGS_FILE} cannot be written: {failed.strerror}; nothing changed"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "cannot_store", detail) from failed
        except SettingsFileUnusable as unusable:
            raise ApiError(HTTPStatus.CONFLICT, "file_wrong", str(unusable)) from unusable
        if not planned.different:
            return None
        _log.info("Settings changed", names=sorted(planned.different), by=by)
        recorded = bridge.live_settings.take_over(
            planned.later, planned.different, at_once=planned.at_once, by=by
        )
        stored = await asyncio.shield(recorded)
        return stored[-1].pos if stored else None

    @property
    def _path(self) -> Path:
        return self._bridge.settings.data_dir / SETTINGS_FILE

    def _found(self) -> tuple[dict[str, object], str | None]:
        """What the file holds, or why that is not known. Blocks."""
        try:
            return read_settings_file(self._path), None
        except SettingsFileUnusable as unusable:
            return {}, str(unusable)


async def _asked(request: Request) -> Asked:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(413, "too_long", f"at most {BODY_BYTES_MAX} bytes")
    try:
        document = orjson.loads(bytes(body))
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "not_json", "a JSON object is wanted") from error
    wishes = document.get("settings") if isinstance(document, dict) else None
    if not isinstance(wishes, dict) or not wishes or document.keys() - {"settings", "preview"}:
        raise ApiError(400, "no_settings", 'send {"settings": {"NAME": value}}, and maybe preview')
    preview = document.get("preview", False)
    if not isinstance(preview, bool):
        raise ApiError(400, "bad_preview", "preview is true or false")
    return Asked(wishes, preview)
