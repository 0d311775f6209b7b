"""The management API of the lineup: `/api/channels`, read and edited.

Who may edit is the route table's business; what follows from an edit is the lineup's. An edit that
cannot be made changes nothing and says which field or whose number it was.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from events.ids import ChannelId
from plexbridge.bridge import Bridge
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edits import AS_LISTED, Edits
from plexbridge.lineup.edits_bulk import bulk_of, patches
from plexbridge.lineup.edits_in_force import Wish
from plexbridge.lineup.edits_plan import (
    PLEX_CHANNELS_MAX,
    NumberTaken,
    Patches,
    Plan,
    UnknownChannel,
)
from plexbridge.lineup.edits_reading import EditInvalid, patch_of
from plexbridge.lineup.edits_told import Watching, document_of, plex_hint
from plexbridge.lineup.edits_undo import UNDO, AnotherChange, LastChange, NothingToTakeBack
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.lineup.finding import find
from plexbridge.lineup.finding import groups as groups_of
from plexbridge.web.access.roles import IDENTITY, Identity
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.api import LIMIT_DEFAULT, LIMIT_MAX, guide_number_asked
from plexbridge.web.asking import number
from plexbridge.web.channel_list import channel_document, filter_asked, whole_document

EDIT_BYTES_MAX: Final = 64 * 1024
"""Of one channel: a logo's URL and some texts."""

BULK_BYTES_MAX: Final = 16 * 1024 * 1024
"""100,000 channels with a name and a number each, as an import sends them."""

Asked = TypeVar("Asked")


class ChannelsApi:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def channels(self, request: Request) -> Response:
        """`GET /api/channels?q=&group=&enabled=&favourite=&edited=&limit=&after=`: the lineup in
        force, disabled channels too, above the guide number `after`. `X-Total-Count`: how many
        match; `X-Enabled-Count`: how many players are given; `X-Hint`: where Plex does not manage
        so many."""
        given, edits = request.query_params, self._bridge.edits
        found = await asyncio.to_thread(
            find,
            edits.lineup,
            filter_asked(given),
            edits.edits,
            after=guide_number_asked(given.get("after")),
            limit=number(given.get("limit"), LIMIT_DEFAULT, LIMIT_MAX),
        )
        documents = [channel_document(channel, edits.edits) for channel in found.channels]
        enabled = len(edits.lineup)
        headers = {"X-Total-Count": str(found.matches), "X-Enabled-Count": str(enabled)}
        if (hint := plex_hint(enabled)) is not None:
            headers["X-Hint"] = hint
        return json_answer(documents, 200, **headers)

    async def groups(self, request: Request) -> Response:
        """`GET /api/channels/groups`: how many channels each has, and how many are enabled."""
        lineup = self._bridge.lineup
        every = await asyncio.to_thread(groups_of, lineup)
        enabled = await asyncio.to_thread(Counter, (one.group for one in lineup.channels))
        rows = [{"group": g, "channels": n, "enabled": enabled[g]} for g, n in every.items()]
        return json_answer(
            {
                "groups": rows,
                "enabled": len(lineup),
                "plex_channels_max": PLEX_CHANNELS_MAX,
                "hint": plex_hint(len(lineup)),
            }
        )

    async def channel(self, request: Request) -> Response:
        """`GET /api/channels/{id}`: one channel, and what it is edited from."""
        return json_answer(self._whole(_channel_asked(request)))

    async def edit(self, request: Request) -> Response:
        """`PUT /api/channels/{id}`: the fields given are set, null puts one back as it is listed;
        the others stay. Answers with the channel."""
        channel = _channel_asked(request)
        patch = await asked_in(request, patch_of, EDIT_BYTES_MAX)
        await self._changed(request, lambda lineup, edits: {channel: patch}, how="one")
        return json_answer(self._whole(channel))

    async def bulk(self, request: Request) -> Response:
        """`POST /api/channels/bulk` with `{select, set}` or `{each}`; with `preview: true` only
        what would follow."""
        asked = await asked_in(request, bulk_of, BULK_BYTES_MAX)

        def wish(lineup: Lineup, edits: Edits) -> Patches:
            return patches(asked, lineup, edits)

        watching = self._watching()
        if asked.preview:
            plan = await planned(self._bridge.edits.look(wish))
        else:
            plan = await self._changed(request, wish, how="bulk")
        return json_answer(document_of(plan, watching, preview=asked.preview))

    async def last_change(self, request: Request) -> Response:
        """`GET /api/channels/undo`: the last change, and what taking it back would come to."""
        edits = self._bridge.edits
        last = edits.last
        if last is None:
            return json_answer({"last": None})
        plan = await planned(edits.look(edits.taking_back(last.id)))
        return json_answer(
            {"last": last_document(last), **document_of(plan, self._watching(), preview=True)}
        )

    async def take_back(self, request: Request) -> Response:
        """`POST /api/channels/undo` with `{change}`: takes the last change back, if it still is the
        one of this id. That is a change too, which can be taken back."""
        change = await asked_in(request, _change_asked, EDIT_BYTES_MAX)
        watching = self._watching()
        wish = self._bridge.edits.taking_back(change)
        plan = await self._changed(request, wish, how=UNDO)
        last = self._bridge.edits.last
        return json_answer(
            {
                "last": None if last is None else last_document(last),
                **document_of(plan, watching, preview=False),
            }
        )

    async def _changed(self, request: Request, wish: Wish, *, how: str) -> Plan:
        by = told_as(request.scope[IDENTITY])
        return await planned(self._bridge.edits.change(wish, by=by, how=how))

    def _watching(self) -> Watching:
        sessions = self._bridge.door.world.sessions.values()
        return Counter(session.channel for session in sessions).__getitem__

    def _whole(self, channel: ChannelId) -> dict[str, Any]:
        edits = self._bridge.edits
        served = edits.lineup.by_id(channel, disabled=True)
        listed = edits.listed.by_id(channel, disabled=True)
        if served is None or listed is None:
            raise _unknown(UnknownChannel(channel))
        return whole_document(served, listed, edits.edits.get(channel, AS_LISTED))


