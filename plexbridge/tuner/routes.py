"""The players' surface: which path answers what. No login, nothing secret in any answer."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from events.ids import ChannelId, TunerNumber
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.guide.store import Guide
from plexbridge.logos.proxy import Logos
from plexbridge.tuner import device as documents
from plexbridge.tuner.device import Device
from plexbridge.tuner.guide import GuideRoute
from plexbridge.tuner.logos import logo_endpoint
from plexbridge.tuner.marks import Mark, read_mark
from plexbridge.tuner.prepared import Prepared
from plexbridge.tuner.streaming import Streams, head_answer

Endpoint = Callable[[Request], Awaitable[Response]]

SetMark = Callable[[ChannelId, Mark, str], Awaitable[bool]]
"""Give a channel a mark, for the player at an address; False: that cannot be kept now."""

STREAM_METHODS = ["GET", "HEAD"]
JSON_TYPE = 'application/json; charset="utf-8"'
_OPEN_HEADERS = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}


class Tuner:
    """What the players' routes need; asked anew at each request."""

    def __init__(
        self,
        *,
        device: Device,
        lineup: Callable[[], Lineup],
        base_url: str | None,
        tuner_rows: Callable[[], list[dict[str, Any]]],
        tuner_rates: Callable[[], dict[int, int]],
        streams: Streams,
        guide: Callable[[], Guide] = lambda: Guide(()),
        set_mark: SetMark | None = None,
        logos: Logos | None = None,
    ) -> None:
        """`base_url`: as configured; None: the address each player reached us at. `guide`: the one
        in force. `set_mark`: None where marks are taken and forgotten."""
        self.device = device
        self.lineup = lineup
        self.tuner_rows = tuner_rows
        self.tuner_rates = tuner_rates
        self.streams = streams
        self.guide = guide
        self.set_mark = set_mark
        self.logos = logos
        self.prepared = Prepared()
        self._base_url = base_url

    def base_url(self, scope: Scope) -> str:
        """Where this player finds us: never taken from its `Host` header, which anyone can make
        up, but from the local end of its connection."""
        if self._base_url is not None:
            return self._base_url
        return documents.base_url_at(*scope["server"])

    def logo_of(self, channel: Channel) -> str:
        """The path of a channel's logo; nothing where it has none."""
        if not channel.logo or self.logos is None:
            return ""
        return documents.logo_path(self.logos.digest(channel.logo))

    def find(self, asked: str) -> Channel | None:
        """A channel by its id, or else by its guide number."""
        lineup = self.lineup()
        return lineup.by_id(ChannelId(asked)) or lineup.by_number(asked)


def player_routes(tuner: Tuner) -> list[BaseRoute]:
    """Every route of the players' surface."""
    return [
        Route("/discover.json", _json(tuner, lambda t, url: documents.discover(t.device, url))),
        Route("/lineup_status.json", _json(tuner, lambda t, url: documents.lineup_status())),
        Route("/lineup.json", _lineup(tuner, JSON_TYPE, documents.lineup_json)),
        Route(
            "/status.json",
            _json(tuner, lambda t, url: documents.status(t.tuner_rows(), t.tuner_rates())),
        ),
        Route("/lineup.xml", _lineup(tuner, "text/xml", documents.lineup_xml)),
        Route("/lineup.m3u", _lineup(tuner, "audio/x-mpegurl", _lineup_m3u(tuner))),
        Route(
            "/device.xml",
            _text(tuner, "application/xml", lambda t, url: documents.device_xml(t.device, url)),
        ),
        Route("/logos/{digest}", logo_endpoint(tuner.logos)),
        Route(
            "/xmltv.xml",
            GuideRoute(tuner.guide, tuner.lineup, tuner.base_url, tuner.logo_of),
            methods=STREAM_METHODS,
        ),
        Route("/lineup.post", _lineup_post(tuner), methods=["GET", "POST"]),
        Route("/auto/{asked:path}", _by_number(tuner, "auto"), methods=STREAM_METHODS),
        Route("/tuner{tuner:int}/{asked:path}", _by_number(tuner, "tuner"), methods=STREAM_METHODS),
        Route("/streams/preview/{id}", _by_id(tuner, "preview"), methods=STREAM_METHODS),
        Route("/stream/{id}", _by_id(tuner, "stream"), methods=STREAM_METHODS),
    ]


