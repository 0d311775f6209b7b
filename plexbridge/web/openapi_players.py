"""What the routes take and answer that nobody logs in for: the players', and those open to watch.
Pure data; see `openapi_operations`.
"""

from typing import Final

from plexbridge.web.openapi_operation import JSON, PLAIN, VIDEO, Key, Operation, json_of, text_of
from plexbridge.web.openapi_schemas import ANYTHING, FLAG_TEXT, Schema, document, listed, text

_HEALTH: Final = document({"status": text(), "version": text(), "checks": ANYTHING})
_XML: Final = "application/xml"
_STREAM_REFUSALS: Final = (404, 429, 503)


def _stream(summary: str, **query: Schema) -> Operation:
    return Operation(
        summary=summary,
        query={"duration": text(description="seconds it is to last"), **query},
        answers={200: {VIDEO: text(format="binary")}},
        bare=_STREAM_REFUSALS,
        endless=True,
    )


OPENED: Final[dict[Key, Operation]] = {
    ("/livez", "GET"): Operation(summary="The process turns", answers=text_of(PLAIN)),
    ("/readyz", "GET"): Operation(
        summary="Whether sessions can be given",
        query={"verbose": text(maxLength=0)},
        answers={**text_of(PLAIN), 503: {PLAIN: text()}},
    ),
    ("/health", "GET"): Operation(
        summary="What is the matter, if anything",
        answers={**json_of(_HEALTH), 503: {JSON: _HEALTH}},
    ),
    ("/metrics", "GET"): Operation(summary="For Prometheus", answers=text_of(PLAIN)),
    ("/static/{name}", "GET"): Operation(
        summary="A file of the pages",
        answers={
            200: {kind: text() for kind in ("text/javascript", "text/css", "image/svg+xml")},
            304: {},
        },
        refuses=(404,),
    ),
}

PLAYED: Final[dict[Key, Operation]] = {
    ("/discover.json", "GET"): Operation(summary="The device", answers=json_of(ANYTHING)),
    ("/lineup_status.json", "GET"): Operation(summary="No scan runs", answers=json_of(ANYTHING)),
    ("/status.json", "GET"): Operation(summary="The tuners", answers=json_of(listed(ANYTHING))),
    ("/lineup.json", "GET"): Operation(
        summary="The lineup", query={"show": text()}, answers=json_of(listed(ANYTHING))
    ),
    ("/lineup.xml", "GET"): Operation(
        summary="The lineup", query={"show": text()}, answers=text_of("text/xml")
    ),
    ("/lineup.m3u", "GET"): Operation(summary="A playlist", answers=text_of("audio/x-mpegurl")),
    ("/device.xml", "GET"): Operation(summary="The device, for UPnP", answers=text_of(_XML)),
    ("/xmltv.xml", "GET"): Operation(
        summary="The guide", answers={**text_of(_XML), 304: {}}, bare=(503,)
    ),
    ("/logos/{digest}", "GET"): Operation(
        summary="A channel's logo",
        answers={200: {"image/*": text(format="binary")}, 304: {}},
        bare=(404, 503),
    ),
    ("/lineup.post", "GET"): Operation(
        summary="A scan; the lineup is always complete",
        query={"scan": text(), "favorite": text()},
        answers={200: {}},
        bare=(400, 403),
    ),
    ("/lineup.post", "POST"): Operation(
        summary="A scan, or a mark for a channel",
        query={"scan": text(), "favorite": text()},
        answers={200: {}},
        bare=(400, 403, 503),
    ),
    ("/auto/{asked:path}", "GET"): _stream("A channel by its guide number, on any tuner"),
    ("/tuner{tuner:int}/{asked:path}", "GET"): _stream("The same, on one tuner"),
    ("/stream/{id}", "GET"): _stream("A channel by its id"),
    ("/streams/preview/{id}", "GET"): _stream("A preview of a channel", transcode=FLAG_TEXT),
}
