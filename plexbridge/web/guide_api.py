"""The API of the programme guide: a window of it, one programme, and which guide channel each
channel has.

Every answer is read in a thread, and only some at a time. A mapping is an edit of the channel; the
guides are read again for it.
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from events.ids import ChannelId
from plexbridge.bridge import Bridge
from plexbridge.lineup.channels import Channel
from plexbridge.lineup.edits import AS_LISTED, Patch
from plexbridge.lineup.edits_reading import EditInvalid, patch_of
from plexbridge.lineup.finding import QUERY_CHARS
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.listing import (
    SHOWS,
    Asked,
    Listing,
    listing,
    mapping_of,
    programme,
    without_guide,
)
from plexbridge.lineup.guide.mapping import candidates
from plexbridge.lineup.guide.store import Guide
from plexbridge.web.access.roles import IDENTITY
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.api import guide_number_asked
from plexbridge.web.asking import TIME_MS_MAX, milliseconds, number
from plexbridge.web.channels_api import EDIT_BYTES_MAX, asked_in, planned, told_as
from plexbridge.web.guide_documents import (
    MS_PER_S,
    candidate_document,
    listing_document,
    mapping_document,
    programme_document,
)

CHANNELS_DEFAULT: Final = 50
CHANNELS_MAX: Final = 200
"""In one answer; `after` goes on."""

WINDOW_DEFAULT_MS: Final = 3 * 3_600_000
WINDOW_MAX_MS: Final = 24 * 3_600_000
"""Of time in one answer: with the channels above, some ten thousand programmes."""

STEP_MS: Final = 1_800_000
"""A window that nobody chose begins at a full or half hour."""

READS_MAX: Final = 2
"""Of the guides' files at once: the threads are everybody's."""

Found = TypeVar("Found")


class GuideApi:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._reads = asyncio.Semaphore(READS_MAX)
        self._without = ("", "", 0)
        """Digests of a guide and a lineup, and how many channels are without: a count of all."""

    async def window(self, request: Request) -> Response:
        """`GET /api/guide?from=&until=&after=&limit=&q=&group=&show=`: what is on in a window of at
        most a day, channel by channel, above the guide number `after`."""
        given = request.query_params
        limit = number(given.get("limit"), CHANNELS_DEFAULT, CHANNELS_MAX)
        asked = window_asked(given, self.now_ms(), limit)
        return json_answer(self.document(await self.listing(asked), asked))

    async def channel(self, request: Request) -> Response:
        """`GET /api/guide/{id}`: which guide channel a channel has, and how it was found."""
        return json_answer(await self._mapping(self._channel(request)))

    async def programme(self, request: Request) -> Response:
        """`GET /api/guide/{id}/programme?at=`: what is on there at a time, now without one."""
        channel, given = self._channel(request), request.query_params
        at = milliseconds(given["at"]) if "at" in given else self.now_ms()
        told = await self._read(lambda guide: programme(guide, channel, at // MS_PER_S))
        if told is None:
            raise ApiError(404, "no_programme", "the guide says nothing of this channel then")
        return json_answer(programme_document(told))

    async def candidates(self, request: Request) -> Response:
        """`GET /api/guide/{id}/candidates?q=`: guide channels that it could have, those with the
        most similar name first."""
        channel = self._channel(request)
        query = request.query_params.get("q", "").strip()[:QUERY_CHARS]
        found = await self._read(lambda guide: candidates(guide, channel.guide_name, query))
        return json_answer([candidate_document(one) for one in found])

    async def map(self, request: Request) -> Response:
        """`PUT /api/guide/{id}` with `{guide_id}`: a guide channel's id, nothing for no guide, or
        null for whichever is found. The guides are read again for it: `behind` until they were."""
        channel = self._channel(request)
        patch = await asked_in(request, _mapping_asked, EDIT_BYTES_MAX)
        by = told_as(request.scope[IDENTITY])
        await planned(self._bridge.edits.change(lambda *_: {channel.id: patch}, by=by, how="guide"))
        return json_answer(await self._mapping(self._channel(request)))

    async def listing(self, asked: Asked) -> Listing:
        """A page of the guide, for the endpoints."""
        edits = self._bridge.edits
        lineup, made = edits.lineup, edits.edits

        def read(guide: Guide) -> Listing:
            if self._without[:2] != (guide.digest, lineup.digest):
                self._without = (guide.digest, lineup.digest, without_guide(guide, lineup))
            return listing(guide, lineup, made, asked)

        return await self._read(read)

    def document(self, found: Listing, asked: Asked) -> dict[str, Any]:
        """The same as it is told."""
        return listing_document(
            found,
            asked,
            self._bridge.edits.edits,
            self._bridge.tuner.logo_of,
            now=self.now_ms(),
            behind=self._behind,
            without_guide=self._without[2],
        )

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self._bridge.clock.now() // 1_000

    @property
    def _behind(self) -> bool:
        guides = self._bridge.guides
        return guides is not None and guides.behind

    async def _mapping(self, channel: Channel) -> dict[str, Any]:
        found = await self._read(lambda guide: mapping_of(guide, channel))
        edit = self._bridge.edits.edits.get(channel.id, AS_LISTED)
        return {
            "id": channel.id,
            "guide_number": channel.guide_number,
            "name": channel.guide_name,
            "behind": self._behind,
            "guides": len(() if self._bridge.guides is None else self._bridge.guides.status()),
            **mapping_document(channel, found, edit),
        }

    async def _read(self, read: Callable[[Guide], Found]) -> Found:
        """Something of the guide in force, which a new one does not change meanwhile."""
        async with self._reads:
            guides = self._bridge.guides
            guide = Guide(()) if guides is None else guides.guide
            try:
                return await asyncio.to_thread(read, guide)
            except GuideFault as fault:
                detail = f"the guide in force {fault.fault}: {fault.remedy}"
                raise ApiError(
                    HTTPStatus.SERVICE_UNAVAILABLE, "guide_unreadable", detail
                ) from fault

    def _channel(self, request: Request) -> Channel:
        asked = ChannelId(str(request.path_params["id"]))
        channel = self._bridge.lineup.by_id(asked, disabled=True)
        if channel is None:
            raise ApiError(404, "unknown_channel", "no channel has this id")
        return channel


def window_asked(given: Mapping[str, str], now: int, limit: int) -> Asked:
    """What a request wants to see of the guide; `now` in Unix milliseconds."""
    begin = milliseconds(given["from"]) if given.get("from") else now // STEP_MS * STEP_MS
    begin = min(begin, TIME_MS_MAX - WINDOW_MAX_MS)
    until = milliseconds(given["until"]) if given.get("until") else begin + WINDOW_DEFAULT_MS
    if not 0 < until - begin <= WINDOW_MAX_MS:
        hours = WINDOW_MAX_MS // 3_600_000
        raise ApiError(400, "bad_window", f"`until` is behind `from`, by {hours} hours at most")
    show = given.get("show", "")
    if show and show not in SHOWS:
        raise ApiError(400, "unknown_show", f"show is one of {', '.join(SHOWS)}")
    return Asked(
        begin=begin // MS_PER_S,
        until=-(-until // MS_PER_S),
        limit=limit,
        after=guide_number_asked(given.get("after")),
        query=given.get("q", "").strip()[:QUERY_CHARS],
        group=given.get("group") or None,
        show=show,
    )


def _mapping_asked(document: object) -> Patch:
    if not isinstance(document, Mapping) or document.keys() != {"guide_id"}:
        raise EditInvalid("guide_id", "a guide channel's id, nothing for none, or null")
    try:
        return patch_of({"tvg_id": document["guide_id"]})
    except EditInvalid as error:
        wanted = str(error).removeprefix(f"{error.field}: ")
        raise EditInvalid("guide_id", wanted) from error
