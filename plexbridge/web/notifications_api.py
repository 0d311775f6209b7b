"""The API of notifications: who is told, of what, with what result; never an address whole."""

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.notices.coalescing import WINDOW_S
from plexbridge.notices.desk import TooManyTargets, UnknownTarget
from plexbridge.notices.files import TargetsUnusable
from plexbridge.notices.kinds import MEANINGS
from plexbridge.notices.outbox import Outbox
from plexbridge.notices.targets import (
    TARGETS_MAX,
    TargetInvalid,
    in_order,
    wanted_kinds,
)
from plexbridge.web.answers import ApiError, json_answer

BODY_BYTES_MAX: Final = 16 * 1024
"""An address, a name and some kinds."""


class NotificationsApi:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._desk = bridge.notices

    async def all(self, request: Request) -> Response:
        """`GET /api/notifications`: the targets as they were added, and what there is to choose."""
        return json_answer(self.document())

    def document(self) -> dict[str, Any]:
        """What is answered, for the page."""
        return {
            "targets": [target_document(one) for one in self._desk.rows()],
            "kinds": [{"kind": kind, "meaning": text} for kind, text in MEANINGS.items()],
            "window_s": WINDOW_S,
            "problem": self._desk.problem,
        }

    async def add(self, request: Request) -> Response:
        """`POST /api/notifications` with `{way, address, name?, kinds?}`; without kinds: all."""
        try:
            added = await self._desk.add(await _body(request), _pages_at(request))
        except TargetInvalid as invalid:
            raise _invalid(invalid) from invalid
        except TooManyTargets as full:
            text = f"there are {TARGETS_MAX} targets already: remove one first"
            raise ApiError(409, "too_many_targets", text) from full
        except TargetsUnusable as unusable:
            raise _cannot_store(unusable) from unusable
        return json_answer(target_document(added), 201)

    async def choose(self, request: Request) -> Response:
        """`PUT /api/notifications/{id}` with `{kinds}`."""
        body = await _body(request)
        try:
            kinds = wanted_kinds(body.get("kinds") if isinstance(body, dict) else None)
            return json_answer(target_document(await self._desk.choose(_id(request), kinds)))
        except TargetInvalid as invalid:
            raise _invalid(invalid) from invalid
        except UnknownTarget as unknown:
            raise _unknown() from unknown
        except TargetsUnusable as unusable:
            raise _cannot_store(unusable) from unusable

    async def remove(self, request: Request) -> Response:
        """`DELETE /api/notifications/{id}`: its address is forgotten."""
        try:
            await self._desk.remove(_id(request))
        except UnknownTarget as unknown:
            raise _unknown() from unknown
        except TargetsUnusable as unusable:
            raise _cannot_store(unusable) from unusable
        return json_answer({"removed": _id(request)})

    async def test(self, request: Request) -> Response:
        """`POST /api/notifications/{id}/test`: sends something now, once; what came of it is the
        answer, also where nothing arrived."""
        try:
            outcome = await self._desk.test(_id(request))
        except UnknownTarget as unknown:
            raise _unknown() from unknown
        return json_answer({"ok": outcome.ok, "words": outcome.words})


def target_document(outbox: Outbox) -> dict[str, Any]:
    """One target. Times in Unix milliseconds."""
    target = outbox.target
    return {
        "id": target.id,
        "way": target.way,
        "name": target.name,
        "address": target.shown,
        "kinds": in_order(target.kinds),
        "added_at": target.added_at_ms,
        "waiting": outbox.waiting,
        "last": outbox.last,
    }


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _pages_at(request: Request) -> str:
    """The address of the pages as the asker sees it; its host was found to be ours by the door."""
    return str(request.base_url).rstrip("/")


def _invalid(error: TargetInvalid) -> ApiError:
    return ApiError(400, "invalid_target", str(error), field=error.field)


def _unknown() -> ApiError:
    return ApiError(404, "unknown_target", "no target has this id")


def _cannot_store(error: TargetsUnusable) -> ApiError:
    return ApiError(503, "cannot_store", str(error))


async def _body(request: Request) -> object:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(413, "too_long", f"at most {BODY_BYTES_MAX} bytes")
    try:
        asked: object = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        # Without the cause: its text holds what was sent, which may be an address.
        raise ApiError(400, "not_json", "a JSON object is wanted") from None
    return asked