_NOT_TAKEN_BACK: Final[dict[type[Exception], tuple[str, str]]] = {
    NothingToTakeBack: ("nothing_to_undo", "nothing was changed yet"),
    AnotherChange: ("another_change", "something else was changed meanwhile: look again"),
}


def last_document(last: LastChange) -> dict[str, Any]:
    """The last change, as it is told."""
    return {
        "change": last.id,
        "by": last.by,
        "how": last.how,
        "fields": list(last.fields),
        "channels": last.channels,
        "words": last.words,
    }


def _change_asked(document: object) -> str:
    change = document.get("change") if isinstance(document, Mapping) else None
    if not isinstance(change, str):
        raise EditInvalid("change", "the id of the change to take back, as it was told")
    return change


def told_as(identity: Identity) -> str:
    """Who it was, as the log keeps it: never what they showed."""
    return f"key {identity.name}" if identity.name else f"{identity.role} by {identity.means}"


def _channel_asked(request: Request) -> ChannelId:
    return ChannelId(str(request.path_params["id"]))


async def planned(asked: Awaitable[Plan]) -> Plan:
    """The plan; or the answer that says why there is none."""
    try:
        return await asked
    except UnknownChannel as error:
        raise _unknown(error) from error
    except EditInvalid as error:
        raise _invalid(error) from error
    except NumberTaken as error:
        raise ApiError(
            HTTPStatus.CONFLICT,
            "number_taken",
            str(error),
            guide_number=error.guide_number,
            channels=list(error.names),
        ) from error
    except (AnotherChange, NothingToTakeBack) as error:
        word, detail = _NOT_TAKEN_BACK[type(error)]
        raise ApiError(HTTPStatus.CONFLICT, word, detail) from error
    except StoreUnusable as error:
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "cannot_store", str(error)) from error


def _invalid(error: EditInvalid) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_edit", str(error), field=error.field)


def _unknown(error: UnknownChannel) -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, "unknown_channel", "no channel has this id")


async def asked_in(request: Request, reader: Callable[[object], Asked], bytes_max: int) -> Asked:
    """What a body asks; read in a thread, for it may be long. Raises `ApiError`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise ApiError(413, "too_long", f"at most {bytes_max} bytes")
    try:
        return await asyncio.to_thread(lambda: reader(orjson.loads(bytes(body))))
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "not_json", "a JSON object is wanted") from error
    except EditInvalid as error:
        raise _invalid(error) from error
