"""What the routes of the programme guide, and of taking changes of channels back, take and answer.
Pure data, as `openapi_operations` is."""

from typing import Final

from plexbridge.lineup.finding import QUERY_CHARS
from plexbridge.lineup.guide.listing import SHOWS
from plexbridge.lineup.m3u import NAME_CHARS_MAX
from plexbridge.web.guide_api import CHANNELS_DEFAULT, CHANNELS_MAX
from plexbridge.web.guide_documents import HOW
from plexbridge.web.openapi_operation import HTML, Key, Operation, json_of, text_of
from plexbridge.web.openapi_schemas import (
    FLAG,
    GUIDE_NUMBER,
    TIME,
    TIME_MS,
    document,
    listed,
    or_null,
    text,
    whole,
)

_GUIDE_PAGE: Final = {
    "from": TIME,
    "q": text(description=f"words, {QUERY_CHARS} characters of them"),
    "group": text(),
    "show": text(enum=[*SHOWS]),
}
_PROGRAMME: Final = {"start": TIME_MS, "stop": TIME_MS, "title": text(), "episode": text()}
_MAPPING: Final = {
    "guide_id": or_null(text()),
    "how": or_null(text(enum=[*HOW])),
    "confidence": or_null(whole(highest=100)),
    "chosen": or_null(text()),
    "words": text(),
}
_MAPPED: Final = document({"id": text(), "name": text(), "behind": FLAG, **_MAPPING})

_LAST: Final = document(
    {
        "change": text(pattern="^[0-9a-f]{16}$"),
        "by": text(),
        "how": text(),
        "fields": listed(text()),
        "channels": whole(),
        "words": text(),
    }
)

UNDONE: Final[dict[Key, Operation]] = {
    ("/api/channels/undo", "GET"): Operation(
        summary="The last change of channels, and what taking it back would come to",
        answers=json_of(document({"last": or_null(_LAST)})),
        refuses=(409,),
    ),
    ("/api/channels/undo", "POST"): Operation(
        summary="Take the last change back, which can be taken back itself",
        body=document({"change": text()}),
        answers=json_of(
            document({"last": or_null(_LAST), "changes": whole(), "consequences": listed(text())})
        ),
        refuses=(400, 409, 413, 503),
    ),
}

GUIDE: Final[dict[Key, Operation]] = {
    ("/guide", "GET"): Operation(
        summary="The programme guide, and which guide channel each channel has",
        query={**_GUIDE_PAGE, "after": GUIDE_NUMBER},
        answers=text_of(HTML),
        refuses=(400, 503),
    ),
    ("/api/guide", "GET"): Operation(
        summary="What is on in a window of a day at most, channel by channel",
        query={
            **_GUIDE_PAGE,
            "until": TIME,
            "after": GUIDE_NUMBER,
            "limit": whole(highest=CHANNELS_MAX, default=CHANNELS_DEFAULT),
        },
        answers=json_of(
            document(
                {
                    "from": TIME_MS,
                    "until": TIME_MS,
                    "now": TIME_MS,
                    "matches": whole(),
                    "without_guide": whole(),
                    "behind": FLAG,
                    "next_after": or_null(GUIDE_NUMBER),
                    "channels": listed(
                        document(
                            {
                                "id": text(),
                                "guide_number": text(),
                                "name": text(),
                                "logo": text(),
                                "mapping": document(_MAPPING),
                                "programmes": listed(document(_PROGRAMME)),
                            }
                        )
                    ),
                }
            )
        ),
        refuses=(400, 503),
    ),
    ("/api/guide/{id}", "GET"): Operation(
        summary="Which guide channel a channel has, and how it was found",
        answers=json_of(_MAPPED),
        refuses=(404, 503),
    ),
    ("/api/guide/{id}", "PUT"): Operation(
        summary="Map a channel: a guide channel's id, nothing for no guide, null for what is found",
        body=document(
            {"guide_id": or_null(text(maxLength=NAME_CHARS_MAX))}, additionalProperties=False
        ),
        answers=json_of(_MAPPED),
        refuses=(400, 404, 409, 413, 503),
    ),
    ("/api/guide/{id}/programme", "GET"): Operation(
        summary="What is on at a time, now without one, with its description",
        query={"at": TIME},
        answers=json_of(document({**_PROGRAMME, "description": text()})),
        refuses=(400, 404, 503),
    ),
    ("/api/guide/{id}/candidates", "GET"): Operation(
        summary="Guide channels that a channel could have, the most similar name first",
        query={"q": text()},
        answers=json_of(
            listed(
                document(
                    {
                        "guide_id": text(),
                        "guide_name": text(),
                        "guide": whole(1),
                        "confidence": whole(highest=100),
                    }
                )
            )
        ),
        refuses=(404, 503),
    ),
}
