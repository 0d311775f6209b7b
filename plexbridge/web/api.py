"""The management API: sessions, the dashboard of any moment, the log. All of it folded from what is
durable; live gauges stand beside it."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from events.ids import SessionId
from events.limits import REASON_CHARS
from events.machine import NEW, STATES
from events.reasons import INTENTIONAL
from events.refusals import AlreadyEnded, UnknownSession
from plexbridge.audit.event_json import event_json
from plexbridge.bridge import Bridge
from plexbridge.control.seals import Pruned
from plexbridge.lineup.numbering import guide_number
from plexbridge.log.port import Durable
from plexbridge.web.answers import ApiError, json_answer
from plexbridge.web.asking import POSITION_MAX, milliseconds, moment, number

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
"""Rows in one answer; `after` goes on."""

EVENTS_MAX: Final = 1_000_000
"""Events in one answer of `/api/events`, streamed page by page."""

PAGE_EVENTS: Final = 500
BODY_BYTES_MAX: Final = 16 * 1024
"""A reason is a word; whatever is longer is not one."""

STATES_SHOWN: Final = tuple(state for state in STATES if state != NEW)
"""What a session that is shown can be in."""

_REASON: Final = re.compile(rf"[a-z0-9_]{{1,{REASON_CHARS}}}")
_SESSION: Final = re.compile(r"[0-9A-Z]{26}")


class Api:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def dashboard(self, request: Request) -> Response:
        """`GET /api/dashboard[?at=]`."""
        at = request.query_params.get("at")
        if at is None:
            gauges = self._bridge.gauges.document()
            return json_answer({**self._bridge.projector.dashboard(), "gauges": gauges})
        try:
            return json_answer(await self._bridge.projector.dashboard_at(**moment(at)))
        except Pruned as pruned:
            raise ApiError(404, "pruned", str(pruned), first=pruned.first) from pruned

    async def sessions(self, request: Request) -> Response:
        """`GET /api/sessions` with its filters."""
        given = request.query_params
        state, since = given.get("state"), given.get("since")
        if state is not None and state not in STATES_SHOWN:
            raise ApiError(400, "unknown_state", f"a state is one of {', '.join(STATES_SHOWN)}")
        found = await self._bridge.projector.sessions(
            state=state,
            channel=given.get("channel"),
            client=given.get("client"),
            since=None if since is None else milliseconds(since),
            limit=number(given.get("limit"), LIMIT_DEFAULT, LIMIT_MAX),
            after=given.get("after"),
        )
        return json_answer(found)

    async def session(self, request: Request) -> Response:
        """`GET /api/sessions/{id}`."""
        return json_answer(await self._known(request))

    async def session_events(self, request: Request) -> Response:
        """`GET /api/sessions/{id}/events`: its story."""
        session = await self._known(request)
        rows = await asyncio.to_thread(
            self._bridge.log.reader.read_stream, f"session-{session['id']}"
        )
        return json_answer([event_json(row) for row in rows])

    async def end_session(self, request: Request) -> Response:
        """`DELETE /api/sessions/{id}[?reason=]`: ends it under every policy."""
        reason = _intentional(request)
        session = session_asked(request)
        rows = await self._once(
            session,
            self._bridge.door.stop(session, reason=reason, detail="by_admin", actor="admin"),
        )
        final = await self._final(session)
        return json_answer({"ended": final, "position": rows[0].pos})

    async def end_sessions(self, request: Request) -> Response:
        """`DELETE /api/sessions?client=|channel=|all=true[&reason=]`: ends all sessions of a
        client's address, of a channel's id, or everything."""
        reason = _intentional(request)
        asked = request.query_params
        wanted = [name for name in ("client", "channel", "all") if name in asked]
        if len(wanted) != 1 or (wanted == ["all"] and asked["all"] != "true"):
            raise ApiError(
                400, "which_sessions", "one of client=ADDRESS, channel=ID and all=true is wanted"
            )
        meant = [
            session.id
            for session in self._bridge.door.world.sessions.values()
            if wanted == ["all"]
            or session.address == asked.get("client")
            or session.channel == asked.get("channel")
        ]
        rows = await asyncio.gather(*(self._ended(session, reason) for session in meant))
        final = [await self._final(session) for session in meant]
        position = max((row.pos for ended in rows for row in ended), default=None)
        return json_answer({"ended": final, "position": position})

    async def _final(self, session: SessionId) -> dict[str, Any] | None:
        """The figures of one that was ended; None while those are being built."""
        if self._bridge.projector.being_built is not None:
            return None
        return await self._bridge.projector.session(session)

    async def _ended(self, session: SessionId, reason: str) -> Durable:
        """The rows of its end; none where it ended by itself in the meantime."""
        try:
            return await self._bridge.door.stop(
                session, reason=reason, detail="by_admin", actor="admin"
            )
        except (AlreadyEnded, UnknownSession):
            return ()

    async def disconnect_session(self, request: Request) -> Response:
        """`POST /api/sessions/{id}/disconnect`: a program's report; the policy decides."""
        session = session_asked(request)
        reason = await _reason(request)
        rows = await self._once(
            session,
            self._bridge.door.disconnect(
                session, reason=reason, detail="reported", actor="program"
            ),
        )
        decided = rows[0]
        data = decided.payload
        return json_answer(
            {
                "reason": reason,
                "maintained": data["maintained"],
                "intentional": data["intentional"],
                "keep_alive": data["keep_alive"],
                "src": decided.src,
                "dst": decided.dst,
                "position": decided.pos,
            }
        )

    async def events(self, request: Request) -> Response:
        """`GET /api/events?after=&limit=&stream=&type=`: NDJSON."""
        given = request.query_params
        after = number(given.get("after"), 0, POSITION_MAX)
        limit = number(given.get("limit"), LIMIT_DEFAULT, EVENTS_MAX)
        lines = self._lines(after, limit, given.get("stream"), given.get("type"))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def head(self, request: Request) -> Response:
        """`GET /api/log/head`: to be kept elsewhere, as an anchor."""
        head = await asyncio.to_thread(self._bridge.log.reader.head)
        return json_answer({"position": head.pos, "hash": head.hash.hex()})

    async def _lines(
        self, after: int, limit: int, stream: str | None, type_: str | None
    ) -> AsyncIterator[bytes]:
        left = limit
        while left > 0:
            page = await asyncio.to_thread(self._bridge.log.reader.read, after, PAGE_EVENTS)
            if not page:
                return
            after = page[-1].pos
            wanted = [row for row in page if stream in (None, row.stream)]
            wanted = [row for row in wanted if type_ in (None, row.type)][:left]
            left -= len(wanted)
            if wanted:
                yield b"".join(orjson.dumps(event_json(row)) + b"\n" for row in wanted)

    async def _known(self, request: Request) -> dict[str, Any]:
        found = await self._bridge.projector.session(session_asked(request))
        if found is None:
            raise ApiError(404, "unknown_session", "no session has this id")
        return found

    async def _once(self, session: SessionId, ending: Any) -> Durable:
        """A second end is told so; an id from long ago is looked up before it is called unknown."""
        try:
            rows: Durable = await ending
        except AlreadyEnded as error:
            raise ApiError(409, "already_ended", str(error)) from error
        except UnknownSession as error:
            if await self._bridge.projector.session(session) is not None:
                raise ApiError(409, "already_ended", "it ended some time ago") from error
            raise ApiError(404, "unknown_session", str(error)) from error
        return rows