def _json(tuner: Tuner, document: Callable[[Tuner, str], Any]) -> Endpoint:
    async def answer(request: Request) -> Response:
        body = orjson.dumps(document(tuner, tuner.base_url(request.scope)))
        return Response(body, media_type=JSON_TYPE, headers=_OPEN_HEADERS)

    return answer


def _text(tuner: Tuner, media_type: str, document: Callable[[Tuner, str], str | bytes]) -> Endpoint:
    async def answer(request: Request) -> Response:
        body = document(tuner, tuner.base_url(request.scope))
        return Response(body, media_type=media_type, headers=_OPEN_HEADERS)

    return answer


class LineupDocument(Protocol):
    """A lineup, written for players."""

    def __call__(self, lineup: Lineup, base_url: str, *, disabled: bool) -> bytes:
        """`disabled`: with the channels that are not received."""
        ...


def _lineup_m3u(tuner: Tuner) -> LineupDocument:
    digest = None if tuner.logos is None else tuner.logos.digest

    def write(lineup: Lineup, base_url: str, *, disabled: bool) -> bytes:
        return documents.lineup_m3u(lineup, base_url, digest)

    return write


def _lineup(tuner: Tuner, media_type: str, document: LineupDocument) -> Endpoint:
    """`show=all` also lists what is disabled; every other query changes nothing."""

    async def answer(request: Request) -> Response:
        every = request.query_params.get("show") == "all"
        lineup, base_url = tuner.lineup(), tuner.base_url(request.scope)
        body = await tuner.prepared.get(
            (media_type, base_url, every),
            lineup,
            lambda: document(lineup, base_url, disabled=every),
        )
        return Response(body, media_type=media_type, headers=_OPEN_HEADERS)

    return answer


def _lineup_post(tuner: Tuner) -> Endpoint:
    """Plex asks for a scan and insists on 200, whatever was to be scanned: the lineup is always
    complete. A mark is for a channel of the lineup, a disabled one too."""

    async def answer(request: Request) -> Response:
        asked = request.query_params
        status = HTTPStatus.OK if "scan" in asked else await _marked(tuner, request)
        return Response(status_code=status, headers=_OPEN_HEADERS)

    return answer


async def _marked(tuner: Tuner, request: Request) -> HTTPStatus:
    mark = read_mark(request.query_params.get("favorite", ""))
    channel = mark and tuner.lineup().by_number(mark.guide_number, disabled=True)
    if mark is None or channel is None:
        return HTTPStatus.BAD_REQUEST
    if request.method != "POST" or "origin" in request.headers:
        # Any page that a browser in the house shows could ask this; no player sends an `Origin`.
        return HTTPStatus.FORBIDDEN
    if tuner.set_mark is None:
        return HTTPStatus.OK
    address = "" if request.client is None else request.client.host
    kept = await tuner.set_mark(channel.id, mark.mark, address)
    return HTTPStatus.OK if kept else HTTPStatus.SERVICE_UNAVAILABLE


class _StreamRoute:
    """A bare ASGI endpoint: nothing stands between the server and the stream."""

    def __init__(
        self, tuner: Tuner, kind: str, find: Callable[[Scope], tuple[Channel | None, str]]
    ) -> None:
        self._tuner = tuner
        self._kind = kind
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        channel, asked = self._find(scope)
        number = scope["path_params"].get("tuner")
        if scope["method"] == "HEAD":
            in_range = number is None or number < self._tuner.device.tuners
            await head_answer(send, known=channel is not None and in_range)
            return
        await self._tuner.streams.respond(
            scope,
            channel=channel,
            asked=asked,
            kind=self._kind,
            query=dict(Request(scope).query_params),
            tuner=None if number is None else TunerNumber(number),
        )


def _by_number(tuner: Tuner, kind: str) -> ASGIApp:
    def find(scope: Scope) -> tuple[Channel | None, str]:
        asked: str = scope["path_params"]["asked"]
        virtual = asked.startswith("v")  # else a frequency: no tuner of ours has any
        number = asked[1:] if virtual else asked
        return (tuner.lineup().by_number(number) if virtual else None), number

    return _StreamRoute(tuner, kind, find)


def _by_id(tuner: Tuner, kind: str) -> ASGIApp:
    def find(scope: Scope) -> tuple[Channel | None, str]:
        asked: str = scope["path_params"]["id"].removesuffix(".ts")
        return tuner.find(asked), asked

    return _StreamRoute(tuner, kind, find)