def guide_number_asked(text: str | None) -> str | None:
    """A guide number to go on after, if one was given."""
    if not text:
        return None
    number = guide_number(text)
    if number is None:
        raise ApiError(400, "not_a_guide_number", "a guide number is wanted, such as 5 or 5.1")
    return number


def session_asked(request: Request) -> SessionId:
    """The session that a path names."""
    asked = request.path_params["id"]
    if not _SESSION.fullmatch(asked):
        raise ApiError(404, "unknown_session", "no session has this id")
    return SessionId(asked)


async def _reason(request: Request) -> str:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(413, "too_long", f"at most {BODY_BYTES_MAX} bytes")
    try:
        reason = orjson.loads(body)["reason"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ApiError(400, "no_reason", 'send {"reason": "word"} as JSON') from error
    if not isinstance(reason, str) or not _REASON.fullmatch(reason):
        raise ApiError(400, "no_reason", f"a reason is {_REASON.pattern}")
    return reason


def _intentional(request: Request) -> str:
    """The reason given for an end, `manual` without one."""
    reason = request.query_params.get("reason", "manual")
    if reason not in INTENTIONAL:
        raise ApiError(
            400,
            "unknown_reason",
            f"{reason[:REASON_CHARS]} is none",
            reasons=sorted(INTENTIONAL),
        )
    return reason
